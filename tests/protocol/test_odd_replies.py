"""Odd replies: which we read, beside python-requests and curl, and where we refuse what one of them takes."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import h11
import pytest
from hypothesis import given, settings, strategies as st

from tests.protocol.odd_replies import BODY, ODD, Odd
from thekeys_async import OutcomeUnknownError
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.reading import ReplyReader
from thekeys_async.protocol.replies import HttpError, IncompleteError


def _read(data: bytes, *, at_once: bool = True) -> bytes:
    """Read a reply to a command, and what the command makes of it."""
    reader = ReplyReader()
    pieces = [data] if at_once else [data[at : at + 1] for at in range(len(data))]
    for piece in [*pieces, b""]:
        if reply := reader.feed(piece):
            replies.check_done(endpoints.OPEN, reply)
            return reply.body
    raise AssertionError


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_what_we_read(odd: Odd, *, at_once: bool) -> None:
    if odd.read:
        assert _read(odd.data, at_once=at_once) == BODY
    else:
        with pytest.raises((HttpError, IncompleteError, OutcomeUnknownError)):
            _read(odd.data, at_once=at_once)


def test_where_we_refuse_what_others_read_there_is_a_reason() -> None:
    for odd in ODD:
        assert bool(odd.why) is (not odd.read and (odd.requests or odd.curl)), odd.name


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd.read], ids=lambda odd: odd.name)
def test_a_reply_that_breaks_http_ends_its_connection(odd: Odd) -> None:
    reader = ReplyReader()
    assert any(map(reader.feed, [odd.data, b""]))
    assert not reader.reusable or _keeps_its_connection(odd.data)


def _keeps_its_connection(data: bytes) -> bool:
    """Whether h11 reads it just as it came, and finds the connection good for another request."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    http.send(h11.EndOfMessage())
    http.receive_data(data)
    try:
        while not isinstance(http.next_event(), h11.EndOfMessage):
            pass
    except h11.RemoteProtocolError:
        return False
    return http.their_state is h11.DONE


_lines = st.sampled_from(
    [
        *(b"nonsense", b": x", b"X Y: z", b"X : y", b" folded", b"X: y", b"\xc9: z"),
        *(b"Content-Length: %d" % len(BODY), b"Content-Length:", b"Content-Length: -1", b"Content-Length: 5"),
        *(b"Content-Length : 5", b"Content-Length 5", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"),
        *(b"Transfer-Encoding : chunked", b"Connection: close", b'content-length: "7"', b"\tfolded: x"),
    ]
)
_bodies = st.sampled_from([BODY, BODY + b"HTTP/1.1 200 OK\r\n\r\n", b"1b\r\n%b\r\n0\r\n\r\n" % BODY])


@given(st.lists(_lines, max_size=5), _bodies)
@settings(max_examples=500)
def test_what_h11_reads_we_read_alike_and_what_it_refuses_never_ends_early(lines: list[bytes], body: bytes) -> None:
    data = b"".join(line + b"\r\n" for line in [b"HTTP/1.1 200 OK", *lines, b""]) + body
    ours, theirs = _ends(data), _h11(data)
    if theirs is not None:
        assert ours == theirs
    elif ours is not None and b"chunked" not in data:
        # Read on, where h11 would not: all that came is the body, unless the one length that there is ends it.
        lengths = {line for line in lines if line.lower().startswith(b"content-length") and line[-1:].isdigit()}
        assert ours == body or len(lengths) == 1


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda first, lines, body: b"\r\n".join([first, *lines, b"", body]),
            st.sampled_from(
                [b"HTTP/1.1 200 OK", b"http/1.0  99999 \xff", b"HTTP/1.1 101 x", b"HTTP/1.1 100 x", b"\x00"]
            ),
            st.lists(st.one_of(_lines, st.binary(max_size=20)), max_size=5),
            st.one_of(_bodies, st.binary(max_size=40)),
        ),
    ),
    st.integers(1, 60),
    st.booleans(),
)
@settings(max_examples=300)
def test_anything_at_all_is_a_reply_or_one_of_two_errors(data: bytes, size: int, head_only: bool) -> None:
    reader = ReplyReader(head_only=head_only)
    with suppress(HttpError, IncompleteError):
        for at in range(0, len(data) + size, size):
            if reader.feed(data[at : at + size]):
                assert reader.head.status
                return


def test_the_head_of_a_reply_costs_no_more_than_linear_work() -> None:
    line = b"a" * 8 + b"\r\n"

    def seconds(lines: int) -> float:
        data = b"HTTP/1.1 200 OK\r\n" + line * lines
        reader = ReplyReader()
        began = time.process_time()
        for at in range(len(data)):
            assert reader.feed(data[at : at + 1]) is None
        return time.process_time() - began

    seconds(50)
    few, many = min(seconds(150) for _ in range(3)), min(seconds(1500) for _ in range(3))
    assert many < 40 * few  # ten times as much; a hundred times if each byte were looked at again and again


def _ends(data: bytes) -> bytes | None:
    reader = ReplyReader()
    try:
        return next(filter(None, map(reader.feed, [data, b""]))).body
    except (HttpError, IncompleteError):
        return None


def _h11(data: bytes) -> bytes | None:
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    http.send(h11.EndOfMessage())
    body = b""
    try:
        http.receive_data(data)
        http.receive_data(b"")
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            body += event.data if isinstance(event, h11.Data) else b""
    except h11.RemoteProtocolError:
        return None
    return body


@pytest.fixture(scope="module")
def serve_odd() -> Iterator[Callable[[bytes], str]]:
    """A server that answers every request with the bytes it was given, and closes the connection."""
    served = [b""]

    def answer(connection: socket.socket) -> None:
        with connection:
            received = b""
            while not received.endswith(b"\r\n\r\na=b"):
                if not (data := connection.recv(4096)):
                    return
                received += data
            connection.sendall(served[0])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,)).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()

        def serve(data: bytes) -> str:
            served[0] = data
            return f"http://127.0.0.1:{listener.getsockname()[1]}/"

        yield serve
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_what_python_requests_reads(serve_odd: Callable[[bytes], str]) -> None:
    requests = pytest.importorskip("requests")

    def reads(odd: Odd) -> bool:
        try:
            with requests.Session() as session:
                session.trust_env = False
                return session.post(serve_odd(odd.data), "a=b", timeout=5, allow_redirects=False).content == BODY
        except requests.RequestException:
            return False

    assert [odd.name for odd in ODD if reads(odd) is not odd.requests] == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_what_curl_reads(serve_odd: Callable[[bytes], str]) -> None:
    def reads(odd: Odd) -> bool:
        command = ["curl", "-q", "-s", "-m", "5", "--noproxy", "*", "-d", "a=b", serve_odd(odd.data)]
        ended = subprocess.run(command, capture_output=True, check=False, timeout=10)
        return (ended.returncode, ended.stdout) == (0, BODY)

    assert [odd.name for odd in ODD if reads(odd) is not odd.curl] == []
