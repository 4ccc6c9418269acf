"""The same wire through an httpx client or transport of the caller's.

It knows less than the library's own: only a failed connect proves that nothing was sent, a timestamp is taken before
the connection is opened, and no connection is kept, as httpx can't be asked whether it is still good.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.http import MAX_BODY
from thekeys_async.protocol.replies import Reply
from thekeys_async.transport import (
    Attempt,
    NoAnswerError,
    NotSentError,
    Prepare,
    UnusableAnswerError,
)

_CONNECT_SECONDS = 5.0
_LEFT_IN_BUFFERS = 100
_BROKEN = (httpx.HTTPError, httpx.StreamError, OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]


class HttpxWire:
    """A wire that hands its requests to httpx."""

    def __init__(self, address: Address, send: Send) -> None:
        self._address = address
        self._send = send

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:  # noqa: ARG002
        """See `thekeys_async.transport.Wire.exchange`; `fresh` is not ours to decide here."""
        trace = _ConnectTrace()
        request = self._request(prepare, trace)
        attempt.sent = True
        try:
            response = await self._send(request)
            try:
                return Reply(response.status_code, await _body(response))
            finally:
                with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 1):
                    await response.aclose()
        except _BROKEN as error:
            if not trace.sent and (isinstance(error, httpx.ConnectError) or trace.failed):
                attempt.sent = False
                raise NotSentError(f"no connection to {self._address} ({type(error).__name__})") from None
            raise NoAnswerError(f"the connection broke before the answer ({type(error).__name__})") from None

    def close(self) -> None:
        """See `thekeys_async.transport.Wire.close`; there is nothing of ours to close."""

    def _request(self, prepare: Prepare, trace: "_ConnectTrace") -> httpx.Request:
        outgoing = prepare()
        headers = {"Host": self._address.authority, "User-Agent": "thekeys-async", "Accept": "*/*"}
        headers["Connection"] = "close"  # what a kept connection still holds could be taken for the answer to a command
        if outgoing.has_form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        timeout = {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None}
        return httpx.Request(
            outgoing.method,
            f"http://{self._address}{outgoing.path}",
            headers=headers,
            content=outgoing.body if outgoing.has_form else None,
            extensions={"timeout": timeout, "trace": trace},
        )


class _ConnectTrace:
    """Listens to httpcore, whose word it is when the connection itself could not be opened.

    A transport that repeats requests by itself may have sent one before it could not connect for the next.
    """

    failed = False
    sent = False

    async def __call__(self, event: str, _info: dict[str, Any]) -> None:
        if "send_request" in event:
            self.sent = True
        elif event == "connection.connect_tcp.failed":
            self.failed = True
        elif event == "connection.connect_tcp.complete":
            self.failed = False


def wire(
    address: Address, client: httpx.AsyncClient | None, transport: httpx.AsyncBaseTransport | None
) -> HttpxWire | None:
    """Make the wire through a client or through a transport; none if there is neither."""
    if client:
        return HttpxWire(address, _through(client))
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
