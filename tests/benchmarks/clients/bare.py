"""Non-blocking sockets and the event loop's own calls: the floor, which knows nothing of what can go wrong."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, closing

from responder import Hosts

_ENOUGH = 64 * 1024


@asynccontextmanager
async def sockets(hosts: Hosts, count: int) -> AsyncIterator[list[Callable[[], Awaitable[object]]]]:
    with ExitStack() as stack:
        made = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        yield [_asking(sock, hosts.address(n)) for n, sock in enumerate(made)]


def _asking(sock: socket.socket, address: str) -> Callable[[], Awaitable[object]]:
    loop = asyncio.get_running_loop()
    request = f"GET /lockers HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
    sock.setblocking(False)
    connected = False

    async def ask() -> object:
        nonlocal connected
        if not connected:
            host, _, port = address.partition(":")
            await loop.sock_connect(sock, (host, int(port)))
            connected = True
        await loop.sock_sendall(sock, request)
        reply = await loop.sock_recv(sock, _ENOUGH)
        return json.loads(reply.partition(b"\r\n\r\n")[2])

    return ask
