"""What each action asks of the gateway, and what it prints."""

import json

import pytest

from tests.sample import CODE, IDENTIFIER, LOCKER

pytestmark = pytest.mark.usefixtures("no_rest")


def asked(gateway):
    return [(request.endpoint, request.identifier) for request in gateway.requests]


def test_the_vendors_own_line(run, simulated_gateway):
    result = run("--host", simulated_gateway.address, "-i", IDENTIFIER, "-c", CODE, "open")
    assert (result.exit_code, result.stderr) == (0, "")
    assert simulated_gateway.lockers[LOCKER].state == "open"
    assert "5 s" in result.stdout


@pytest.mark.parametrize(
    ("action", "request_made"),
    [
        ("open", ("open", LOCKER)),
        ("close", ("close", LOCKER)),
        ("calibrate", ("calibrate", LOCKER)),
        ("locker_status", ("locker_status", LOCKER)),
        ("search", ("lockers", None)),
        ("status", ("status", None)),
        ("synchronize", ("synchronize", None)),
        ("auto_on", ("auto", None)),
        ("auto_off", ("auto", None)),
        ("update", ("update", None)),
        ("synchronize_locker", ("synchronize_locker", LOCKER)),
        ("update_locker", ("update_locker", LOCKER)),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",), ("--timeout", "20")])
def test_each_action_asks_its_one_request(ask, simulated_gateway, action, request_made, flags):
    result = ask(action, *flags)
    assert (result.exit_code, result.stderr) == (0, "")
    assert asked(simulated_gateway) == [request_made]
    assert result.stdout.strip()


@pytest.mark.parametrize("action", ["open", "close", "calibrate", "synchronize_locker", "update_locker"])
def test_a_locker_command_as_json(ask, action):
    value = json.loads(ask(action, "--json").stdout)
    assert value.pop("duration") >= 0
    timestamp = value.pop("timestamp")
    assert (timestamp is None) == action.endswith("_locker")
    assert value == {"action": action, "identifier": LOCKER, "attempts": 1}


def test_a_gateway_command_as_json_names_no_locker(ask):
    value = json.loads(ask("synchronize", "--json").stdout)
    assert value.pop("duration") >= 0
    assert value == {"action": "synchronize", "timestamp": None, "attempts": 1}


def test_automatic_synchronisation_is_switched(ask, simulated_gateway):
    assert "gateway" in ask("auto_off").stdout
    assert simulated_gateway.state.automatic_synchronization is False
    ask("auto_on")
    assert simulated_gateway.state.automatic_synchronization is True


def test_search_as_json(ask, simulated_gateway):
    locker = simulated_gateway.lockers[LOCKER]
    locker.battery_mv, locker.rssi, locker.wander, locker.last_log = 7783, -71, 0, 100
    (reading,) = json.loads(ask("search", "--json").stdout)
    assert reading == {
        "identifier": LOCKER,
        "rssi": -71,
        "battery_mv": 7783,
        "battery_percent": 77,
        "last_log": 100,
    }


def test_search_shows_millivolts_and_the_estimate(ask, simulated_gateway):
    simulated_gateway.lockers[LOCKER].battery_mv = 7783
    shown = ask("search").stdout
    assert "7783 mV (about 77 %)" in shown
    assert "estimate" in shown


def test_search_without_any_locker(ask, simulated_gateway):
    simulated_gateway.lockers.clear()
    assert "no locker" in ask("search").stdout
    assert json.loads(ask("search", "--json").stdout) == []


def test_status_as_json(ask):
    assert json.loads(ask("status", "--json").stdout) == {
        "version": 65,
        "phase": "Scanning...",
        "synchronizing": False,
    }


def test_status_shows_no_control_characters_of_the_gateway(ask, simulated_gateway):
    simulated_gateway.reply_next({"version": 1, "current_status": "\x1b[2Jgone\nX"}, on="status")
    result = ask("status")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "gone X" in result.stdout


@pytest.mark.parametrize(("state", "locked"), [("open", False), ("closed", True), ("unknown", None), ("jammed", None)])
def test_locker_status(ask, simulated_gateway, state, locked):
    locker = simulated_gateway.lockers[LOCKER]
    locker.state = type(locker.state)(state)
    value = json.loads(ask("locker_status", "--json").stdout)
    assert (value["identifier"], value["state"], value["locked"], value["version"]) == (LOCKER, state, locked, 81)
    assert value["battery_mv"] == pytest.approx(7044, abs=2)
    shown = ask("locker_status").stdout
    assert state in shown
    assert "bolt's, not the leaf's" in shown
