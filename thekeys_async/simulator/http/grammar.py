"""The grammar of HTTP/1.1: bytes to a request, a reply to bytes.

Plain requests take a short, strict path, so that the simulation costs little of the time that a test measures;
everything unusual goes to h11, from its first byte.
"""

import re
from collections.abc import Awaitable, Callable

import attrs
import h11

from thekeys_async.simulator.http.messages import Request, Response

_MAX_HEAD = 16 * 1024
_MAX_BODY = 64 * 1024
_TOO_LARGE = 413

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = r"[!-~](?:[ -~]*[!-~])?"
_HEAD = re.compile(rf"(GET|POST) ([!-~]+) HTTP/1\.1\r\n((?:{_NAME}:[ \t]*{_VALUE}[ \t]*\r\n)+)\r\n")
_FIELD = re.compile(rf"({_NAME}):[ \t]*({_VALUE})[ \t]*\r\n")
_LENGTH = re.compile(r"[0-9]{1,5}")
_UNUSUAL = frozenset({"transfer-encoding", "upgrade", "expect"})
_WITHOUT_BODY = frozenset({204, 304})
_CLOSE = "Connection: close\r\n"


class RequestReader:
    """Reads the requests of one connection, one after the other.

    Args:
        receive: Waits for the next bytes; none is the end.
    """

    def __init__(self, receive: Callable[[], Awaitable[bytes]]) -> None:
        self._receive = receive
        self._left = b""

    async def next(self) -> Request | None:
        """Wait for the next request; None if there will be none.

        Raises:
            h11.RemoteProtocolError: What came is not HTTP, or too large; it says with which status to turn it away.
        """
        data = self._left or await self._receive()
        if not data:
            return None
        plain = _plain_head(data)
        if plain is not None:
            while len(data) < plain.end and (more := await self._receive()):
                data += more
            if len(data) >= plain.end:
                self._left = data[plain.end :]
                return plain.request(data)
        return await self._unusual(data)

    async def _unusual(self, data: bytes) -> Request | None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        http.receive_data(data)
        head: h11.Request | None = None
        body = bytearray()
        while True:
            match event := http.next_event():
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                    if len(body) > _MAX_BODY:
                        raise h11.RemoteProtocolError("The body is too long.", error_status_hint=_TOO_LARGE)
                case h11.EndOfMessage() if head is not None:
                    self._left = http.trailing_data[0]
                    return _request(head, bytes(body), keep_alive=http.their_state is not h11.MUST_CLOSE)
                case h11.NEED_DATA:
                    http.receive_data(await self._receive())
                case _:
                    return None


@attrs.frozen
class _PlainHead:
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    start: int
    end: int
    keep_alive: bool

    def request(self, data: bytes) -> Request:
        path, _, query = self.target.partition("?")
        return Request(self.method, path, query, self.fields, data[self.start : self.end], self.keep_alive)


def _plain_head(data: bytes) -> _PlainHead | None:
    """Read the head of a request if it is complete and there is nothing unusual about it."""
    head = _HEAD.match(data.decode("latin-1"))
    if head is None or head.end() > _MAX_HEAD:
        return None
    method, target, lines = head.groups()
    fields = tuple([(name.lower(), value) for name, value in _FIELD.findall(lines)])
    known = dict(fields)
    if len(known) < len(fields) or "host" not in known or not _UNUSUAL.isdisjoint(known):
        return None
    length, connection = known.get("content-length", "0"), known.get("connection", "keep-alive").lower()
    if not _LENGTH.fullmatch(length) or int(length) > _MAX_BODY or connection not in {"keep-alive", "close"}:
        return None
    end = head.end() + int(length)
    return _PlainHead(method, target, fields, head.end(), end, connection == "keep-alive")


def _request(head: h11.Request, body: bytes, *, keep_alive: bool) -> Request:
    path, _, query = head.target.decode("latin-1").partition("?")
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
    return Request(head.method.decode("latin-1"), path, query, headers, body, keep_alive)


def written(response: Response, method: str = "GET", *, keep_alive: bool) -> tuple[bytes, bytes]:
    """Write a reply as bytes: its head, and its body.

    Args:
        response: The reply.
        method: Of the request; a HEAD gets no body.
        keep_alive: Whether the connection will be kept; if not, the reply says so.
    """
    own = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    head = (
        f"HTTP/1.1 {response.status} \r\nContent-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n{own}{'' if keep_alive else _CLOSE}\r\n"
    )
    without = method == "HEAD" or response.status in _WITHOUT_BODY
    return head.encode("latin-1"), b"" if without else response.body
