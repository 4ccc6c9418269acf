"""A coordinator of each kind, and a redis-server of our own on loopback."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from thekeys_async.coordination import FileCoordinator, RedisCoordinator

LEASE = 1.5


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


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
        for _ in range(200):
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


@pytest.fixture(params=["file", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], FileCoordinator | RedisCoordinator]:
    """Make coordinators that share one state, as if each were another process's."""
    if request.param == "file":
        return lambda: FileCoordinator(tmp_path / "state")
    server = request.getfixturevalue("shared_redis")
    return lambda: RedisCoordinator(server.url, lease=LEASE, prefix=str(tmp_path))
