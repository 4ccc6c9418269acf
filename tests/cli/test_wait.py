"""`open --wait` and `close --wait`: the last word on the bolt."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.sample import CODE, LOCKER
from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import Fault, SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")

SECONDS = 30


@pytest.fixture
def gateway(simulated_gateway_factory):
    return simulated_gateway_factory([SimulatedLocker(LOCKER, share_code=CODE)], bolt_delay=0)


@pytest.fixture
def flags(gateway):
    return ("--host", gateway.address, "-i", str(LOCKER), "-c", CODE)


def asked(gateway):
    return [request.endpoint for request in gateway.requests]


@pytest.mark.parametrize(("action", "state"), [("open", "open"), ("close", "closed"), ("unlock", "open")])
def test_it_ends_when_the_bolt_is_there(run, gateway, flags, action, state):
    result = run(action, "--wait", *flags)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"The bolt is {state}" in result.stdout
    assert gateway.lockers[LOCKER].state == state
    assert asked(gateway)[1:] == ["locker_status"]


def test_without_it_the_bolt_is_not_asked_for(run, gateway, flags):
    result = run("open", *flags)
    assert "--wait" in result.stdout
    assert asked(gateway) == ["open"]


def test_what_it_prints_as_json(run, gateway, flags):
    value = json.loads(run("open", "--wait", "--json", *flags).stdout)
    assert value.pop("duration") >= 0
    assert value.pop("waited") >= 0
    assert value.pop("timestamp") == gateway.requests[0].timestamp
    assert value == {"action": "open", "identifier": LOCKER, "attempts": 1, "state": "open", "locked": False}


@pytest.mark.parametrize("debug", [(), ("-d",)])
def test_a_bolt_that_does_not_arrive_is_said_to_be_where_it_was_seen(run, gateway, flags, debug):
    gateway.lockers[LOCKER].jammed = True
    result = run("open", "--wait", "--timeout", "2", *flags, *debug)
    assert result.exit_code == ExitCode.NOT_THERE == 10
    assert result.stdout == ""
    assert "open: done, says the gateway, but" in result.stderr
    assert "it said jammed" in result.stderr
    assert "Look at the door" in result.stderr
    assert asked(gateway).count("open") == 1


def test_a_bolt_that_can_not_be_read_says_why_as_json(run, gateway, flags):
    gateway.error(33, on="locker_status", times=99)
    result = run("open", "--wait", "--json", "--timeout", "3", *flags)
    assert result.exit_code == ExitCode.NOT_THERE
    error = json.loads(result.stderr)
    assert (error["error"], error["may_have_executed"], error["exit_code"]) == ("InvalidHmacError", True, 10)


@pytest.mark.parametrize(("fault", "code"), [(Fault.RESET_AFTER, ExitCode.OUTCOME_UNKNOWN), (36, ExitCode.REFUSED)])
def test_a_command_that_failed_is_not_waited_for(run, gateway, flags, fault, code):
    if isinstance(fault, Fault):
        gateway.fail(fault, on="open")
    else:
        gateway.error(fault, on="open", times=9)
    assert run("open", "--wait", *flags).exit_code == code
    assert "locker_status" not in asked(gateway)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_signal_while_it_waits_leaves_the_outcome_open(start, gateway, flags):
    gateway.lockers[LOCKER].jammed = True
    process = start("open", "--wait", *flags)
    gateway.wait_for_requests(2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "may have moved" in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("jammed", "code"), [(False, 0), (True, 10)])
def test_output_that_fails_changes_nothing(start, gateway, flags, jammed, code):
    gateway.lockers[LOCKER].jammed = jammed
    full = os.open("/dev/full", os.O_WRONLY)
    process = start("open", "--wait", "--timeout", "2", *flags, stdout=full)
    os.close(full)
    process.communicate(timeout=SECONDS)
    assert process.returncode == code


def test_the_help_says_with_what_it_ends(run):
    assert "ends with 10" in " ".join(run("open", "--help").stdout.split())
