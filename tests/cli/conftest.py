import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.sample import CODE, IDENTIFIER
from thekeys_async import AsyncGateway, Fleet, Pacing
from thekeys_async.cli.commands import thekeys


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in [*(name for name in os.environ if name.startswith("THEKEYS_")), "FORCE_COLOR", "COLUMNS"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def no_rest(monkeypatch):
    """Leave out the rests that only hardware needs; a command as a process of its own keeps them."""
    for function in (AsyncGateway.__init__, Fleet.__init__, Fleet.from_cloud, Fleet.from_config):
        monkeypatch.setitem(function.__kwdefaults__, "pacing", Pacing(0, 0))


@pytest.fixture
def run():
    """Run the command in this process; the result has exit_code, stdout and stderr."""

    def run(*arguments, input=None, **environment):  # noqa: A002 - as click calls it
        return CliRunner(env=environment).invoke(thekeys, list(arguments), input, prog_name="thekeys")

    return run


@pytest.fixture
def ask(run, simulated_gateway):
    """Run an action on the simulated gateway's locker, with every flag that it can need."""

    def ask(action, *flags):
        return run(action, "--host", simulated_gateway.address, "-i", IDENTIFIER, "-c", CODE, *flags)

    return ask


@pytest.fixture
def start():
    """Start the command as a process of its own."""
    processes = []

    def start(*arguments, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen([sys.executable, "-m", "thekeys_async", *arguments], text=True, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
