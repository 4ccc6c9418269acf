"""The command as a process: what it loads, signals, terminals and pipes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.sample import CODE, IDENTIFIER
from thekeys_async.simulator import SimulatedLocker

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and terminals")
SECONDS = 30


def ended(process):
    """Wait for the end, and give back the exit code and what was printed."""
    stdout, stderr = process.communicate(timeout=SECONDS)
    return process.returncode, stdout, stderr


def test_version_and_help(start):
    code, stdout, _ = ended(start("--version"))
    assert (code, stdout.startswith("thekeys")) == (0, True)
    code, stdout, stderr = ended(start("--help"))
    assert (code, stderr) == (0, "")
    assert "locker_status" in stdout


def test_help_loads_neither_tables_nor_simulator():
    program = (
        "import sys; sys.argv = ['thekeys', '--help']\n"
        "from thekeys_async.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "for name in ('thekeys_async.cli.output', 'thekeys_async.cli.actions', 'thekeys_async.simulator',\n"
        "             'thekeys_async.cli.runner', 'platformdirs', 'coredis'):\n"
        "    assert name not in sys.modules, name\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_missing_extra_is_one_clear_sentence(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; from thekeys_async.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "pip install 'thekeys-async[cli]'" in result.stderr


@POSIX
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_simulate_until_a_signal(start, by):
    simulator = start("simulate", "--port", "0", "--locker", f"{IDENTIFIER}:{CODE}", "--light", "0", "--bluetooth", "0")
    address = simulator.stdout.readline().partition(" at ")[2].split()[0]
    code, stdout, _ = ended(start("open", "--json", "--host", address, "-i", IDENTIFIER, "-c", CODE))
    assert code == 0
    assert json.loads(stdout)["identifier"] == int(IDENTIFIER)
    simulator.send_signal(by)
    assert ended(simulator) == (0, "", "")


@POSIX
def test_simulate_several_lockers_as_json(start):
    lockers = ("--locker", f"1:a:{CODE}", "--locker", "2")
    simulator = start(
        *("simulate", "--json", "--port", "0", "--bluetooth", "0", "--style", "page", *lockers),
        env={**os.environ, "THEKEYS_CODE": CODE},
    )
    ready = json.loads(simulator.stdout.readline())
    assert ready["lockers"] == [1, 2]
    for locker, code in (("1", f"a:{CODE}"), ("2", CODE)):
        status = start("locker_status", "--json", "--host", ready["address"], "-i", locker, "-c", code)
        assert json.loads(ended(status)[1])["state"] == "closed"
    simulator.terminate()
    assert ended(simulator)[0] == 0


def test_simulate_where_somebody_else_listens(start, simulated_gateway):
    port = simulated_gateway.address.rpartition(":")[2]
    code, stdout, stderr = ended(start("simulate", "--port", port, "--locker", "1:x"))
    assert (code, stdout) == (1, "")
    assert stderr.startswith("Error: ")
    assert stderr.count("\n") == 1


@POSIX
@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_command_is_under_way(start, simulated_gateway_factory, by, code):
    gateway = simulated_gateway_factory([SimulatedLocker(int(IDENTIFIER), share_code=CODE)], bluetooth=SECONDS)
    process = start("open", "--host", gateway.address, "-i", IDENTIFIER, "-c", CODE)
    gateway.wait_for_requests(1, on="open")
    process.send_signal(by)
    returned, stdout, stderr = ended(process)
    assert (returned, stdout) == (code, "")
    assert "may have moved, or may still move. Look at the door" in stderr
    assert stderr.count("\n") == 1


@POSIX
def test_a_signal_while_reading_moved_nothing(start, simulated_gateway_factory):
    gateway = simulated_gateway_factory(light=SECONDS)
    process = start("search", "--json", "--host", gateway.address)
    gateway.wait_for_requests(1)
    process.send_signal(signal.SIGINT)
    returned, _, stderr = ended(process)
    assert returned == 130
    assert json.loads(stderr)["may_have_executed"] is False


@POSIX
def test_a_pipe_that_is_closed_shows_no_traceback(start, simulated_gateway):
    reading, writing = os.pipe()
    os.close(reading)
    process = start("search", "--json", "--host", simulated_gateway.address, stdout=writing)
    os.close(writing)
    assert "Traceback" not in ended(process)[2]


@pytest.fixture
def terminal():
    """Both ends of a terminal: the person's, and the one that is a process's stdin."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


@POSIX
@pytest.mark.parametrize("action", ["update", "update_locker"])
@pytest.mark.parametrize("answer", ["n", "", "y"])
def test_firmware_is_asked_for_at_a_terminal(start, simulated_gateway, terminal, action, answer):
    person, stdin = terminal
    os.write(person, f"{answer}\n".encode())
    process = start(action, "--json", "--host", simulated_gateway.address, "-i", IDENTIFIER, stdin=stdin)
    code, stdout, stderr = ended(process)
    agreed = answer == "y"
    assert code == (0 if agreed else 1)
    assert "firmware" in stderr
    assert bool(stdout.strip()) is agreed
    assert [request.endpoint for request in simulated_gateway.requests] == ([action] if agreed else [])


@POSIX
def test_no_answer_at_a_terminal_is_none_and_said_on_a_line_of_its_own(start, simulated_gateway, terminal):
    person, stdin = terminal
    os.write(person, b"\x04")
    code, stdout, stderr = ended(start("update", "--host", simulated_gateway.address, stdin=stdin))
    assert (code, stdout) == (1, "")
    assert stderr.splitlines()[-1] == "Error: Nothing was done."
    assert not simulated_gateway.requests


@POSIX
def test_a_password_is_not_echoed_at_a_terminal(start, simulated_home, terminal, tmp_path):
    import termios  # noqa: PLC0415 - there is none on Windows

    person, stdin = terminal
    cloud, config = simulated_home.cloud, tmp_path / "config.toml"
    arguments = ("setup", "--json", "--cloud-url", cloud.url, "--config", str(config))
    process = start(*arguments, stdin=stdin, start_new_session=True)  # no terminal but the one given
    os.write(person, f"{cloud.username}\n".encode())
    deadline = time.monotonic() + SECONDS
    while termios.tcgetattr(stdin)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(person, f"{cloud.password}\n".encode())
    code, stdout, stderr = ended(process)
    assert code == 0, stderr
    shown = os.read(person, 10_000).decode()
    assert cloud.username in shown
    assert cloud.password not in shown + stdout + stderr
    assert config.exists()


@POSIX
def test_firmware_is_not_asked_for_with_yes(start, simulated_gateway, terminal):
    process = start("update", "--yes", "--host", simulated_gateway.address, stdin=terminal[1])
    assert ended(process)[0] == 0


def test_firmware_is_not_asked_for_without_a_terminal(start, simulated_gateway):
    assert ended(start("update", "--host", simulated_gateway.address))[0] == 0
