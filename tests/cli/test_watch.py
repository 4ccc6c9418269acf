"""`thekeys watch`: JSON lines that leave at once, every way it ends, and the table as a person sees it."""

import fcntl
import json
import os
import select
import signal
import sys
import time

import pytest

from tests.sample import CODE, IDENTIFIER, LOCKER
from thekeys_async.simulator import SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")

SECONDS = 30
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, pipes and terminals")
SIGNALS = pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])


def still(identifier=LOCKER, **settings):
    """A locker of which nothing changes by itself."""
    return SimulatedLocker(identifier, share_code=CODE, wander=0, **settings)


@pytest.fixture
def hall(simulated_gateway_factory):
    return simulated_gateway_factory([still()])


@pytest.fixture
def annex(simulated_gateway_factory):
    return simulated_gateway_factory([still(2, rssi=-90)])


def lines(text):
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ended(process):
    stdout, stderr = process.communicate(timeout=SECONDS)
    return process.returncode, lines(stdout), stderr


@POSIX
@SIGNALS
def test_a_line_leaves_at_once_and_a_signal_is_the_usual_end(start, hall, by):
    process = start("watch", "--json", "--host", hall.address)
    first = json.loads(process.stdout.readline())
    assert first["kind"] == "appeared"
    process.send_signal(by)
    assert ended(process) == (0, [], "")


def test_what_stands_in_a_line_of_a_locker(start, hall):
    line = json.loads(start("watch", "--json", "--host", hall.address).stdout.readline())
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "update": "locker",
        "gateway": hall.address,
        "name": None,
        "identifier": LOCKER,
        "kind": "appeared",
        "rssi": -71,
        "battery_mv": 7044,
        "battery_percent": 36,
        "last_log": 100,
        "changed": ["battery_mv", "last_log", "rssi"],
        "state": None,
        "locked": None,
        "status_error": None,
        "missed": 0,
    }


def test_a_gateway_that_is_not_there_is_told_once(run):
    result = run("watch", "--json", "--host", "127.0.0.1:1", "--interval", "0.2", "--timeout", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    (line,) = lines(result.stdout)
    assert line.pop("at")
    assert "127.0.0.1:1" in line.pop("message")
    assert line == {
        "update": "gateway",
        "gateway": "127.0.0.1:1",
        "reachable": False,
        "phase": None,
        "error": "GatewayUnreachableError",
    }


@pytest.mark.parametrize("before", [True, False])
def test_several_hosts(run, hall, annex, before):
    hosts = ("--host", hall.address, "--host", annex.address)
    arguments = [*hosts, "watch"] if before else ["watch", *hosts]
    told = lines(run(*arguments, "--json", "--interval", "0.5", "--timeout", "2").stdout)
    assert {(line["gateway"], line["identifier"]) for line in told} == {(hall.address, LOCKER), (annex.address, 2)}


def test_without_every_poll_only_changes_are_told(run, hall):
    arguments = ("watch", "--json", "--host", hall.address, "--interval", "0.1", "--timeout", "2")
    assert len(lines(run(*arguments).stdout)) == 1
    kinds = [line["kind"] for line in lines(run(*arguments, "--every-poll").stdout)]
    assert kinds[0] == "appeared"
    assert set(kinds[1:]) == {"unchanged"}


@POSIX
def test_a_door_is_followed_with_its_share_code(start, hall):
    arguments = ("--host", hall.address, "-i", IDENTIFIER, "--interval", "0.1", "--json")
    process = start("watch", *arguments, env={**os.environ, "THEKEYS_CODE": CODE})
    told = iter(process.stdout.readline, "")
    first = next(line for line in map(json.loads, told) if line["state"])
    assert (first["state"], first["locked"]) == ("closed", True)
    hall.turn_bolt(LOCKER, "open")
    line = next(line for line in map(json.loads, told) if line["state"] != "closed")
    assert (line["state"], line["locked"]) == ("open", False)
    process.terminate()
    assert ended(process)[0] == 0


def test_a_door_that_cannot_be_read_says_why_and_never_with_which_code(run, simulated_gateway_factory):
    gateway = simulated_gateway_factory([SimulatedLocker(1)])
    arguments = ("--host", gateway.address, "-i", "1", "-c", "geheim", "--interval", "0.1", "--timeout", "2")
    result = run("watch", "--json", "-d", *arguments)
    last = lines(result.stdout)[-1]
    assert (last["state"], last["status_error"]) == (None, "NotSharedError")
    assert "geheim" not in result.output


def test_with_a_locker_only_that_is_told_of(run, simulated_gateway_factory):
    gateway = simulated_gateway_factory([still(1), still(2)])
    result = run("watch", "--json", "--host", gateway.address, "-i", "2", "--timeout", "2")
    assert [line["identifier"] for line in lines(result.stdout)] == [2]


@POSIX
@pytest.mark.parametrize("flags", [(), ("--every-poll",)])
def test_a_pipe_that_is_closed_is_an_end_also_when_there_is_nothing_to_say(start, hall, flags):
    process = start("watch", "--json", "--host", hall.address, "--interval", "0.1", *flags)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(SECONDS) == 0
    assert not process.stderr.read()


@POSIX
@pytest.mark.parametrize("flags", [("--json",), ()])
def test_a_pipe_that_was_never_open(start, hall, flags):
    reading, writing = os.pipe()
    os.close(reading)
    process = start("watch", *flags, "--host", hall.address, stdout=writing)
    os.close(writing)
    assert process.wait(SECONDS) == 0
    assert not process.stderr.read()


@POSIX
@SIGNALS
def test_a_signal_ends_it_also_when_nobody_empties_the_pipe(start, simulated_gateway_factory, by):
    gateway = simulated_gateway_factory([still(number) for number in range(50)])
    reading, writing = os.pipe()
    fcntl.fcntl(writing, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    process = start("watch", "--json", "--every-poll", "--interval", "0.1", "--host", gateway.address, stdout=writing)
    gateway.wait_for_requests(3)  # polling goes on, though 50 lines are more than the pipe takes
    assert not select.select([], [writing], [], 0)[1]
    os.close(writing)
    process.send_signal(by)
    assert process.wait(SECONDS) == 0
    assert not process.stderr.read()
    told = os.read(reading, 100_000).decode()
    assert lines(told), "whole lines only"
    os.close(reading)


@pytest.mark.parametrize("name", ["hall", None])
def test_names_and_codes_come_from_the_file(run, hall, tmp_path, name):
    file = tmp_path / "config.toml"
    file.write_text(
        f'[gateways.hall]\nhost = "{hall.address}"\n'
        f'[lockers.front-door]\nidentifier = {IDENTIFIER}\ngateway = "hall"\ncode = "{CODE}"\n'
    )
    file.chmod(0o600)
    arguments = ("--json", "--interval", "0.1", "--timeout", "2", "--config", str(file))
    told = lines(run("watch", *([name] if name else []), *arguments).stdout)
    assert {(line["gateway"], line["name"]) for line in told} == {("hall", "front-door")}
    assert told[-1]["state"] == "closed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-c", "geheim", "--host", "x"), "-i"),
        (("--host", "http://geheim:geheim@x/"), "--host"),
        (("--host", "x", "--host", "a/geheim"), "--host"),
        (("--host", "x", "-i", "1", "-c", "gehäim"), "-c"),
        (("--host", "x", "--interval", "0"), "above 0"),
        (("--host", "x", "--timeout", "-1"), "above 0"),
        (("geheim",), "No gateway of that name"),
    ],
)
def test_wrong_flags(run, arguments, says):
    result = run("watch", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert "geh" not in result.stderr


def test_where_there_is_no_terminal_the_table_is_printed_once(run, hall):
    shown = run("watch", "--host", hall.address, "--interval", "0.2", "--timeout", "2").stdout
    assert shown.count("Battery") == 1
    assert shown.count(IDENTIFIER) == 1
    assert "-71 dBm" in shown
    assert "7044 mV  36 %" in shown


@POSIX
@SIGNALS
def test_the_table_lives_at_a_terminal_until_a_signal(start, hall, by):
    person, stdout = os.openpty()
    process = start("watch", "--host", hall.address, "--interval", "0.1", stdout=stdout, env=_terminal())
    shown = _read_until(person, "-71 dBm")
    hall.lockers[LOCKER].rssi = -82
    shown += _read_until(person, "-82 dBm")
    process.send_signal(by)
    assert process.wait(SECONDS) == 0
    shown += _read_until(person, "\x1b[?25h")  # the cursor is back
    os.close(stdout)
    os.close(person)
    assert "Traceback" not in shown


def _terminal():
    return {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}


def _read_until(terminal, words):
    shown, deadline = "", time.monotonic() + SECONDS
    while words not in shown:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown
        shown += os.read(terminal, 10_000).decode(errors="replace")
    return shown


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_warning_before_it_begins_is_told_as_any_other(run, simulated_gateway_factory, flags):
    gateway = simulated_gateway_factory([SimulatedLocker(7, "short")])
    result = run("watch", "--host", gateway.address, "-i", "7", "-c", "short", "--timeout", "0.1", *flags)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    warning = json.loads(line)["warning"] if flags else line.removeprefix("Warning: ")
    assert "so short that one caught request tells them" in warning
