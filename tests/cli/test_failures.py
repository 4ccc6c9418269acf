"""What is said when something fails, and how the command ends."""

import base64
import hmac
import json
import socket

import pytest

import thekeys_async
from tests.sample import CODE
from thekeys_async import AsyncGateway, AsyncLocker, TheKeysError
from thekeys_async.cli.errors import MEANINGS, Effect, ExitCode, exit_code, failure
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.simulator import Fault

pytestmark = pytest.mark.usefixtures("no_rest")

NOT_MOVED = "the door was not moved"
MAY_HAVE = "may have moved"


def check(result, code, *words):
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, "one line"
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert CODE not in result.stderr


@pytest.mark.parametrize("code", [32, 34, 35, 36, 400])
def test_a_refusal(ask, simulated_gateway, code):
    simulated_gateway.error(code, on="open", times=9)
    check(ask("open", "--timeout", "9"), ExitCode.REFUSED, NOT_MOVED)


def test_a_wrong_share_code(run, simulated_gateway):
    arguments = ("close", "--host", simulated_gateway.address, "-i", "45961123", "-c", "wrong", "--timeout", "30")
    check(run(*arguments), ExitCode.REFUSED, NOT_MOVED, "share code")


def test_a_locker_fault_may_have_moved_the_door(ask, simulated_gateway):
    simulated_gateway.error(37, on="open", times=9)
    check(ask("open"), ExitCode.OUTCOME_UNKNOWN, MAY_HAVE, "thekeys locker_status")


def test_a_locker_fault_on_a_read_moved_nothing(ask, simulated_gateway):
    simulated_gateway.error(37, on="locker_status", times=9)
    check(ask("locker_status"), ExitCode.REFUSED, "no door moved")


@pytest.mark.parametrize("action", ["open", "close", "calibrate"])
def test_a_command_without_an_answer_may_have_moved_the_door(ask, simulated_gateway, action):
    simulated_gateway.fail(Fault.RESET_AFTER, on=action)
    check(ask(action), ExitCode.OUTCOME_UNKNOWN, MAY_HAVE, "before you repeat it")


@pytest.mark.parametrize("action", ["synchronize", "update", "synchronize_locker", "update_locker"])
def test_a_command_that_moves_no_door_says_so(ask, simulated_gateway, action):
    simulated_gateway.fail(Fault.RESET_AFTER, on=action)
    check(ask(action), ExitCode.OUTCOME_UNKNOWN, "no door moved, but the")


def test_an_answer_that_is_not_understood(ask, simulated_gateway):
    simulated_gateway.fail(Fault.NOT_JSON, on="lockers", times=9)
    check(ask("search"), ExitCode.NOT_UNDERSTOOD, "no door moved", "--host")


def test_a_gateway_that_is_not_there(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        check(run("search", "--host", host, "--timeout", "4"), ExitCode.UNREACHABLE, "no door moved", "--host")


def test_a_gateway_that_stays_busy(ask, simulated_gateway):
    simulated_gateway.start_synchronizing()
    check(ask("open", "--timeout", "1"), ExitCode.BUSY, NOT_MOVED, "--timeout")


def test_time_is_up(ask, simulated_gateway):
    simulated_gateway.fail(Fault.HANG, on="lockers", times=9)
    check(ask("search", "--timeout", "0.5"), ExitCode.TIMEOUT, "--timeout")


def test_no_share_code(run, simulated_gateway):
    result = run("open", "--host", simulated_gateway.address, "-i", "45961123")
    check(result, ExitCode.USAGE, "THEKEYS_CODE", NOT_MOVED)
    assert not simulated_gateway.requests


def test_an_error_as_json_stands_on_stderr(ask, simulated_gateway):
    simulated_gateway.error(37, on="open", times=9)
    result = ask("open", "--json")
    error = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (5, "")
    message = error.pop("message")
    assert MAY_HAVE in message
    assert error == {
        "error": "LockerFaultError",
        "code": 37,
        "cause": "error",
        "may_have_executed": True,
        "exit_code": 5,
    }


def test_the_gateways_words_can_not_write_to_the_terminal(ask, simulated_gateway):
    simulated_gateway.reply_next({"status": "ko", "code": 35, "cause": "a\x1b[2Jb\nc"}, on="open")
    result = ask("open")
    check(result, ExitCode.REFUSED)
    assert "\x1b" not in result.stderr


def test_debug_shows_log_and_traceback_and_no_secret(run, simulated_gateway):
    simulated_gateway.fail(Fault.RESET_AFTER, on="open")
    arguments = ("-d", "open", "--host", simulated_gateway.address, "-i", "45961123", "-c", CODE)
    result = run(*arguments)
    assert result.exit_code == ExitCode.OUTCOME_UNKNOWN
    assert "DEBUG" in result.stderr
    assert "Traceback" in result.stderr
    assert "OutcomeUnknownError" in result.stderr
    timestamp = str(simulated_gateway.requests[-1].timestamp)
    signature = base64.b64encode(hmac.digest(CODE.encode(), timestamp.encode(), "sha256")).decode()
    assert CODE not in result.stderr
    assert signature[:20] not in result.stderr


@pytest.mark.parametrize(("action", "code"), [("search", ExitCode.UNEXPECTED), ("open", ExitCode.OUTCOME_UNKNOWN)])
@pytest.mark.parametrize("debug", [False, True])
def test_a_mistake_in_the_program_shows_no_traceback_unasked(ask, monkeypatch, action, code, debug):
    async def fall_over(*_, **__):
        raise RuntimeError(CODE)

    monkeypatch.setattr(AsyncGateway, "lockers", fall_over)
    monkeypatch.setattr(AsyncLocker, "open", fall_over)
    result = ask(action, *(["-d"] if debug else []))
    assert result.exit_code == code
    assert ("Traceback" in result.stderr) is debug
    assert "RuntimeError" in result.stderr


def every_error():
    names = [name for name in thekeys_async.__all__ if name.endswith("Error")]
    return [getattr(thekeys_async, name) for name in names]


@pytest.mark.parametrize("kind", every_error())
@pytest.mark.parametrize("effect", Effect)
def test_every_error_has_its_words_and_its_code(kind, effect):
    assert issubclass(kind, TheKeysError)
    error = kind("what happened.")
    error.may_have_executed = False
    told = str(failure(error, effect, CommandSettings()))
    assert told.startswith("what happened; ")
    assert told.endswith(".")
    assert exit_code(error) in MEANINGS
    error.may_have_executed = True
    assert exit_code(error) is ExitCode.OUTCOME_UNKNOWN


def test_only_three_codes_leave_the_outcome_open():
    assert set(MEANINGS) == set(ExitCode)
    assert [code for code, meaning in MEANINGS.items() if "MAY" in meaning] == [5, 130, 143]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_port_in_use_is_named(run, flags):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("simulate", "--port", port, "--locker", f"1:{CODE}", *flags)
        cloud = run("simulate", "--port", "0", "--cloud", "--cloud-port", port, "--locker", f"1:{CODE}", *flags)
    assert result.exit_code == cloud.exit_code == ExitCode.UNEXPECTED
    assert f"Port {port} at 127.0.0.1 is in use: choose another one with --port" in result.stderr
    assert f"Port {port} at 127.0.0.1 is in use: choose another one with --cloud-port" in cloud.stderr
    assert result.stderr.count("\n") == 1


def test_an_address_of_somebody_else_is_named(run):
    result = run("simulate", "--host", "192.0.2.1", "--port", "0", "--locker", f"1:{CODE}")
    assert result.exit_code == ExitCode.UNEXPECTED
    assert "Nothing can listen at 192.0.2.1" in result.stderr


@pytest.mark.parametrize(
    ("settings", "unreachable", "not_understood"),
    [
        (CommandSettings(given_hosts=("hall",)), "Check --host", "Check that --host is"),
        (
            CommandSettings(configured_host="hall", config="my locks.toml"),
            "'thekeys --config 'my locks.toml' setup' finds it",
            "Check that this address is",
        ),
        (CommandSettings(), "'thekeys discover' looks for it, and --host says where", "Check that this address is"),
    ],
)
def test_what_to_check_depends_on_who_has_said_the_address(settings, unreachable, not_understood):
    said = str(failure(thekeys_async.GatewayUnreachableError("search: no connection"), Effect.NONE, settings))
    assert unreachable in said
    assert ("Check --host" in said) is bool(settings.given_hosts)
    said = str(failure(thekeys_async.ProtocolError("search: not JSON"), Effect.NONE, settings))
    assert not_understood in said


def test_the_file_says_where_a_gateway_is(run, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[gateways.hall]\nhost = "127.0.0.1:1"\n')
    path.chmod(0o600)
    check(run("search", "--timeout", "1", "--config", str(path)), ExitCode.UNREACHABLE, f"--config {path} setup' finds")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_an_interrupt_before_the_work_has_begun_did_nothing(ask, simulated_gateway, monkeypatch, flags):
    monkeypatch.setattr("thekeys_async.cli.actions.chosen_coordinator", _interrupted)
    result = ask("open", *flags)
    assert (result.exit_code, result.stdout) == (ExitCode.INTERRUPTED, "")
    assert "Stopped by SIGINT; nothing was done." in result.stderr
    assert not flags or json.loads(result.stderr)["may_have_executed"] is False
    assert not simulated_gateway.requests


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_an_interrupt_while_the_end_is_printed_does_not_deny_what_was_done(ask, simulated_gateway, monkeypatch, flags):
    monkeypatch.setattr("thekeys_async.cli.output.show", _interrupted)
    result = ask("open", *flags)
    assert (result.exit_code, result.stdout) == (ExitCode.INTERRUPTED, "")
    assert "a command may have been carried out: look before you repeat it" in result.stderr
    assert not flags or json.loads(result.stderr)["may_have_executed"] is True
    assert len(simulated_gateway.requests) == 1


def _interrupted(*_, **__):
    raise KeyboardInterrupt
