"""`GatewayTransport`: the library's own connection to one gateway, as a transport for httpx."""

from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager

import anyio
import anyio.lowlevel
import httpx

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.reading import ReplyReader
from thekeys_async.protocol.replies import HttpError, IncompleteError, Reply
from thekeys_async.transport.connection import Connection, connect, reason
from thekeys_async.transport.httpx_messages import (
    UNSENT_BECAUSE,
    Limits,
    UnusableReplyError,
    WrittenRequest,
    origin,
    response,
)
from thekeys_async.transport.wire import Attempt, Prepare, SocketWire, Wire

_HEADERS_START = "http11.send_request_headers.started"


class GatewayTransport(httpx.AsyncBaseTransport):
    """One keep-alive HTTP/1.1 connection to one gateway.

    Give it to ``httpx.AsyncClient(transport=...)`` or to ``AsyncGateway(host, transport=...)``, or use it by itself.
    Requests through it go one after the other. GET, HEAD and OPTIONS share a connection that is known to be alive;
    every other request, and one that says ``Connection: close``, takes a fresh one. A reply is read whole (its head
    may have 16 KiB, its body 64 KiB) before it is handed over. A connection whose reply was not read to its end, for
    whatever reason, is aborted: what is still unsent then never will be.

    **Whether a byte may have reached the gateway** is known for certain. ``request.extensions["sent"]`` says so: it is
    False from the beginning and turns True right before the first byte, so that it can be asked after a cancellation,
    too. (For a request that is handed in again it stays True.) So do the exceptions: after `httpx.ConnectError`,
    `httpx.ConnectTimeout`, `httpx.PoolTimeout`, `httpx.UnsupportedProtocol` and `httpx.LocalProtocolError` nothing was
    sent, after any other something may have been.

    Of httpx's extensions for requests it knows ``timeout`` (without it, a connection may take 5 s, and all else as long
    as it likes), ``target``, and of the events of ``trace`` ``http11.send_request_headers.started``: what that raises
    is raised, and nothing is sent.

    Args:
        host: The gateway's address; that of the first request if not given. Requests to others are refused.

    Raises:
        ValueError: The host is not an address.
    """

    def __init__(self, host: str | None = None) -> None:
        self._wire = None if host is None else SocketWire(Address.parse(host))
        self._turn = anyio.Lock(fast_acquire=True)
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole reply.

        Raises:
            httpx.TransportError: There is no reply; the subclass says how far it came.
            RuntimeError: The transport is closed.
        """
        request.extensions.setdefault("sent", False)
        try:
            return await self._exchange(request)
        except BaseException as error:
            if not request.extensions["sent"]:
                request.extensions[UNSENT_BECAUSE] = id(error)
            raise

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        self._check_open()
        address, exchange = origin(request), _HttpxExchange(request)
        wire = self._wire_to(address)
        if wire is None:
            raise httpx.UnsupportedProtocol("this transport leads to another address", request=request)
        await self._take_turn(exchange)
        try:
            return await exchange.run(wire)
        finally:
            self._turn.release()

    async def aclose(self) -> None:
        """Close the connection. Requests under way end as they would have; new ones are a RuntimeError."""
        self._closed = True
        if self._wire:
            self._wire.close()

    def _wire_to(self, address: Address) -> SocketWire | None:
        if self._wire is None:
            self._wire = SocketWire(address)
        return self._wire if self._wire.address == address else None

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this transport has been closed")

    async def _take_turn(self, exchange: "_HttpxExchange") -> None:
        try:
            self._turn.acquire_nowait()
        except anyio.WouldBlock:
            with exchange.within(exchange.limits.pool, httpx.PoolTimeout):
                await self._turn.acquire()


def own_wire(transport: GatewayTransport, address: Address) -> Wire:
    """Get a transport's connection without httpx's types, as a wire like any other.

    Raises:
        ValueError: It leads to another address.
    """
    # Of this module's own class; public methods of it would be everybody's.
    wire = transport._wire_to(address)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    turn, check = transport._turn, transport._check_open  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    if wire is None:
        raise ValueError("the transport leads to another address than the gateway's")
    return _InTurn(wire, turn, check)


class _InTurn:
    """The transport's connection for the library itself: a wire like any other, one request at a time."""

    def __init__(self, wire: SocketWire, turn: anyio.Lock, check_open: Callable[[], None]) -> None:
        self._wire = wire
        self._turn = turn
        self._check_open = check_open

    async def exchange(self, prepare: Prepare, attempt: Attempt, *, fresh: bool) -> Reply:
        """See `thekeys_async.transport.wire.Wire.exchange`."""
        self._check_open()
        async with self._turn:
            return await self._wire.exchange(prepare, attempt, fresh=fresh)

    def drop(self) -> None:
        """See `thekeys_async.transport.wire.Wire.drop`."""
        self._wire.drop()


class _HttpxExchange:
    """One request of httpx's, and its outcome."""

    def __init__(self, request: httpx.Request) -> None:
        self.limits = Limits.of(request)
        self._request = request
        self._written = WrittenRequest(request)
        self._begun = False

    async def run(self, wire: SocketWire) -> httpx.Response:
        async with aclosing(self._written):
            connection = wire.take_kept(fresh=self._written.fresh) or await self._connect(wire.address)
            reader = ReplyReader(head_only=self._written.head_only)
            try:
                await self._ask_for_the_last_time(connection)
                await self._send(connection)
                reply = await self._receive(connection, reader)
            except BaseException:
                connection.close(abort=self._begun)
                raise
            wire.give_back(connection, reusable=reader.reusable and not self._written.last)
            return response(self._request, reader.head, reply.body)

    @contextmanager
    def within(self, seconds: float | None, late: type[httpx.TimeoutException]) -> Generator[None, None, None]:
        """Limit the time of a part of the exchange."""
        with anyio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise late(f"not within {seconds} s", request=self._request)

    async def _connect(self, address: Address) -> Connection:
        with self.within(self.limits.connect, httpx.ConnectTimeout):
            try:
                return Connection(await connect(address))
            except OSError as error:
                why = f"no connection to {address} ({reason(error)})"
                raise httpx.ConnectError(why, request=self._request) from None

    async def _ask_for_the_last_time(self, connection: Connection) -> None:
        """Check once more, right before the first byte, that the request is to go; then nothing is awaited."""
        if trace := self._request.extensions.get("trace"):
            await trace(_HEADERS_START, {"request": self._request})
        await anyio.lowlevel.checkpoint_if_cancelled()
        if not connection.alive:
            raise httpx.ConnectError("the gateway hung up, or spoke before it was asked", request=self._request)

    async def _send(self, connection: Connection) -> None:
        before = self._request.extensions["sent"]
        self._begun = self._request.extensions["sent"] = True
        try:
            rest = connection.send(self._written.first)
        except OSError as error:
            self._begun, self._request.extensions["sent"] = False, before
            raise httpx.ConnectError(f"the connection was gone ({reason(error)})", request=self._request) from None
        if rest:
            await self._send_rest(connection, rest)
        while (part := await self._written.more()) is not None:
            await self._send_rest(connection, memoryview(part))

    async def _send_rest(self, connection: Connection, rest: memoryview) -> None:
        with self.within(self.limits.write, httpx.WriteTimeout):
            try:
                await connection.send_rest(rest)
            except OSError as error:
                raise httpx.WriteError(f"the connection broke ({reason(error)})", request=self._request) from None

    async def _receive(self, connection: Connection, reader: ReplyReader) -> Reply:
        while True:
            with self.within(self.limits.read, httpx.ReadTimeout):
                try:
                    data = await connection.receive()
                except OSError as error:
                    why = f"the connection broke before the answer ({reason(error)})"
                    raise httpx.ReadError(why, request=self._request) from None
            try:
                reply = reader.feed(data)
            except HttpError as error:
                raise UnusableReplyError(str(error), request=self._request) from None
            except IncompleteError:
                why = "the connection was closed before the end of the answer"
                raise httpx.RemoteProtocolError(why, request=self._request) from None
            if reply is not None:
                return reply
