"""What all tests share."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import attrs
import pytest
from anyio.abc import SocketAttribute, SocketStream


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every `anyio` test on both event loops."""
    return request.param


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """A redis-server of this session's own; None where it is not installed."""
    if shutil.which("redis-server") is None:
        if os.environ.get("THEKEYS_REQUIRE_REDIS") == "1":
            pytest.fail("redis-server is not installed, and THEKEYS_REQUIRE_REDIS=1 demands it")
        yield None
        return
    path = tmp_path_factory.mktemp("redis") / "socket"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", str(path.parent)]
    with subprocess.Popen([*command, "--unixsocket", str(path)], stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline, "redis-server does not come up"
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
        server.kill()


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
    monkeypatch.setattr("thekeys_async.turns.queue._FIRST_BACKOFF", 0.01)


@pytest.fixture
def serve() -> Callable[..., object]:
    return _serve
