"""Between httpx's messages and bytes: a request's origin, its bytes, its timeouts, and the response.

Requests are written by h11, which validates them: what can't be sent is refused before anything is.
"""

import functools
from typing import TYPE_CHECKING

import anyio
import attrs
import h11
import httpx

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.replies import Head
from thekeys_async.transport.wire import CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

UNSENT_BECAUSE = "unsent_because"
"""The extension that says with which exception (its `id`) a request came back of which no byte has left."""

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class UnusableReplyError(httpx.RemoteProtocolError):
    """A reply came that breaks HTTP or the limits of this library."""


def origin(request: httpx.Request) -> Address:
    """Find out where a request goes.

    Raises:
        httpx.UnsupportedProtocol: Not to anything that speaks plain HTTP.
    """
    url = request.url
    if url.scheme != "http":
        raise httpx.UnsupportedProtocol("a gateway speaks plain HTTP only", request=request)
    try:
        return _address(url.netloc)
    except ValueError:
        raise httpx.UnsupportedProtocol("the request has no address of a gateway", request=request) from None


@functools.lru_cache
def _address(netloc: bytes) -> Address:
    return Address.parse(netloc.decode("ascii").replace("%25", "%"))  # in a URL an IPv6 zone may be written so


@attrs.frozen
class Limits:
    """The seconds that the parts of an exchange may take, from httpx's ``timeout`` extension; None for no limit.

    Attributes:
        connect: Until there is a connection; 5 s where the extension does not name it.
        read: Until something more of the reply comes.
        write: Until a part of the request has left.
        pool: Until the requests before this one are done.
    """

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None

    @classmethod
    def of(cls, request: httpx.Request) -> "Limits":
        """Read a request's timeouts."""
        given: Mapping[str, float | None] = request.extensions.get("timeout") or {}
        return cls(given.get("connect", CONNECT_SECONDS), given.get("read"), given.get("write"), given.get("pool"))


class WrittenRequest:
    """A request written down.

    Attributes:
        first: Its head, and all of its body if that is there already.
        fresh: Whether it takes a connection of its own: it may do something, and must not be lost in a dead one.
        last: Whether its connection can't be used afterwards.
        head_only: Whether it asks for no body.

    Raises:
        httpx.LocalProtocolError: It is not one that can be sent.
    """

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._http = h11.Connection(h11.CLIENT)
        self._chunks: AsyncIterator[bytes] | None = None
        self.last = "close" in (token.lower() for token in request.headers.get_list("connection", split_commas=True))
        self.fresh = self.last or request.method not in _REPEATABLE
        self.head_only = request.method == "HEAD"
        try:
            self.first = self._begin()
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise httpx.LocalProtocolError(str(error), request=request) from None

    def _begin(self) -> bytes:
        request = self._request
        if request.method.upper() == "CONNECT" or "upgrade" in request.headers:
            raise h11.LocalProtocolError("a gateway's connection is not upgraded")
        target = request.extensions.get("target", request.url.raw_path)
        head = self._write(h11.Request(method=request.method, target=target, headers=request.headers.raw))
        if isinstance(request.stream, httpx.ByteStream):
            body = b"".join(request.stream)
            return head + (self._write(h11.Data(data=body)) if body else b"") + self._write(h11.EndOfMessage())
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise h11.LocalProtocolError("the body of the request can't be read asynchronously")
        self._chunks = aiter(request.stream)
        return head

    def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> bytes:
        return self._http.send(event) or b""

    async def more(self) -> bytes | None:
        """Write the next part of a body that streams; None at its end.

        Raises:
            httpx.WriteError: The body is not as long as the head has said.
        """
        if self._chunks is None:
            return None
        event: h11.Data | h11.EndOfMessage = h11.EndOfMessage()
        try:
            event = h11.Data(data=await anext(self._chunks))
        except StopAsyncIteration:
            self._chunks = None
        try:
            return self._write(event)
        except h11.LocalProtocolError as error:
            raise httpx.WriteError(str(error), request=self._request) from None

    async def aclose(self) -> None:
        """End the generator of a body that has not been sent to its end; httpx would leave it to the collector."""
        if aclose := getattr(self._chunks, "aclose", None):
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                await aclose()


def response(request: httpx.Request, head: Head, body: bytes) -> httpx.Response:
    """Make httpx's response of a complete reply."""
    return httpx.Response(
        head.status,
        headers=head.headers,
        stream=httpx.ByteStream(body),
        extensions={"http_version": b"HTTP/" + head.version, "reason_phrase": head.reason},
        request=request,
    )
