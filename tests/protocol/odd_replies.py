"""Odd replies to a request: what comes, and who can read it.

Each row is what a server sends to one request before it closes the connection. The body is good in all of them; the
question is whether a client finds it. `requests` and `curl` are what those two made of the row when it was written.
"""

import gzip

import attrs

BODY = b'{"status": "ok", "code": 0}'
_LENGTH = b"Content-Length: %d\r\n" % len(BODY)
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
_CHUNKED = b"Transfer-Encoding: chunked\r\n"


@attrs.frozen
class Odd:
    """One odd reply.

    Attributes:
        name: What is odd about it.
        data: The bytes.
        read: Whether we read it.
        requests: Whether python-requests does.
        curl: Whether curl does.
        why: Why we do not read what one of them does.
    """

    name: str
    data: bytes
    read: bool = True
    requests: bool = True
    curl: bool = True
    why: str = ""


def _head(name: str, line: bytes, *, read: bool = True, requests: bool = True, curl: bool = True, why: str = "") -> Odd:
    """A reply with a header line more."""
    return Odd(name, _OK + line + b"\r\n" + _LENGTH + b"\r\n" + BODY, read, requests, curl, why)


def _length(
    name: str, value: bytes, *, read: bool = True, requests: bool = True, curl: bool = True, why: str = ""
) -> Odd:
    """A reply with this length."""
    return Odd(name, _OK + b"Content-Length:" + value + b"\r\n\r\n" + BODY, read, requests, curl, why)


def _first(
    name: str, line: bytes, *, read: bool = True, requests: bool = True, curl: bool = True, why: str = ""
) -> Odd:
    """A reply with this first line."""
    return Odd(name, line + b"\r\n" + _LENGTH + b"\r\n" + BODY, read, requests, curl, why)


def _coded(
    name: str, coding: bytes, body: bytes, *, read: bool = True, requests: bool = True, curl: bool = True, why: str = ""
) -> Odd:
    """A reply with this transfer coding."""
    return Odd(name, _OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + body, read, requests, curl, why)


_TWO_WAYS = "where the reply ends could be read in two ways"
_NOT_HTTP = "it is not HTTP/1"
_NOT_ASKED = "the body is compressed, which was not asked for"

ODD: tuple[Odd, ...] = (
    # First lines
    _first("plain", b"HTTP/1.1 200 OK"),
    _first("no reason", b"HTTP/1.1 200"),
    _first("empty reason", b"HTTP/1.1 200 "),
    _first("HTTP/1.0", b"HTTP/1.0 200 OK"),
    _first("lower case", b"http/1.1 200 OK", requests=False),
    _first("mixed case", b"Http/1.1 200 OK", requests=False),
    _first("lower case, HTTP/1.0", b"http/1.0 200 OK", requests=False),
    _first("reason in Latin-1", b"HTTP/1.1 200 D\xe9j\xe0"),
    _first("reason in UTF-8", "HTTP/1.1 200 Déjà".encode()),
    _first("tab in the reason", b"HTTP/1.1 200 O\tK"),
    _first("two spaces before the status", b"HTTP/1.1  200 OK"),
    _first("no space after HTTP", b"HTTP/1.1200 OK", read=False, requests=False, curl=False),
    _first("HTTP/1", b"HTTP/1 200 OK", read=False, requests=False, curl=False),
    _first("HTTP/2", b"HTTP/2 200 OK", read=False, requests=False, why=_NOT_HTTP),
    _first("HTTP/1.2", b"HTTP/1.2 200 OK", curl=False),
    _first("status of two digits", b"HTTP/1.1 20 OK", read=False, requests=False, curl=False),
    _first("status 999", b"HTTP/1.1 999 OK"),
    _first("another protocol", b"ICY 200 OK", read=False, requests=False, curl=False),
    _first("blank line before", b"\r\nHTTP/1.1 200 OK", requests=False, curl=False),
    _first("two blank lines before", b"\n\nHTTP/1.1 200 OK", requests=False, curl=False),
    _first("space before", b" HTTP/1.1 200 OK", read=False, curl=False, why=_NOT_HTTP),
    _first("100 before", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"),
    _first("103 before", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK", requests=False),
    Odd("only a body", BODY, read=False, requests=False, curl=False),
    # Statuses: the body says what happened
    _first("201", b"HTTP/1.1 201 Created"),
    _first("400", b"HTTP/1.1 400 Bad Request"),
    _first("404", b"HTTP/1.1 404 Not Found"),
    _first("500", b"HTTP/1.1 500 Internal Server Error"),
    _first("503", b"HTTP/1.1 503 Service Unavailable"),
    _first("302 without a place", b"HTTP/1.1 302 Found"),
    _first("204 with a body", b"HTTP/1.1 204 No Content", read=False, requests=False, curl=False),
    # Header lines
    _head("no colon", b"nonsense", curl=False),
    _head("no colon, several words", b"this is no header", curl=False),
    _head("no name", b": x"),
    _head("odd name", b"X(Y): z"),
    _head("name in Latin-1", b"\xc9tat: z"),
    _head("space in a name", b"X Y: z", read=False, why=_TWO_WAYS),
    _head("space after a name", b"X-Y : z", read=False, why=_TWO_WAYS),
    _head("empty value", b"X-Y:"),
    _head("value in Latin-1", b"X-Y: \xe9"),
    _head("control character in a value", b"X-Y: a\x01b"),
    _head("NUL in a value", b"X-Y: a\x00b", read=False, curl=False, why=_TWO_WAYS),
    _head("folded", b"X-Y: a\r\n b"),
    _head("folded first", b" X-Y: a", read=False, curl=False, why=_TWO_WAYS),
    _head("long", b"X-Y: " + b"z" * 8000),
    _head("the same twice", b"X-Y: 1\r\nX-Y: 2"),
    _head("no content type, but a cookie", b"Set-Cookie: a=b; Path=/"),
    _head("keep-alive", b"Connection: Keep-Alive\r\nKeep-Alive: timeout=5, max=100"),
    _head("upgrade offered", b"Upgrade: h2c\r\nConnection: Upgrade"),
    _head("gzip that is none", b"Content-Encoding: gzip", requests=False),
    _head("content encoding identity", b"Content-Encoding: identity"),
    Odd("lines end in LF", (_OK + _LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY),
    Odd("lines end in both", _OK + _LENGTH.replace(b"\r\n", b"\n") + b"\r\n" + BODY),
    Odd("no headers", _OK + b"\r\n" + BODY),
    # Lengths
    _length("no space", b"%d" % len(BODY)),
    _length("spaces around", b"   %d  " % len(BODY)),
    _length("leading zeros", b" 000%d" % len(BODY)),
    _length("empty", b"", curl=False),
    _length("quoted", b' "%d"' % len(BODY), curl=False),
    _length("negative", b" -1", curl=False),
    _length("with a plus", b" +%d" % len(BODY)),
    _length("a word", b" unknown", read=False, curl=False, why=_TWO_WAYS),
    _length("a list of the same", b" %d, %d" % (len(BODY), len(BODY))),
    _length("length folded", b" %d\r\n 0" % len(BODY), read=False, why=_TWO_WAYS),
    _length("too small", b" %d" % (len(BODY) - 2), read=False, requests=False, curl=False),
    _length("too large", b" %d" % (len(BODY) + 9), read=False, requests=False, curl=False),
    _head("length twice, the same", _LENGTH.rstrip()),
    _head("length twice, different", b"Content-Length: 5", read=False, requests=False, why=_TWO_WAYS),
    _head("length twice, one empty", b"Content-Length:", read=False, curl=False, why=_TWO_WAYS),
    _head("length with a space before the colon", b"Content-Length : 5", read=False, why=_TWO_WAYS),
    _head("length without a colon", b"Content-Length 5", read=False, curl=False, why=_TWO_WAYS),
    Odd("bytes behind the body", _OK + _LENGTH + b"\r\n" + BODY + b"\r\n\r\n"),
    # Transfer codings
    _coded("identity", b"identity", BODY),
    _coded("chunked", b"chunked", _CHUNK + b"0\r\n\r\n"),
    _coded("chunked in capitals", b"CHUNKED", _CHUNK + b"0\r\n\r\n"),
    _coded("chunk with an extension", b"chunked", _CHUNK.replace(b"\r\n", b";a=b\r\n", 1) + b"0\r\n\r\n"),
    _coded("chunk length with zeros", b"chunked", b"00" + _CHUNK + b"0\r\n\r\n"),
    _coded("chunks and a trailer", b"chunked", _CHUNK + b"0\r\nX: y\r\n\r\n"),
    _coded("chunks without the last line end", b"chunked", _CHUNK + b"0\r\n", curl=False),
    _coded("chunks without the last", b"chunked", _CHUNK, read=False, requests=False, curl=False),
    _coded("said to be chunked", b"chunked", BODY, read=False, requests=False, curl=False),
    Odd("identity and a length", _OK + b"Transfer-Encoding: identity\r\n" + _LENGTH + b"\r\n" + BODY),
    Odd("chunked and a length", _OK + _CHUNKED + _LENGTH + b"\r\n" + _CHUNK + b"0\r\n\r\n"),
    Odd(
        "identity and chunked",
        _OK + b"Transfer-Encoding: identity\r\n" + _CHUNKED + b"\r\n" + _CHUNK + b"0\r\n\r\n",
        read=False,
        why=_TWO_WAYS,
    ),
    _coded("gzip", b"gzip", gzip.compress(BODY, mtime=0), read=False, requests=False, why=_NOT_ASKED),
    Odd(
        "gzip, not asked for",
        _OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0),
        read=False,
        curl=False,
        why=_NOT_ASKED,
    ),
)
