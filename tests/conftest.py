"""What all tests share."""

import gc
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import hypothesis
import pytest
from anyio.abc import SocketAttribute, SocketStream

from tests.ports import free_port
from tests.virtual_time import VirtualTime
from thekeys_async.turns import shared
from thekeys_async.turns.queue import Turns

# How long an example takes tells how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what tests make, and never again at what was there before the first one."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_its_own() -> Iterator[None]:
    """Collect what a module's tests have left, so that no warning of it fails a test of another module."""
    yield
    gc.collect()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | tuple[str, dict]:
    """Run every `anyio` test on both event loops; what is marked so, in virtual time."""
    if request.node.get_closest_marker("virtual_time") is None:
        return request.param
    virtual = VirtualTime.of(request.param, sockets=True)
    monkeypatch.setattr(time, "time", virtual.wall_clock())
    return virtual.backend


@pytest.fixture(autouse=True)
def no_memory_of_earlier_gateways() -> None:
    """Forget what the process knows of gateways: another test's may have listened on the same port."""
    shared._ledgers.clear()


@attrs.define
class RedisServer:
    """A redis-server that can be stopped and started again on the same port."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = attrs.field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        tls = "--tls-port" in self.options
        listen = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        command = ["redis-server", "--bind", "127.0.0.1", *listen, "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [*command, "--dir", str(self.folder), *(option for option in self.options if option != "--tls-port")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(1200):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.025)
        raise RuntimeError("redis-server does not come up")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def need_redis() -> None:
    if shutil.which("redis-server") is None:
        if os.environ.get("THEKEYS_REQUIRE_REDIS") == "1":
            pytest.fail("redis-server is not installed, and THEKEYS_REQUIRE_REDIS=1 demands it")
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start servers with options; each is killed at the end."""
    need_redis()
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        server = RedisServer(tmp_path, options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the tests that leave it alone; each uses names of its own."""
    need_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """Where the session's redis-server is; None where it is not installed."""
    if shutil.which("redis-server") is None and os.environ.get("THEKEYS_REQUIRE_REDIS") != "1":
        return None
    return request.getfixturevalue("shared_redis").url


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
    """Let the gateway's backoff begin with a moment and follow no chance, for tests that are not about its length."""
    monkeypatch.setattr("thekeys_async.turns.pacing.FIRST_BACKOFF", 0.01)
    monkeypatch.setitem(Turns.__init__.__kwdefaults__, "jitter", lambda: 1.0)


@pytest.fixture
def serve() -> Callable[..., object]:
    return _serve
