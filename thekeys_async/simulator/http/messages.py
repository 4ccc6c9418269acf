"""HTTP requests and replies as values, and the grammar of HTTP/1.1 between them and bytes.

Plain requests take a short, strict path, so that the simulation costs little of the time that a test measures;
everything unusual goes to h11, from its first byte.
"""

import json
import re
from collections.abc import Awaitable, Callable
from enum import Enum
from http import HTTPStatus
from urllib.parse import parse_qsl

import attrs
import h11

_MAX_FIELDS = 100


@attrs.frozen
class HttpRequest:
    """One whole HTTP request.

    Attributes:
        method: In capitals.
        path: Without the query.
        query: The part behind the question mark.
        headers: Names in lower case. Not in the repr, for they may hold a token.
        body: Not in the repr, for it may hold a hash or a password.
        keep_alive: Whether the client may use the connection again.
    """

    method: str
    path: str
    query: str = attrs.field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    keep_alive: bool = True

    def header(self, name: str) -> str | None:
        """Return the first header of that name, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def form(self) -> dict[str, str]:
        """Return the fields of a form body, whatever the content type says, and those in the query of a GET.

        A bare `+` is a space, as the standard has it.
        """
        fields = _fields(self.body.decode("utf-8", "replace"))
        return fields if self.method == "POST" else _fields(self.query) | fields


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}


class Delivery(Enum):
    """The ways in which the bytes of a reply go out."""

    WHOLE = "whole"
    HALF = "half"  # half of the body, then the connection is closed
    DRIP = "drip"  # byte by byte
    RESET = "reset"  # not one byte: the connection is reset
    PIECES = "pieces"  # in pieces of given sizes at given times
    NEVER = "never"  # nothing, until the client hangs up


class Ending(Enum):
    """The end of a reply."""

    SENT = "sent"
    GONE = "gone"  # the client had hung up before it was out


@attrs.frozen
class HttpResponse:
    """One HTTP reply.

    Attributes:
        body: The bytes of it.
        status: The HTTP status.
        content_type: Sent as it stands.
        headers: Further headers.
        close: Say `Connection: close`, and do it.
        delivery: The way in which the bytes go out.
        pace: Seconds between two bytes of a drip.
        over: Called once, when the reply is out or nobody is there to take it.
        raw: All of the bytes, with a head of their own; instead of what the attributes above make.
        pieces: For delivery in pieces: when each goes out, in seconds from some moment, and how many bytes it has.
    """

    body: bytes = attrs.field(default=b"", repr=False)
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    close: bool = False
    delivery: Delivery = Delivery.WHOLE
    pace: float = 0.05
    over: Callable[[Ending], None] | None = attrs.field(default=None, repr=False)
    raw: bytes | None = attrs.field(default=None, repr=False)
    pieces: tuple[tuple[float, int], ...] = ()

    @classmethod
    def json(cls, value: object, status: int = 200) -> "HttpResponse":
        """Make a reply of a value that JSON can write."""
        return cls(json.dumps(value).encode(), status)

    def ended_by(self, *, close: bool, over: "Callable[[Ending], None] | None" = None) -> "HttpResponse":
        """Return the same reply with another ending."""
        # Once for every request: `attrs.evolve` would be dear.
        return HttpResponse(
            self.body,
            self.status,
            self.content_type,
            self.headers,
            close,
            self.delivery,
            self.pace,
            over,
            self.raw,
            self.pieces,
        )


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""A function that answers one request."""


_MAX_HEAD = 16 * 1024
_MAX_BODY = 64 * 1024
_TOO_LARGE = 413

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = r"[!-~](?:[ -~]*[!-~])?"
_HEAD = re.compile(rf"(GET|POST) ([!-~]+) HTTP/1\.1\r\n((?:{_NAME}:[ \t]*{_VALUE}[ \t]*\r\n)+)\r\n")
_FIELD = re.compile(rf"({_NAME}):[ \t]*({_VALUE})[ \t]*\r\n")
_LENGTH = re.compile(r"[0-9]{1,5}")
_UNUSUAL = frozenset({"transfer-encoding", "upgrade", "expect"})
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_WITHOUT_BODY = frozenset({204, 304})
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_CLOSE = "Connection: close\r\n"


class RequestReader:
    """Reads the requests of one connection, one after the other.

    Args:
        receive: Waits for the next bytes; none is the end.
        send: Sends the interim answer that a client may wait for before it sends its body.
    """

    def __init__(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], Awaitable[None]]) -> None:
        self._receive = receive
        self._send = send
        self._left = b""

    async def next(self) -> HttpRequest | None:
        """Wait for the next request; None if there will be none.

        Raises:
            h11.RemoteProtocolError: What came is not HTTP, or too large; it says with which status to turn it away.
        """
        data = self._left
        while not (data := data.lstrip(b"\r\n")):  # some clients send a line end too many after a form
            if not (data := await self._receive()):
                return None
        plain = _plain_head(data)
        if plain is not None:
            while len(data) < plain.end and (more := await self._receive()):
                data += more
            if len(data) >= plain.end:
                self._left = data[plain.end :]
                return plain.request(data)
        return await self._unusual(data)

    async def _unusual(self, data: bytes) -> HttpRequest | None:
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
                    if http.they_are_waiting_for_100_continue:
                        await self._send(_interim(http))
                    http.receive_data(await self._receive())
                case _:
                    return None


def _interim(http: h11.Connection) -> bytes:
    return http.send(h11.InformationalResponse(status_code=100, headers=[], reason="Continue")) or b""


@attrs.frozen
class _PlainHead:
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    start: int
    end: int
    keep_alive: bool

    def request(self, data: bytes) -> HttpRequest:
        path, query = _path_and_query(self.target)
        return HttpRequest(self.method, path, query, self.fields, data[self.start : self.end], self.keep_alive)


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


def _path_and_query(target: str) -> tuple[str, str]:
    """Take a request's target apart, which may be a whole URL."""
    if not target.startswith("/"):
        target = _ORIGIN.sub("", target, count=1)
    path, _, query = target.partition("?")
    return path or "/", query


def _request(head: h11.Request, body: bytes, *, keep_alive: bool) -> HttpRequest:
    path, query = _path_and_query(head.target.decode("latin-1"))
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
    return HttpRequest(head.method.decode("latin-1"), path, query, headers, body, keep_alive)


def written(response: HttpResponse, method: str = "GET", *, keep_alive: bool) -> tuple[bytes, bytes]:
    """Write a reply as bytes: its head, and its body.

    Args:
        response: The reply.
        method: Of the request; a HEAD gets no body.
        keep_alive: Whether the connection will be kept; if not, the reply says so.
    """
    if response.raw is not None:
        return response.raw, b""
    status = f"{response.status} {_REASONS.get(response.status, 'Unknown')}"
    own = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n{own}{'' if keep_alive else _CLOSE}\r\n"
    )
    without = method == "HEAD" or response.status in _WITHOUT_BODY
    return head.encode("latin-1"), b"" if without else response.body
