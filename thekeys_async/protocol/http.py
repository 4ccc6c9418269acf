"""The little of HTTP/1.1 that a gateway speaks: a request as bytes, and bytes as a reply.

The plain replies that gateways send take a short, strict path; everything unusual goes to h11, from its first byte.
"""

import re
from typing import Final

import h11

from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Outgoing

MAX_BODY: Final = 64 * 1024
MAX_HEAD: Final = 16 * 1024

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [ -~]*)?\r\n((?:" + _TOKEN + rb":[ \t]*[!-~](?:[ -~]*[!-~])?[ \t]*\r\n)*)\r\n"
)
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,5})[ \t]*\r$", re.MULTILINE)
_CONNECTION = re.compile(rb"^connection:[ \t]*(close|keep-alive)[ \t]*\r$", re.MULTILINE)
_UNUSUAL = re.compile(rb"^(?:transfer-encoding|upgrade):", re.MULTILINE)
_WITHOUT_BODY = frozenset({204, 205, 304})


class HttpError(Exception):
    """What came is not HTTP, or larger than allowed."""


class IncompleteError(Exception):
    """The connection ended before the reply did."""


def request_bytes(request: Outgoing, host: bytes) -> bytes:
    """Write a request as it goes over the wire.

    Args:
        request: What to send.
        host: The Host header.
    """
    head = b"%b %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: thekeys-async\r\nAccept: */*\r\n" % (
        request.method.encode("ascii"),
        request.path.encode("ascii"),
        host,
    )
    if not request.has_form:
        return head + b"\r\n"
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(request.body)
    return head + form + request.body


class ReplyReader:
    """Reads the reply to one request from the bytes of a connection."""

    def __init__(self) -> None:
        self._http: h11.Connection | None = None
        self._status = 0
        self._body = bytearray()
        self.reusable = False
        """Whether the connection may serve another request; known with the reply."""

    def feed(self, data: bytes) -> Reply | None:
        """Take what came; empty for the connection's end.

        Returns:
            The reply when it is complete.

        Raises:
            HttpError: It is not HTTP, or too large.
            IncompleteError: The connection has ended within it.
        """
        if self._http is None:
            if reply := self._plain(data):
                return reply
            self._http = _after_a_request()
        self._http.receive_data(data)
        try:
            return self._unusual(self._http)
        except h11.RemoteProtocolError:
            if not data:
                raise IncompleteError from None
            raise HttpError("the answer is not HTTP") from None

    def _plain(self, data: bytes) -> Reply | None:
        head = _HEAD.match(data)
        if head is None or head.end() > MAX_HEAD:
            return None
        status, headers = int(head[1]), head[2].lower()
        lengths = _LENGTH.findall(headers)
        if len(lengths) != 1 or headers.count(b"content-length") != 1 or status in _WITHOUT_BODY:
            return None
        connections = _CONNECTION.findall(headers)
        if _UNUSUAL.search(headers) or len(connections) != headers.count(b"connection:") or len(connections) > 1:
            return None
        if len(data) != head.end() + int(lengths[0]) or int(lengths[0]) > MAX_BODY:
            return None
        self.reusable = connections != [b"close"]
        return Reply(status, data[head.end() :])

    def _unusual(self, http: h11.Connection) -> Reply | None:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    raise HttpError(f"the answer is larger than {MAX_BODY // 1024} KiB")
            elif isinstance(event, h11.EndOfMessage):
                done = http.our_state is h11.DONE and http.their_state is h11.DONE
                self.reusable = done and not http.trailing_data[0] and not http.trailing_data[1]
                return Reply(self._status, bytes(self._body))
            elif not isinstance(event, h11.InformationalResponse):
                raise IncompleteError


def _after_a_request() -> h11.Connection:
    """h11 as it is when a request has been sent; which one makes no difference to it."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "gateway")]))
    http.send(h11.EndOfMessage())
    return http
