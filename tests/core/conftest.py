"""A server that says on a real socket exactly what a test tells it to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import attrs
import pytest
from anyio.abc import SocketAttribute, SocketStream


@attrs.define
class Scripted:
    """What the server has seen.

    Attributes:
        address: Where it listens.
        connections: How many were opened.
        requests: What each request said, whole.
        ends: How each connection ended, as the server saw it: "closed", "reset".
    """

    address: str
    connections: int = 0
    requests: list[bytes] = attrs.field(factory=list)
    ends: list[str] = attrs.field(factory=list)
    ended: anyio.Event = attrs.field(factory=anyio.Event)


Script = Callable[[SocketStream, int], Awaitable[None]]


@asynccontextmanager
async def _serve(script: Script, host: str = "127.0.0.1") -> AsyncIterator[Scripted]:
    listener = await anyio.create_tcp_listener(local_host=host)
    port = listener.extra(SocketAttribute.local_port)
    seen = Scripted(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    async def handle(stream: SocketStream) -> None:
        seen.connections += 1
        async with stream:
            try:
                while True:
                    seen.requests.append(await _request(stream))
                    await script(stream, len(seen.requests))
            except anyio.EndOfStream:
                seen.ends.append("closed")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                seen.ends.append("reset")
            seen.ended.set()

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield seen
        group.cancel_scope.cancel()


async def _request(stream: SocketStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gateway's backoff begin with a moment, for tests that are not about its length."""
    monkeypatch.setattr("thekeys_async.turns._FIRST_BACKOFF", 0.01)


@pytest.fixture
def serve() -> Callable[..., object]:
    return _serve
