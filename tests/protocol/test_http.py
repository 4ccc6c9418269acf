"""The short path and h11 find the same in the same bytes."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thekeys_async.protocol.http import MAX_BODY, HttpError, IncompleteError, ReplyReader, request_bytes
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Outgoing

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class _Slow(ReplyReader):
    """Knows no short path."""

    def _plain(self, data: bytes) -> Reply | None:
        return None


def _read(reader: ReplyReader, chunks: list[bytes]) -> tuple:
    """What comes of the bytes, and of the end of the connection if that is needed."""
    try:
        for chunk in [*chunks, b""]:
            if reply := reader.feed(chunk):
                return "reply", reply, reader.reusable and chunk != b""
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


@given(_firsts, st.lists(_lines, max_size=4), _bodies)
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n", "Content-Length: 2\r\n"], b"{}")
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n", "Connection: close\r\n"], b"{}")
@example("HTTP/1.1 200 OK", ["Content-Length: 2\r\n", "Proxy-Connection: close\r\n"], b"{}")
def test_both_find_the_same(first: str, lines: list[str], body: bytes) -> None:
    data = f"{first}\r\n{''.join(lines)}\r\n".encode("latin-1") + body
    assert _read(ReplyReader(), [data]) == _read(_Slow(), [data])


@given(st.integers(0, len(_OK)), st.binary(min_size=1, max_size=4))
def test_both_find_the_same_in_damaged_bytes(at: int, damage: bytes) -> None:
    data = _OK[:at] + damage + _OK[at + len(damage) :]
    assert _read(ReplyReader(), [data]) == _read(_Slow(), [data])


@given(st.lists(st.integers(0, len(_OK)), max_size=4).map(sorted))
def test_a_reply_in_pieces_is_the_same_reply(cuts: list[int]) -> None:
    edges = [0, *cuts, len(_OK)]
    pieces = [_OK[a:b] for a, b in pairwise(edges) if a != b]
    assert _read(ReplyReader(), pieces) == ("reply", Reply(200, b"{}"), True)


def test_the_plain_reply_takes_the_short_path() -> None:
    reader = ReplyReader()
    assert reader._plain(_OK) == Reply(200, b"{}")
    assert reader.reusable


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1])
def test_bodies_are_limited(size: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b" " * size)
    for reader in (ReplyReader(), _Slow()):
        if size > MAX_BODY:
            with pytest.raises(HttpError, match="64 KiB"):
                reader.feed(data)
        else:
            assert reader.feed(data) == Reply(200, b" " * size)


def test_requests_as_bytes() -> None:
    assert request_bytes(Outgoing("GET", "/lockers"), b"h") == (
        b"GET /lockers HTTP/1.1\r\nHost: h\r\nUser-Agent: thekeys-async\r\nAccept: */*\r\n\r\n"
    )
    post = request_bytes(Outgoing("POST", "/update"), b"h:8080")
    assert post.endswith(b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n")
