"""The command `thekeys check`: its flags, its output, how it ends, and what it leaves alone."""

import json
import sys

import attrs
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tests.sample import CODE, LOCKER
from thekeys_async import Pacing, read_recording
from thekeys_async.cli.check import run as command
from thekeys_async.cli.commands import thekeys
from thekeys_async.simulator import Bolt, Fault, SimulatedLocker

pytestmark = pytest.mark.usefixtures("quick_backoff")


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    for name in ("THEKEYS_HOST", "THEKEYS_CODE", "THEKEYS_CONFIG", "THEKEYS_REDIS_URL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(command, "PLAN", attrs.evolve(command.PLAN, pacing=Pacing(0, 0), patience=2.0, linger=0.01))
    for pause in ("_SHORT_PAUSE", "_LONG_PAUSE"):
        monkeypatch.setattr(f"thekeys_async.locker.{pause}", 0.01)


@pytest.fixture
def short_lead(monkeypatch):
    """Leave the next timestamps room, so that no test waits for the clock."""
    monkeypatch.setattr(command, "PLAN", attrs.evolve(command.PLAN, max_lead=2.0))


@pytest.fixture
def check(simulated_gateway):
    def check(*flags, host=simulated_gateway.address, code=CODE, input=None):  # noqa: A002 - as click calls it
        arguments = ["check", "--host", host, "-i", str(LOCKER), *(["-c", code] if code else []), *flags]
        return CliRunner().invoke(thekeys, arguments, input, prog_name="thekeys")

    return check


def moved(gateway):
    return {record.endpoint for record in gateway.requests} - {"status", "lockers", "locker_status", "root_status"}


def test_a_well_gateway(check, simulated_gateway):
    result = check()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "All is well." in result.stdout
    assert moved(simulated_gateway) == set()
    assert len(simulated_gateway.requests) <= 40
    assert simulated_gateway.overlaps == 0


def test_json_has_every_finding_and_the_exit_code(check):
    result = check("--json", code="another code")
    value = json.loads(result.stdout)
    assert value["exit_code"] == result.exit_code == 6
    assert {each["check"] for each in value["findings"]} == {
        *("name", "proxy", "connection", "gateway", "style", "http", "latency", "phase"),
        *("locker", "share", "clock", "others"),
    }
    share = next(each for each in value["findings"] if each["check"] == "share")
    assert (share["locker"], share["result"]) == (LOCKER, "failed")
    assert share["means"]
    assert share["do"]
    assert "another code" not in result.stdout + result.stderr


def test_recommended_settings_are_in_the_json(check, simulated_gateway):
    simulated_gateway.state.max_future = 3
    value = json.loads(check("--json").stdout)
    assert value["recommended"] == {"pacing": None, "timestamps": "Timestamps(max_lead=3)"}
    assert value["exit_code"] == 12


def test_anonymous_output_tells_nothing_of_whose_it_is(check, simulated_gateway):
    simulated_gateway.lockers[LOCKER].rssi = -91
    result = check("--anonymous")
    value = json.loads(result.stdout)
    assert value["gateway"] == "gateway"
    assert "locker 1:" in value["verdict"]
    for telltale in (str(LOCKER), "127.0.0.1", CODE, simulated_gateway.address):
        assert telltale not in result.stdout


def test_no_share_code_leaves_doors_alone(check, simulated_gateway):
    result = check(code=None)
    assert result.exit_code == 0
    assert "as far as can be told without a share code" in result.stdout
    assert "locker_status" not in {record.endpoint for record in simulated_gateway.requests}


def test_a_clock_that_is_not_set_is_not_mended_by_a_check(check, simulated_gateway):
    simulated_gateway.state.clock_set = False
    result = check()
    assert result.exit_code == 6
    assert "thekeys synchronize" in result.stdout
    assert moved(simulated_gateway) == set()


def test_it_asks_forty_times_in_a_minute_at_most():
    assert (command.PLAN.requests, command.PLAN.seconds) == (40, 60)


def test_many_lockers_leave_time_for_the_rest(simulated_gateway_factory, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "PLAN", attrs.evolve(command.PLAN, requests=25))
    numbers = range(1, 13)
    gateway = simulated_gateway_factory([SimulatedLocker(number, share_code=f"code {number}") for number in numbers])
    file = tmp_path / "config.toml"
    text = f'[gateways.hall]\nhost = "{gateway.address}"\n'
    for number in numbers:
        text += f'[lockers.door-{number}]\nidentifier = {number}\ngateway = "hall"\ncode = "code {number}"\n'
    file.write_text(text)
    file.chmod(0o600)
    result = CliRunner().invoke(thekeys, ["check", "hall", "--config", str(file)], prog_name="thekeys")
    assert result.exit_code == 12
    assert "not all was asked: 5 of 12 doors were read" in result.stdout
    assert "10 light requests" in result.stdout
    assert "share door-1" in result.stdout
    assert len(gateway.requests) <= 25


def test_no_request_is_sent_beyond_the_last(check, simulated_gateway, monkeypatch):
    monkeypatch.setattr(command, "PLAN", attrs.evolve(command.PLAN, requests=6))
    result = check()
    assert "not all was asked: 6 requests were sent" in result.stdout
    assert len(simulated_gateway.requests) == 6


def test_time_that_is_over_ends_it(check, simulated_gateway, monkeypatch):
    monkeypatch.setattr(command, "PLAN", attrs.evolve(command.PLAN, patience=30.0))
    simulated_gateway.fail(Fault.HANG, on="lockers", times=9)
    result = check("--timeout", "0.3")
    assert "not all was asked: 0.3 s were over" in result.stdout
    assert result.exit_code == 12


def test_a_proxy_in_the_environment_is_named_without_its_value(check, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:geheim@127.0.0.1:1/")
    result = check()
    assert result.exit_code == 0
    assert "HTTP_PROXY is set, and ignored" in result.stdout
    assert "geheim" not in result.stdout


def test_a_name_that_stands_for_nothing(check):
    result = check(host="no-such-gateway.invalid")
    assert result.exit_code == 3
    assert "stands for no address" in result.stdout
    assert "thekeys discover" in result.stdout


def test_odd_fields_are_named(check, simulated_gateway):
    simulated_gateway.reply_next({"version": 65, "current_status": "Scanning...", "serial": "x"}, on="status")
    device = {"identifier": str(LOCKER), "rssi": -71.0, "battery": 7044, "last_log": 5, "colour": 1}
    simulated_gateway.reply_next({"status": "ok", "devices": [device]}, on="lockers")
    result = check()
    assert result.exit_code == 12
    for odd in ("unknown field serial", "unknown field colour of a device", "identifier is text", "rssi is a fraction"):
        assert odd in result.stdout


@pytest.mark.usefixtures("short_lead")
def test_it_opens_and_closes_a_door_that_is_named(check, simulated_gateway):
    result = check("--open-and-close", str(LOCKER), "--yes")
    assert result.exit_code == 0, result.output
    assert "bolt drawn back" in result.stdout
    locker = simulated_gateway.lockers[LOCKER]
    assert (locker.opened_count, locker.closed_count, locker.state) == (1, 1, Bolt.CLOSED)


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_it_asks_before_it_moves_a_bolt(check, simulated_gateway, answer):
    result = check("--open-and-close", str(LOCKER), input=answer)
    assert result.exit_code == 1
    assert simulated_gateway.requests == ()


@pytest.mark.usefixtures("short_lead")
def test_a_yes_at_the_prompt_moves_it(check, simulated_gateway):
    assert check("--open-and-close", str(LOCKER), input="y\n").exit_code == 0
    assert simulated_gateway.lockers[LOCKER].opened_count == 1


def test_a_door_whose_share_is_not_valid_is_left_alone(check, simulated_gateway):
    result = check("--open-and-close", str(LOCKER), "--yes", code="another code")
    assert result.exit_code == 6
    assert moved(simulated_gateway) == set()


@pytest.mark.usefixtures("short_lead")
def test_an_opening_without_an_answer_is_followed_by_closing(check, simulated_gateway):
    simulated_gateway.fail(Fault.RESET_AFTER, on="open")
    result = check("--open-and-close", str(LOCKER), "--yes")
    assert result.exit_code == 5
    assert "Look at the door." in result.stdout
    assert simulated_gateway.lockers[LOCKER].state is Bolt.CLOSED
    assert simulated_gateway.lockers[LOCKER].closed_count == 1


@pytest.mark.usefixtures("short_lead")
def test_a_refused_opening_moves_nothing_more(check, simulated_gateway):
    simulated_gateway.error(36, on="open", times=9)
    result = check("--open-and-close", str(LOCKER), "--yes")
    assert result.exit_code == 6
    assert "The door was not moved." in result.stdout
    assert simulated_gateway.lockers[LOCKER].closed_count == 0


def test_a_door_without_a_share_code_can_not_be_tried(check):
    assert check("--open-and-close", "45961999", "--yes").exit_code == 2
    assert check("--open-and-close", "no-such-door", "--yes").exit_code == 2


def test_a_recording_is_saved_beside(check, tmp_path):
    file = tmp_path / "gateway.jsonl"
    result = check("--save", str(file))
    assert result.exit_code == 0
    text = file.read_text()
    assert {each.action for each in read_recording(text.splitlines())} == {"status", "lockers", "locker_status"}
    for secret in (CODE, str(LOCKER), "127.0.0.1"):
        assert secret not in text
    again = check("--save", str(file))
    assert again.exit_code == 2
    assert "nothing was asked" in again.stderr
    assert file.read_text() == text


def test_several_gateways_of_the_file_are_too_many(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[gateways.hall]\nhost = "192.168.0.26"\n[gateways.annex]\nhost = "192.168.0.27"\n')
    file.chmod(0o600)
    result = CliRunner().invoke(thekeys, ["check", "--config", str(file)], prog_name="thekeys")
    assert result.exit_code == 2
    assert "hall, annex" in result.stderr


@pytest.mark.usefixtures("short_lead")
def test_the_door_says_which_gateway(simulated_gateway, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        f'[gateways.hall]\nhost = "{simulated_gateway.address}"\n[gateways.annex]\nhost = "192.168.0.27"\n'
        f'[lockers.front-door]\nidentifier = {LOCKER}\ngateway = "hall"\ncode = "{CODE}"\n'
    )
    file.chmod(0o600)
    flags = ["check", "--config", str(file), "--open-and-close", "Front-Door", "--yes"]
    result = CliRunner().invoke(thekeys, flags, prog_name="thekeys")
    assert result.exit_code == 0, result.output
    assert "door front-door" in result.stdout
    assert simulated_gateway.lockers[LOCKER].opened_count == 1


@pytest.mark.parametrize(("line", "offered"), [("check ", "hall"), ("check --open-and-close ", "front-door")])
def test_names_are_completed(tmp_path, line, offered):
    file = tmp_path / "config.toml"
    file.write_text(
        f'[gateways.hall]\nhost = "192.168.0.26"\n'
        f'[lockers.front-door]\nidentifier = {LOCKER}\ngateway = "hall"\ncode = "{CODE}"\n'
    )
    file.chmod(0o600)
    words = ShellComplete(thekeys, {}, "thekeys", "_THEKEYS_COMPLETE")
    with CliRunner(env={"THEKEYS_CONFIG": str(file)}).isolation():
        completions = words.get_completions(line.split(), "")
    assert offered in [each.value for each in completions]


def test_help_loads_no_client(run_python):
    loaded = run_python(
        "import sys; from thekeys_async.cli.commands import thekeys; "
        "thekeys(['check', '--help'], standalone_mode=False); print(*sys.modules)"
    )
    assert "thekeys_async.cli.check.run" not in loaded.split()
    assert "rich" not in loaded.split()


@pytest.fixture
def run_python():
    import subprocess  # noqa: PLC0415

    return lambda code: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
