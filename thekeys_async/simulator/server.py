"""A small HTTP/1.1 server for simulations: it knows connections and bytes, and nothing of gateways.

One task serves one connection; h11 knows the grammar. Nobody reads from the socket while a request is
worked on, so a client that hangs up changes nothing: the handler goes on, as the hardware does.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import h11
from anyio.abc import SocketStream, TaskGroup, TaskStatus
from anyio.streams.stapled import MultiListener

from thekeys_async.simulator.delivery import client_has_gone, deliver, wait_until_gone
from thekeys_async.simulator.messages import Delivery, Ending, Handler, Request, Response
from thekeys_async.simulator.port import Port

_MAX_HEAD = 16 * 1024
_MAX_BODY = 64 * 1024
_TOO_LARGE = 413
_LINGER = 0.5


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
        await server.on()
        try:
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
        tasks: Who owns its tasks.
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
        self._accepting = anyio.CancelScope()
        self._off = anyio.Event()
        self._waiting: set[anyio.CancelScope] = set()

    @property
    def port(self) -> int:
        """Where it listens, or will listen again."""
        return self._port.number

    async def on(self) -> None:
        """Accept connections.

        Raises:
            OSError: The address can't be listened at.
        """
        async with self._switch:
            if self._connections is None:
                listener = await self._port.open()
                await self._tasks.start(self._live, listener)

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
        self._accepting.cancel()
        for waiting in self._waiting:
            waiting.cancel()

    async def resume(self) -> None:
        """Accept connections again after `pause()`."""
        async with self._switch:
            if self._connections is not None and self._accepting.cancel_called:
                listener = await self._port.open()
                await self._connections.start(self._accept, listener)

    def close(self) -> None:
        """Refuse connections for good, and give up the port."""
        self.pause()
        self._port.release()

    async def _live(
        self, listener: MultiListener[SocketStream], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Own all connections from switching on to switching off."""
        self._off = anyio.Event()
        try:
            async with anyio.create_task_group() as self._connections:
                await self._connections.start(self._accept, listener)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._connections = None
            self._off.set()

    async def _accept(
        self, listener: MultiListener[SocketStream], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        try:
            with anyio.CancelScope() as self._accepting:
                task_status.started()
                await listener.serve(self._converse, self._connections)
        except (OSError, anyio.BrokenResourceError):
            # `pause()` takes the listening socket away under a running accept().
            if not self._accepting.cancel_called:
                raise
        finally:
            with anyio.CancelScope(shield=True):
                await listener.aclose()

    async def _converse(self, stream: SocketStream) -> None:
        """Serve one connection until either side ends it."""
        async with stream:
            http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
            seconds: float | None = None
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                while await self._exchange(stream, http, seconds):
                    http.start_next_cycle()
                    seconds = self._idle

    async def _exchange(self, stream: SocketStream, http: h11.Connection, seconds: float | None) -> bool:
        """Read one request and answer it; tell whether the connection can be used again."""
        try:
            request = await self._wait_for_request(stream, http, seconds)
        except h11.RemoteProtocolError as error:
            await _turn_away(stream, http, error.error_status_hint)
            return False
        if request is None:
            return False
        response = await self._handler(request)
        # No await between the handler's return and the first byte: what it noted as "over" is over on the wire too.
        gone = True
        try:
            if response.delivery is Delivery.NEVER or not client_has_gone(stream):
                head, body = _written(http, response, request.method)
                await deliver(stream, head, body, response.delivery, response.pace)
                gone = False
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            pass
        finally:
            if response.over is not None:
                response.over(Ending.GONE if gone else Ending.SENT)
        usable = response.delivery in {Delivery.WHOLE, Delivery.DRIP} and not gone
        return (
            usable and not self._accepting.cancel_called and http.our_state is h11.DONE and http.their_state is h11.DONE
        )

    async def _wait_for_request(
        self, stream: SocketStream, http: h11.Connection, seconds: float | None
    ) -> Request | None:
        """Return the next request, or None when there will be none."""
        with anyio.move_on_after(seconds) as waiting:
            self._waiting.add(waiting)
            try:
                return await _read_request(stream, http)
            finally:
                self._waiting.discard(waiting)
        return None


async def _read_request(stream: SocketStream, http: h11.Connection) -> Request | None:
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
                return _request(head, bytes(body))
            case h11.NEED_DATA:
                http.receive_data(await _receive(stream))
            case _:
                return None


async def _receive(stream: SocketStream) -> bytes:
    try:
        return await stream.receive()
    except anyio.EndOfStream:
        return b""


def _request(head: h11.Request, body: bytes) -> Request:
    path, _, query = head.target.decode("latin-1").partition("?")
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
    return Request(head.method.decode("latin-1"), path, query, headers, body)


def _written(http: h11.Connection, response: Response, method: str = "GET") -> tuple[bytes, bytes]:
    """Write head and body as bytes, and tell h11 that both are as good as sent."""
    headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body)))]
    headers.extend(response.headers)
    if response.close:
        headers.append(("Connection", "close"))
    head = http.send(h11.Response(status_code=response.status, headers=headers)) or b""
    body = b"" if method == "HEAD" else http.send(h11.Data(response.body)) or b""
    http.send(h11.EndOfMessage())
    return head, body


async def _turn_away(stream: SocketStream, http: h11.Connection, status: int) -> None:
    """Answer what is not a request, if it still can be answered."""
    if http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
        response = Response(b"Bad request\n", status, "text/plain", close=True)
        head, body = _written(http, response)
        await stream.send(head + body)
        await wait_until_gone(stream, _LINGER)
