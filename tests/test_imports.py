"""What importing the package loads, and what it does not."""

import py_compile
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import thekeys_async


@pytest.mark.parametrize(
    "statement",
    [
        "import thekeys_async",
        "from thekeys_async import AsyncGateway, AsyncLocker, Fleet, Pacing",
        "from thekeys_async.cloud import CloudError",
        "from thekeys_async.coordination import FileCoordinator, RedisCoordinator",
    ],
)
def test_importing_loads_no_library_that_only_a_part_needs(statement):
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(result.stdout.split())
    assert "thekeys_async" in loaded
    strangers = {
        *("httpx", "h11", "click", "rich", "tomlkit", "platformdirs", "pytest", "asyncio", "trio"),
        *("thekeys_async.simulator", "thekeys_async.cli", "thekeys_async.cloud.client"),
        "thekeys_async.transport.gateway_transport",
    }
    assert not loaded & strangers


@pytest.mark.parametrize("package", ["", ".cloud", ".coordination", ".simulator"])
def test_all_is_there_when_it_is_asked_for(package):
    module = import_module(f"thekeys_async{package}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense


def test_the_transport_is_there_when_it_is_asked_for():
    import httpx  # noqa: PLC0415 - for this test alone

    assert issubclass(thekeys_async.GatewayTransport, httpx.AsyncBaseTransport)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = thekeys_async.nonsense


_POLLS = """
import socket, sys, threading
import anyio
from thekeys_async import AsyncGateway, Pacing

listener = socket.create_server(("127.0.0.1", 0))

def answer():
    connection, _ = listener.accept()
    with connection:
        while connection.recv(4096):
            connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 30\\r\\n\\r\\n{"status":"ok","devices": [] }')

async def poll():
    async with AsyncGateway(f"127.0.0.1:{listener.getsockname()[1]}", pacing=Pacing(0, 0)) as gateway:
        await gateway.lockers()
        before = set(sys.modules)
        await gateway.lockers()
        print("new:", *(set(sys.modules) - before), "h11" in sys.modules, "httpx" in sys.modules)

thread = threading.Thread(target=answer)
thread.start()
anyio.run(poll)
thread.join()
listener.close()
"""


def test_a_poll_imports_nothing_and_needs_neither_h11_nor_httpx():
    result = subprocess.run([sys.executable, "-c", _POLLS], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split() == ["new:", "False", "False"]


_WITHOUT_SOURCES = """
import thekeys_async
from thekeys_async import AsyncGateway, Fleet, cloud, coordination, simulator
print(thekeys_async.__file__, cloud.Cloud.__name__, coordination.FileCoordinator.__name__, simulator.Fault.__name__)
"""


def test_a_program_that_was_frozen_without_our_sources_finds_every_name(tmp_path):
    package = Path(thekeys_async.__file__).parent
    shutil.copytree(package, tmp_path / "thekeys_async", ignore=shutil.ignore_patterns("__pycache__"))
    for source in [*tmp_path.rglob("__init__.py"), *tmp_path.rglob("_lazy.py")]:
        py_compile.compile(str(source), str(source.with_suffix(".pyc")), doraise=True)
        source.unlink()
    command = [sys.executable, "-c", _WITHOUT_SOURCES]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.split() == [f"{tmp_path}/thekeys_async/__init__.pyc", "Cloud", "FileCoordinator", "Fault"]
