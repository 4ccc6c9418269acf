"""Bytes to requests: the short path reads what h11 reads, and leaves the rest to it."""

import h11
import pytest

from thekeys_async.simulator.http import messages
from thekeys_async.simulator.http.messages import HttpResponse, RequestReader, written

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

FORM = b"POST /open?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na=b+c"


def feed(*pieces):
    """Hand out one piece after the other, and then nothing, for ever."""
    left = list(pieces)

    async def receive():
        return left.pop(0) if left else b""

    return receive


async def read(*pieces, sent=None):
    """Read all requests that come in these pieces, and note what is sent meanwhile."""

    async def send(data):
        assert sent is not None
        sent.append(data)

    reader = RequestReader(feed(*pieces), send)
    requests = []
    while request := await reader.next():
        requests.append(request)
    return requests


@pytest.fixture
def without_h11(monkeypatch):
    monkeypatch.setattr(h11, "Connection", None)


@pytest.fixture
def without_short_path(monkeypatch):
    monkeypatch.setattr(messages, "_plain_head", lambda data: None)


PLAIN = [
    FORM,
    b"GET / HTTP/1.1\r\nHost:a\r\n\r\n",
    b"GET /lockers HTTP/1.1\r\nhost:  a:80 \t\r\nACCEPT: a, b\r\nConnection: Keep-Alive\r\n\r\n",
    b"POST /update HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n\r\n\r\n\x00\xff!",
]


@pytest.mark.parametrize("data", PLAIN)
async def test_a_plain_request_does_without_h11(without_h11, data):
    assert len(await read(data)) == 1


@pytest.mark.parametrize("data", PLAIN)
async def test_both_ways_read_the_same(data, request):
    plain = await read(data)
    request.getfixturevalue("without_short_path")
    assert await read(data) == plain


@pytest.mark.parametrize(
    ("data", "keep_alive"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\na=b", True),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n", True),
    ],
)
async def test_the_unusual_is_read_too(data, keep_alive):
    unusual, plain = await read(data + FORM)
    assert unusual.keep_alive is keep_alive
    assert unusual.form() in ({}, {"a": "b"})
    assert (plain.path, plain.query, plain.form()) == ("/open", "x=1", {"a": "b c"})


@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"\r\n\r\n"])
async def test_blank_lines_before_a_request_are_skipped(without_h11, blank):
    assert await read(blank + FORM + blank + FORM) == await read(FORM + FORM)
    assert await read(blank, blank, FORM) == await read(FORM)
    assert await read(FORM, blank) == await read(FORM)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://a/open?x=1", "/open", "x=1"),
        ("HTTP://a:8080/open/", "/open/", ""),
        ("http://a", "/", ""),
        ("http://[::1]:80?x", "/", "x"),
        ("/a?http://b/c", "/a", "http://b/c"),
    ],
)
async def test_a_target_may_be_a_whole_url(target, path, query):
    data = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode()
    (plain,) = await read(data)
    (unusual,) = await read(data.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n")
    assert (plain.path, plain.query) == (unusual.path, unusual.query) == (path, query)


async def test_a_client_that_waits_for_100_is_told_to_go_on():
    head, body = FORM[:-5].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), FORM[-5:]
    sent = []
    (request,) = await read(head, body, sent=sent)
    assert (request.body, sent) == (b"a=b+c", [b"HTTP/1.1 100 Continue\r\n\r\n"])
    (request,) = await read(head + body, sent=sent)
    assert (request.body, len(sent)) == (b"a=b+c", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nAccept: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\na=b",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
    ],
)
async def test_what_is_not_a_request_is_refused(data):
    with pytest.raises(h11.RemoteProtocolError):
        await read(data)


@pytest.mark.parametrize("size", [1, 2, 7, 60])
async def test_it_does_not_matter_how_the_bytes_are_cut(size):
    data = FORM + PLAIN[1] + FORM
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert await read(*pieces) == await read(data)
    assert len(await read(data)) == 3


async def test_a_body_that_comes_after_its_head_does_without_h11(without_h11):
    (request,) = await read(FORM[:-5], FORM[-5:-2], FORM[-2:])
    assert request.body == b"a=b+c"


@pytest.mark.parametrize(("status", "reason"), [(200, "OK"), (404, "Not Found"), (599, "Unknown")])
def test_the_status_line_has_a_reason(status, reason):
    head, _ = written(HttpResponse(status=status), keep_alive=True)
    assert head.startswith(f"HTTP/1.1 {status} {reason}\r\n".encode())


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_h11_can_read_what_is_written(keep_alive, method):
    response = HttpResponse(b"body", 302, "text/plain", (("Location", "/elsewhere"),))
    head, body = written(response, method, keep_alive=keep_alive)
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    http.send(h11.EndOfMessage())
    http.receive_data(head + body)
    reply = http.next_event()
    assert (reply.status_code, dict(reply.headers)[b"location"]) == (302, b"/elsewhere")
    assert (dict(reply.headers)[b"content-length"], body) == (b"4", b"" if method == "HEAD" else b"body")
    while not isinstance(http.next_event(), h11.EndOfMessage):
        pass
    assert (http.their_state is h11.DONE) is keep_alive
