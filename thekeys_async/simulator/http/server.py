"""A small HTTP/1.1 server for simulations: it knows connections and requests, and nothing of gateways.

A few tasks serve one connection after the other. Nobody reads from the socket while a request is worked on, so a client
that hangs up changes nothing: the handler goes on, as the hardware does.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import h11
from anyio.abc import TaskGroup, TaskStatus

from thekeys_async.simulator.http.listener import ClientConnection, Listener, Port
from thekeys_async.simulator.http.messages import (
    Delivery,
    Ending,
    Handler,
    HttpRequest,
    HttpResponse,
    RequestReader,
    written,
)

_LINGER = 0.5
_KEEPING = frozenset({Delivery.WHOLE, Delivery.DRIP, Delivery.PIECES})


@asynccontextmanager
async def serve(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[tuple[str, int], None]:
    """Serve HTTP inside a block, and hand out where: host and port.

    Args:
        handler: Asked for each request, several at once. What it raises ends the block.
        host: The address to listen at.
        port: The port; 0 takes a free one.

    Raises:
        OSError: The address can't be listened at.
    """
    async with owned_tasks() as tasks:
        server = HttpServer(tasks, handler, host, port)
        try:
            await server.on()
            yield host, server.port
        finally:
            server.close()


@asynccontextmanager
async def owned_tasks() -> AsyncGenerator[TaskGroup, None]:
    """Own tasks that end with the block; an exception in the block comes out as itself, not inside a group."""
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    try:
        yield tasks
    finally:
        tasks.cancel_scope.shield = True
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)


class HttpServer:
    """An HTTP server that can be switched off and on again at the same port.

    Args:
        tasks: The owner of its tasks.
        handler: Asked for each request, several at once. What it raises ends the task group.
        host: The address to listen at.
        port: The port; 0 takes a free one, and keeps it.
        idle: Close a kept connection without a word so many seconds after a reply; None never does.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        handler: Handler,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        idle: float | None = None,
    ) -> None:
        self._tasks = tasks
        self._handler = handler
        self._port = Port(host, port)
        self._idle = idle
        self._connections: TaskGroup | None = None
        self._switch = anyio.Lock()
        self._off = anyio.Event()
        self._idle_connections: set[ClientConnection] = set()

    @property
    def port(self) -> int:
        """The port at which it listens, or will listen again."""
        return self._port.number

    async def on(self) -> None:
        """Accept connections.

        Raises:
            OSError: The address can't be listened at.
        """
        async with self._switch:
            if self._connections is None:
                await self._tasks.start(self._live, await self._port.open())

    async def off(self) -> None:
        """Cut the power: connections are refused, and those under way are lost with what was worked on."""
        async with self._switch:
            self.pause()
            if self._connections is not None:
                self._connections.cancel_scope.cancel()
                await self._off.wait()

    def pause(self) -> None:
        """Refuse connections at once, and close idle ones; requests under way are still answered."""
        self._port.refuse()
        for connection in self._idle_connections:
            connection.hang_up()

    async def resume(self) -> None:
        """Accept connections again after `pause()`."""
        async with self._switch:
            if self._connections is not None and not self._port.is_open:
                self._start_accepting(self._connections, await self._port.open())

    def close(self) -> None:
        """Refuse connections for good, and give up the port."""
        self.pause()
        self._port.release()

    async def _live(
        self, listeners: tuple[Listener, ...], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Own all connections from switching on to switching off."""
        self._off = anyio.Event()
        try:
            async with anyio.create_task_group() as self._connections:
                self._start_accepting(self._connections, listeners)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._connections = None
            self._off.set()

    def _start_accepting(self, tasks: TaskGroup, listeners: tuple[Listener, ...]) -> None:
        for listener in listeners:
            tasks.start_soon(self._attend, tasks, listener)

    async def _attend(self, tasks: TaskGroup, listener: Listener) -> None:
        """Serve one connection after the other; there is always one task left that waits for the next."""
        while connection := await listener.next():
            if not listener.waiting:
                tasks.start_soon(self._attend, tasks, listener)
            try:
                await self._converse(connection)
            finally:
                connection.close()

    async def _converse(self, connection: ClientConnection) -> None:
        """Serve one connection until either side ends it."""
        reader = RequestReader(connection.receive, connection.send)
        seconds: float | None = None
        try:
            while request := await self._wait_for_request(connection, reader, seconds):
                if not await self._answer(connection, request):
                    break
                seconds = self._idle
        except OSError:
            return  # the client left while it waited for the interim answer
        except h11.RemoteProtocolError as error:
            await _turn_away(connection, error.error_status_hint)

    async def _wait_for_request(
        self, connection: ClientConnection, reader: RequestReader, seconds: float | None
    ) -> HttpRequest | None:
        """Return the next request, or None when there will be none."""
        self._idle_connections.add(connection)
        try:
            if seconds is None:
                return await reader.next()
            with anyio.move_on_after(seconds):
                return await reader.next()
            return None
        finally:
            self._idle_connections.discard(connection)

    async def _answer(self, connection: ClientConnection, request: HttpRequest) -> bool:
        """Answer one request; tell whether the connection can be used again."""
        response = await self._handler(request)
        # No await between the handler's return and the first byte: what it noted as "over" is over on the wire too.
        keep_alive = request.keep_alive and not response.close
        head, body = written(response, request.method, keep_alive=keep_alive)
        sent = False
        try:
            sent = await deliver(connection, head, body, response)
        finally:
            if response.over is not None:
                response.over(Ending.SENT if sent else Ending.GONE)
        return sent and keep_alive and self._port.is_open and response.delivery in _KEEPING


async def _turn_away(connection: ClientConnection, status: int) -> None:
    """Answer what is not a request, if it still can be answered."""
    response = HttpResponse(b"Bad request\n", status, "text/plain", close=True)
    with suppress(OSError):
        await connection.send(b"".join(written(response, keep_alive=False)))
        await wait_until_gone(connection, _LINGER)


async def deliver(connection: ClientConnection, head: bytes, body: bytes, response: HttpResponse) -> bool:
    """Write a reply.

    Args:
        connection: The connection to write to.
        head: The status line and the headers.
        body: The rest.
        response: The reply, with the way in which its bytes go out.

    Returns:
        Whether the client was there to take it; for a reply that never comes, it will have gone.
    """
    if response.delivery is not Delivery.NEVER and connection.client_has_gone:
        return False
    try:
        match response.delivery:
            case Delivery.WHOLE:
                await connection.send(head + body)
            case Delivery.HALF:
                await connection.send(head + body[: len(body) // 2])
            case Delivery.DRIP:
                await _send_pieces(connection, head + body, [(n * response.pace, 1) for n in range(len(head + body))])
            case Delivery.PIECES:
                await _send_pieces(connection, head + body, response.pieces)
            case Delivery.RESET:
                connection.abort_on_close()
            case Delivery.NEVER:
                await _wait_until_it_hangs_up(connection)
                return False
    except OSError:
        return False
    return not connection.client_has_gone


async def _wait_until_it_hangs_up(connection: ClientConnection) -> None:
    while await connection.receive():
        pass


async def _send_pieces(connection: ClientConnection, data: bytes, pieces: Sequence[tuple[float, int]]) -> None:
    """Send bytes in pieces; the first goes out at once, and the last has all that is left."""
    last = pieces[0][0] if pieces else 0.0
    for at, size in pieces[:-1]:
        await anyio.sleep(at - last)
        last = at
        await connection.send(data[:size])
        data = data[size:]
    await anyio.sleep(pieces[-1][0] - last if pieces else 0)
    await connection.send(data)


async def wait_until_gone(connection: ClientConnection, seconds: float) -> None:
    """Tell the client that this is all, and give it a moment to hang up first.

    Closing at once, with bytes of its request unread, would reset the connection and take our last reply with it.
    """
    with anyio.move_on_after(seconds), suppress(OSError):
        connection.end()
        await _wait_until_it_hangs_up(connection)
