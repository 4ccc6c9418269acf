"""Every Python block of the README and the docs runs."""

import ast
import inspect
import os
import socket
import subprocess
import sys

import anyio
import pytest

from thekeys_async import AsyncGateway, Fleet, Pacing
from thekeys_async.cloud import Cloud


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch):
    def guarded(connect):
        def checked(sock, address):
            if isinstance(address, tuple):
                assert address[0] in {"127.0.0.1", "::1"}, f"a block connects to {address[0]}"
            return connect(sock, address)

        return checked

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    """Leave out the rests that only hardware needs."""
    monkeypatch.setitem(Fleet.from_cloud.__kwdefaults__, "pacing", Pacing(0, 0))
    monkeypatch.setitem(Fleet.from_config.__kwdefaults__, "pacing", Pacing(0, 0))
    monkeypatch.setitem(AsyncGateway.__init__.__kwdefaults__, "pacing", Pacing(0, 0))


def test_python_block(python_block, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with stage() as house:
        _configure(house, tmp_path, monkeypatch)
        monkeypatch.setitem(Cloud.__init__.__kwdefaults__, "base_url", house.cloud.url)
        for block in python_block.siblings:
            if block.file_name:
                (tmp_path / block.file_name).write_text(house.translate(block.text), encoding="utf-8")
            if block.text.startswith("BEGIN:VCALENDAR"):
                (tmp_path / "bookings.ics").write_text(block.text, encoding="utf-8")
        if (python_block.file_name or "").startswith("test_"):
            _run_pytest(tmp_path / python_block.file_name)
        else:
            _run(house.translate(python_block.text), f"{python_block.page}:{python_block.line}", house)
    assert house.gateway.overlaps == 0


def _configure(house, folder, monkeypatch):
    """Write the configuration file that a block finds where it is looked for."""
    for name in [name for name in os.environ if name.startswith("THEKEYS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    file = folder / "config" / "thekeys" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f'[gateways.hall]\nhost = "{house.address}"\n[gateways.annex]\nhost = "{house.annex.address}"\n'
        f'[lockers.front-door]\nidentifier = {house.identifier}\ngateway = "hall"\ncode = "{house.share_code}"\n',
        encoding="utf-8",
    )
    file.chmod(0o600)


def _run(text, where, house):
    code = compile(text, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        for backend in ("asyncio", "trio"):
            anyio.run(_run_fragment, code, house, backend=backend)
    else:
        exec(code, {"__name__": "__main__"})


async def _run_fragment(code, house):
    async with (
        AsyncGateway(house.address, share_codes={house.identifier: house.share_code}) as gateway,
        Cloud(house.cloud.username, house.cloud.password) as cloud,
    ):
        door = gateway.locker(house.identifier)
        await eval(code, {"__name__": "__main__", "gateway": gateway, "door": door, "cloud": cloud})


def _run_pytest(path):
    plugins = [option for name in ("cacheprovider", "hypothesispytest", "xdist") for option in ("-p", f"no:{name}")]
    options = ["-q", "-W", "error", *plugins, "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(path)],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
