"""What all tests share."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest


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
