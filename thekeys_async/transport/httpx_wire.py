"""The same wire through an httpx client or transport of the caller's.

It knows less than the library's own: only a failed connect proves that nothing was sent, a timestamp is taken before
the connection is opened, and no connection is kept, as httpx can't be asked whether it is still good. A
`GatewayTransport` is better: given as the transport, it is used as what it is, the library's own wire; behind a client,
its word is taken for whether anything was sent.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import httpx

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.replies import MAX_BODY, Reply
from thekeys_async.transport.gateway_transport import GatewayTransport, own_wire
from thekeys_async.transport.httpx_messages import UNSENT_BECAUSE, UnusableReplyError
from thekeys_async.transport.wire import (
    CONNECT_SECONDS,
    Attempt,
    NoAnswerError,
    NotSentError,
    Prepare,
    UnusableAnswerError,
    Wire,
)

_LEFT_IN_BUFFERS = 100
_BROKEN = (
    *(httpx.HTTPError, httpx.StreamError, OSError),
    *(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream),
)

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]


class HttpxWire:
    """A wire that hands its requests to httpx."""

    def __init__(self, address: Address, send: Send) -> None:
        self._address = address
        self._send = send

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:  # noqa: ARG002
        """See `thekeys_async.transport.wire.Wire.exchange`; `fresh` is not ours to decide here."""
        # A transport that answers at once may never let others run, nor hear that its task is cancelled.
        await anyio.lowlevel.checkpoint()
        trace = _Trace(attempt.send_by)
        request = self._request(prepare, trace)
        attempt.sent = True
        try:
            response = await self._send(request)
            try:
                return Reply(response.status_code, await _body(response))
            finally:
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                    await response.aclose()
        except NotSentError:
            attempt.sent = False
            raise
        except UnusableReplyError as error:
            raise UnusableAnswerError(str(error)) from None
        except _BROKEN as error:
            if _is_known_unsent(request, error) or trace.shows_unsent(error):
                attempt.sent = False
                raise NotSentError(f"no connection to {self._address} ({type(error).__name__})") from None
            raise NoAnswerError(f"the connection broke before the answer ({type(error).__name__})") from None
        except BaseException as error:
            attempt.sent = not _is_known_unsent(request, error)
            raise

    def drop(self) -> None:
        """See `thekeys_async.transport.wire.Wire.drop`; what httpx keeps is not ours, and we ask it to keep none."""

    def _request(self, prepare: Prepare, trace: "_Trace") -> httpx.Request:
        outgoing = prepare()
        headers = {"Host": self._address.authority, "User-Agent": "thekeys-async", "Accept": "*/*"}
        headers["Connection"] = "close"  # what a kept connection still holds could be taken for the answer to a command
        if outgoing.has_form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        timeout = {"connect": CONNECT_SECONDS, "read": None, "write": None, "pool": None}
        request = httpx.Request(
            outgoing.method,
            f"http://{self._address}{outgoing.path}",
            headers=headers,
            content=outgoing.body if outgoing.has_form else None,
            extensions={"timeout": timeout, "trace": trace},
        )
        request.stream = _Bytes(outgoing.body)
        return request


class _Bytes(httpx.ByteStream):
    """A body whose iterator is no generator: cancelled in the middle, httpx would leave that to the collector."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Parts(iter(self))


class _Parts(AsyncIterator[bytes]):
    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    async def __anext__(self) -> bytes:
        for part in self._parts:
            return part
        raise StopAsyncIteration


class _Trace:
    """A listener to httpcore's trace: the connection could not be opened, or the request is about to leave.

    A transport that repeats requests by itself may have sent one before it could not connect for the next.

    Args:
        send_by: When it must have left, in the event loop's time.
    """

    def __init__(self, send_by: float) -> None:
        self._send_by = send_by
        self._failed = False
        self._sent = False

    async def __call__(self, event: str, _info: dict[str, Any]) -> None:
        if "send_request" in event:
            if not self._sent and anyio.current_time() >= self._send_by:
                raise NotSentError("the connection came too late to send anything")
            self._sent = True
        elif event == "connection.connect_tcp.failed":
            self._failed = True
        elif event == "connection.connect_tcp.complete":
            self._failed = False

    def shows_unsent(self, error: Exception) -> bool:
        """Tell whether nothing was sent before this error."""
        return not self._sent and (self._failed or isinstance(error, httpx.ConnectError))


def _is_known_unsent(request: httpx.Request, error: BaseException) -> bool:
    """Tell whether this very error is a `GatewayTransport`'s, which says that no byte of the request has left.

    A transport around it may have gone on to another one after an error that was.
    """
    return request.extensions.get(UNSENT_BECAUSE) == id(error)


def wire(address: Address, client: httpx.AsyncClient | None, transport: httpx.AsyncBaseTransport | None) -> Wire | None:
    """Make the wire through a client or through a transport; none if there is neither.

    Raises:
        ValueError: The transport is a `GatewayTransport` to another gateway.
    """
    if client:
        return HttpxWire(address, _through(client))
    if type(transport) is GatewayTransport:  # a subclass may do something of its own with httpx's messages
        return own_wire(transport, address)
    return HttpxWire(address, transport.handle_async_request) if transport else None


def _through(client: httpx.AsyncClient) -> Send:
    """Send through a client, without its credentials, its cookies or its redirects."""

    def send(request: httpx.Request) -> Awaitable[httpx.Response]:
        return client.send(request, stream=True, auth=None, follow_redirects=False)

    return send


async def _body(response: httpx.Response) -> bytes:
    if response.is_stream_consumed:
        return _limited(response.content)
    body = bytearray()
    chunks = response.aiter_raw()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            await _break_off(response, chunks)
            break
    return _limited(bytes(body))


async def _break_off(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    """Close a response that is too long, and let its generators end: httpx would leave them to the collector."""
    await response.aclose()
    with contextlib.suppress(StopAsyncIteration, *_BROKEN):
        for _ in range(_LEFT_IN_BUFFERS):
            await anext(chunks)


def _limited(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise UnusableAnswerError(f"the answer is larger than {MAX_BODY // 1024} KiB")
    return body
