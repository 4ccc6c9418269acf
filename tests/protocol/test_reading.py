"""The short path and h11 find the same in the same bytes."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings, strategies as st

from thekeys_async.protocol.reading import ReplyReader
from thekeys_async.protocol.replies import MAX_BODY, MAX_HEAD, Head, HttpError, IncompleteError, Reply
from thekeys_async.protocol.requests import SignedRequest, common_headers, request_bytes

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class _Slow(ReplyReader):
    """Knows no short path."""

    def _plain_head(self, data: bytes) -> None:
        return None


def _read(reader: ReplyReader, chunks: list[bytes]) -> tuple:
    """What comes of the bytes, and of the end of the connection if that is needed."""
    try:
        for chunk in [*chunks, b""]:
            if reply := reader.feed(chunk):
                return "reply", reply, reader.head, reader.reusable and chunk != b""
    except HttpError:
        return ("not HTTP",)
    except IncompleteError:
        return ("incomplete",)
    return ("nothing",)


_names = st.sampled_from(
    [
        *(
            "Content-Length",
            "content-length",
            "Connection",
            "Transfer-Encoding",
            "X-Y",
            "Upgrade",
            "Date",
            "Proxy-Connection",
        ),
        *("X Y", "", "Content-Length ", " folded", "Keep-Alive"),
    ]
)
_values = st.sampled_from(
    [
        *(
            "2",
            "0",
            " 2",
            "2 ",
            "+2",
            "02",
            "2, 2",
            "3",
            "99999",
            "1_0",
            "-1",
            "close",
            "keep-alive",
            "Close",
            "close, x",
        ),
        *("chunked", "x", "", " ", "\t2", "x\x00y", "é", "h2c"),
    ]
)
_lines = st.builds(
    lambda n, v, gap, end: f"{n}:{gap}{v}{end}",
    _names,
    _values,
    st.sampled_from(["", " "]),
    st.sampled_from(["\r\n", "\n"]),
)
_firsts = st.sampled_from(
    [
        *(
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200",
            "HTTP/1.1 200 ",
            "HTTP/1.0 200 OK",
            "HTTP/1.1 404 Not Found",
            "HTTP/1.1 204 No",
        ),
        *(
            "HTTP/1.1 100 Continue",
            "HTTP/1.1 304 Not",
            "HTTP/1.1 999 X",
            "HTTP/1.1  200 OK",
            "HTTP/2 200",
            "http/1.1 200 OK",
        ),
        *("HTTP/1.1 205 Reset", "HTTP/1.1 101 Up", "\r\nHTTP/1.1 200 OK", "HTTP/1.1 200 \x01", "HTTP/1.1 500 Né"),
    ]
)
_bodies = st.sampled_from([b"", b"{}", b"{}x", b"2\r\n{}\r\n0\r\n\r\n", b"{"])


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


_cuts = st.lists(st.integers(0, 120), max_size=3)


@given(_firsts, st.lists(_lines, max_size=5), _bodies, _cuts)
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n", "Content-Length: 2\r\n"], b"{}", [])
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n", "Connection: close\r\n"], b"{}", [])
@example("HTTP/1.1 200 OK", ["connection: close\r\n", "Content-Length: 2\r\n"], b"{}", [])
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n", "Proxy-Connection: close\r\n"], b"{}", [])
@example("HTTP/1.1 200 OK", ["Connection: close\r\n", "Connection: keep-alive\r\n", "Content-Length:2\r\n"], b"{}", [])
@example(
    "HTTP/1.1 200 OK", ["Content-Length: 17\r\n", "Transfer-Encoding: chunked\r\n"], b"2\r\n{}\r\n0\r\n\r\n     ", []
)
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n"], b"{}x", [39])
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n"], b"{", [39])
@settings(max_examples=300)
def test_both_find_the_same(first: str, lines: list[str], body: bytes, cuts: list[int]) -> None:
    data = f"{first}\r\n{''.join(lines)}\r\n".encode("latin-1") + body
    pieces = _pieces(data, cuts)
    assert _read(ReplyReader(), pieces) == _read(_Slow(), pieces)
    assert _read(ReplyReader(head_only=True), pieces) == _read(_Slow(head_only=True), pieces)


@given(st.integers(0, len(_OK)), st.binary(min_size=1, max_size=4), _cuts)
def test_both_find_the_same_in_damaged_bytes(at: int, damage: bytes, cuts: list[int]) -> None:
    pieces = _pieces(_OK[:at] + damage + _OK[at + len(damage) :], cuts)
    assert _read(ReplyReader(), pieces) == _read(_Slow(), pieces)


_HEAD = Head(200, b"1.1", b"OK", [(b"Content-Type", b"application/json"), (b"Content-Length", b"2")])


@given(_cuts)
def test_a_reply_in_pieces_is_the_same_reply(cuts: list[int]) -> None:
    assert _read(ReplyReader(), _pieces(_OK, cuts)) == ("reply", Reply(200, b"{}"), _HEAD, True)


@pytest.mark.parametrize("pieces", [[_OK], [_OK[:-2], _OK[-2:]], [_OK[:-2], b"{", b"}"], _OK.splitlines(keepends=True)])
@pytest.mark.parametrize("connection", [b"", b"Connection: Keep-Alive\r\n", b"CONNECTION:close \r\n"])
def test_the_plain_reply_takes_the_short_path(
    monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], connection: bytes
) -> None:
    monkeypatch.delattr("thekeys_async.protocol.h11_reading.h11.Connection")
    reader = ReplyReader()
    pieces = [piece.replace(b"Content-Type", connection + b"Content-Type") for piece in pieces]
    assert [reader.feed(piece) for piece in pieces][-1] == Reply(200, b"{}")
    assert reader.reusable is (b"close" not in connection)


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1])
def test_bodies_are_limited(size: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b" " * size)
    for reader in (ReplyReader(), _Slow()):
        if size > MAX_BODY:
            with pytest.raises(HttpError, match="64 KiB"):
                reader.feed(data)
        else:
            assert reader.feed(data) == Reply(200, b" " * size)


def _with_head_of(size: int) -> bytes:
    start, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 2\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end + b"{}"


@pytest.mark.parametrize("size", [MAX_HEAD, MAX_HEAD + 1])
@pytest.mark.parametrize("at_once", [True, False])
def test_heads_are_limited_however_they_come(size: int, *, at_once: bool) -> None:
    data = _with_head_of(size)
    pieces = [data] if at_once else _pieces(data, list(range(0, len(data), 1000)))
    for reader in (ReplyReader(), _Slow()):
        assert _read(reader, pieces)[0] == ("not HTTP" if size > MAX_HEAD else "reply")


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nLink: x\r\n\r\n"])
def test_interim_answers_are_skipped_and_limited(interim: bytes) -> None:
    assert _read(ReplyReader(), [interim * 3 + _OK]) == ("reply", Reply(200, b"{}"), _HEAD, True)
    assert _read(ReplyReader(), [interim, interim + _OK[:9], _OK[9:]]) == ("reply", Reply(200, b"{}"), _HEAD, True)
    many = MAX_HEAD // len(interim) + 1
    assert _read(ReplyReader(), [interim * many + _OK]) == ("not HTTP",)
    assert _read(ReplyReader(), [*[interim] * many, _OK]) == ("not HTTP",)


def test_no_connection_is_upgraded() -> None:
    assert _read(ReplyReader(), [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"]) == ("not HTTP",)


def test_requests_as_bytes() -> None:
    assert request_bytes(SignedRequest("GET", "/lockers"), common_headers("h")) == (
        b"GET /lockers HTTP/1.1\r\nHost: h\r\nUser-Agent: thekeys-async\r\nAccept: */*\r\n\r\n"
    )
    post = request_bytes(SignedRequest("POST", "/update"), common_headers("h:8080"))
    assert post.startswith(b"POST /update HTTP/1.1\r\nHost: h:8080\r\n")
    assert post.endswith(b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n")


def test_a_reply_in_very_many_pieces_is_left_to_h11_which_takes_no_longer_for_that() -> None:
    reader = ReplyReader()
    reply = _OK.replace(b"Content-Type", b"X-Padding: " + b"x" * 40 + b"\r\nContent-Type")
    pieces = [reply[:9], *(reply[n : n + 1] for n in range(9, len(reply)))]
    assert [reader.feed(piece) for piece in pieces[:60]] == [None] * 60
    assert reader._unusual is None
    assert [reader.feed(piece) for piece in pieces[60:]][-1] == Reply(200, b"{}")
    assert reader._unusual


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", _OK[:-1]])
def test_a_connection_whose_reply_has_not_ended_is_not_reusable(begun: bytes) -> None:
    reader = ReplyReader()
    if begun:
        assert reader.feed(begun) is None
    assert reader.reusable is False
