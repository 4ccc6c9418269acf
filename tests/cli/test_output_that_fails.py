"""Output that can't be written says so, and never changes what the exit code says of the door."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample import CODE, IDENTIFIER
from thekeys_async.simulator import Fault

_FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not _FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def thekeys(simulated_gateway):
    """Run the command as a process, with stdout where the test wants it."""

    def thekeys(action, *flags, stdout, stderr=subprocess.PIPE):
        command = [sys.executable, "-m", "thekeys_async", "--host", simulated_gateway.address]
        command += ["-i", IDENTIFIER, "-c", CODE, action, *flags]
        return subprocess.run(command, stdout=stdout, stderr=stderr, text=True, check=False, timeout=60)

    return thekeys


def _unread():
    reading, writing = os.pipe()
    os.close(reading)
    return writing


_OTHERS = ("close", "calibrate", "synchronize", "auto_off", "synchronize_locker", "update_locker")


@pytest.mark.parametrize(
    ("action", "flags", "where"),
    [
        *(("open", flags, where) for flags in [(), ("--json",), ("-d",)] for where in ["full", "unread"]),
        *((action, (), "full") for action in _OTHERS),
        *((action, ("--json",), "unread") for action in _OTHERS),
    ],
)
def test_a_command_that_was_carried_out_ends_with_0(thekeys, simulated_gateway, action, flags, where):
    stdout = os.open(_FULL, os.O_WRONLY) if where == "full" else _unread()
    try:
        result = thekeys(action, *flags, stdout=stdout)
    finally:
        os.close(stdout)
    assert result.returncode == 0
    assert "It is done, but standard output could not be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(simulated_gateway.requests) == 1


@pytest.mark.parametrize("flags", [(), ("--json",)])
@pytest.mark.parametrize("action", ["search", "status", "locker_status"])
def test_a_read_says_that_its_output_is_full(thekeys, action, flags):
    with _FULL.open("w") as full:
        result = thekeys(action, *flags, stdout=full)
    assert result.returncode == 1
    assert "Standard output could not be written (No space left on device); no door moved" in result.stderr
    assert "Traceback" not in result.stderr


def test_watching_says_what_is_full(thekeys):
    with _FULL.open("w") as full:
        result = thekeys("watch", "--json", "--timeout", "30", stdout=full)
    assert result.returncode == 1
    assert "Standard output could not be written (No space left on device)" in result.stderr


@pytest.mark.parametrize("flags", [(), ("--json",), ("-d",)])
def test_an_unknown_outcome_stays_one_when_even_the_errors_can_not_be_said(thekeys, simulated_gateway, flags):
    simulated_gateway.fail(Fault.RESET_AFTER)
    with _FULL.open("w") as full:
        result = thekeys("open", *flags, stdout=full, stderr=full)
    assert result.returncode == 5
    assert len(simulated_gateway.requests) == 1


def test_watching_at_its_end_says_what_is_full(thekeys):
    with _FULL.open("w") as full:
        result = thekeys("watch", "--timeout", "0.2", stdout=full)
    assert result.returncode == 1
    assert result.stderr == "Error: Standard output could not be written (No space left on device); no door moved.\n"


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("open", "--help"), ("simulate", "--locker", "1:x")])
def test_whatever_is_printed_on_what_is_full_is_one_sentence(words):
    command = [sys.executable, "-m", "thekeys_async", *words, *(["--port", "0"] if "simulate" in words else [])]
    with _FULL.open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: Standard output could not be written (No space left on device)")
    assert result.stderr.count("\n") == 1


@pytest.fixture
def closed(simulated_gateway):
    """Run the command with standard streams closed: `>&-` is standard output."""

    def closed(which, action, *flags):
        arguments = ["--host", simulated_gateway.address, "-i", IDENTIFIER, "-c", CODE, action, *flags]
        command = ["sh", "-c", f'exec "$0" -m thekeys_async "$@" {which}', sys.executable, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return closed


@pytest.mark.parametrize("flags", [(), ("--json",), ("-d",)])
def test_a_door_that_was_opened_ends_with_0_where_standard_output_is_closed(closed, simulated_gateway, flags):
    result = closed(">&-", "open", *flags)
    assert result.returncode == 0
    assert "It is done, but standard output could not be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(simulated_gateway.requests) == 1


@pytest.mark.parametrize("action", ["search", "watch"])
def test_a_read_says_that_standard_output_is_closed(closed, action):
    result = closed(">&-", action, "--timeout", "5", "--json")
    assert result.returncode == 1
    assert "Standard output could not be written" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("where", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_the_exit_code_is_the_same_where_other_streams_are_closed(closed, simulated_gateway, where):
    assert closed(where, "open").returncode == 0
    assert closed(where, "open", "no", "such", "words").returncode == 2
    assert closed(where, "check", "--open-and-close", IDENTIFIER).returncode == 1, "nobody can agree to it"
    assert [request.endpoint for request in simulated_gateway.requests] == ["open"]


def test_a_question_that_nobody_answers_says_how_to_go_without(closed):
    result = closed("</dev/null", "check", "--open-and-close", IDENTIFIER)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "Error: Nothing was done. With -y it is done without asking."


@pytest.mark.parametrize("columns", ["0", "", "000"])
def test_a_terminal_of_no_width_is_one_whose_width_is_not_known(simulated_gateway, columns):
    command = [sys.executable, "-m", "thekeys_async", "search", "--host", simulated_gateway.address]
    environment = {**os.environ, "COLUMNS": columns}
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment).stdout
    assert IDENTIFIER in shown
