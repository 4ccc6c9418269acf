"""What the page says of a door: the worst that is wrong with it, and what is known of it, in words."""

from datetime import UTC, datetime

import pytest

from thekeys_async import (
    Config,
    DoorState,
    GatewayConfig,
    GatewayUpdate,
    InvalidKeyError,
    LockerConfig,
    LockerReading,
    LockerStatus,
    LockerUpdate,
    UpdateKind,
)
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.heartbeat import Moment
from thekeys_async.bridge.page import DoorRow, Severity, fragment, page, rows
from thekeys_async.bridge.plan import make_plan

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_WALL = _AT.timestamp()


def _devices(**reading) -> Devices:
    lockers = {"Front": LockerConfig(1, "hall", "code"), "Attic": LockerConfig(2, "hall", "code")}
    plan = make_plan(Config({"hall": GatewayConfig("127.0.0.1")}, lockers), {})
    devices = Devices(plan.topics, plan.lockers, ["hall"], version="1")
    devices.gateway_news(GatewayUpdate(gateway="hall", reachable=True, at=_AT))
    for number in (1, 2):
        _news(devices, number, status=LockerStatus(DoorState.CLOSED), changed=frozenset({"status"}))
    _news(devices, 1, **reading)
    return devices


def _news(devices: Devices, number: int, rssi: int = -60, battery_mv: int = 7800, **more) -> None:
    options = {"kind": UpdateKind.CHANGED, "at": _AT, **more}
    reading = LockerReading(number, rssi, battery_mv, 100)
    devices.locker_news(LockerUpdate(gateway="hall", identifier=number, reading=reading, **options), Moment(_WALL, 0.0))


def _front(devices: Devices, now: float = 0.0) -> DoorRow:
    return next(row for row in rows(devices, _WALL + now) if row.name == "Front")


def test_a_door_with_which_all_is_well():
    row = _front(_devices(), 30)
    assert row == DoorRow("Front", "locked", Severity.NONE, "", "78 % (7.80 V)", "-60 dBm, good", "just now", "hall")
    assert [each.name for each in rows(_devices(), _WALL)] == ["Attic", "Front"]
    assert "2 doors, all well" in fragment(_devices(), [], _WALL)


@pytest.mark.parametrize(
    ("battery", "severity", "says"), [(6800, Severity.NONE, ""), (6799, Severity.MINOR, "battery is low")]
)
def test_a_battery(battery, severity, says):
    row = _front(_devices(battery_mv=battery))
    assert row.severity is severity
    assert says in row.wrong


@pytest.mark.parametrize(("rssi", "word"), [(-75, "good"), (-76, "fair"), (-85, "fair"), (-86, "weak"), (-120, "weak")])
def test_a_signal(rssi, word):
    assert _front(_devices(rssi=rssi)).signal == f"{rssi} dBm, {word}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59, "just now"), (60, "1 min ago"), (3599, "60 min ago"), (3600, "1 h ago"), (200_000, "2 d ago")],
)
def test_an_age(seconds, words):
    assert _front(_devices(), seconds).age == words


def test_what_is_wrong_comes_first_and_the_worst_of_it_is_said():
    devices = _devices()
    devices.command_failed(1, 1.0, may_have_executed=True)
    assert "may or may not" in _front(devices).wrong
    assert rows(devices, _WALL)[0].name == "Front"
    devices = _devices()
    _news(devices, 1, kind=UpdateKind.LOST)
    assert "does not see it" in _front(devices).wrong
    assert _front(devices).signal == "-"
    devices = _devices()
    _news(devices, 1, status=LockerStatus(DoorState.JAMMED), changed=frozenset({"status"}))
    assert (_front(devices).bolt, _front(devices).severity) == ("jammed", Severity.MAJOR)
    devices = _devices()
    error = InvalidKeyError("the locker refused the key", code=36)
    _news(devices, 1, status_error=error, changed=frozenset({"status_error"}))
    assert "refused the key" in _front(devices).wrong
    assert "1 with something wrong" in fragment(devices, [], _WALL)


def test_a_gateway_that_does_not_answer_is_the_trouble_of_all_its_doors():
    devices = _devices()
    devices.gateway_news(GatewayUpdate(gateway="hall", reachable=False, at=_AT))
    assert all("gateway does not answer" in row.wrong for row in rows(devices, _WALL))
    assert "does not answer" in page(devices, ["no connection to the broker"], _WALL)
    assert "The bridge: no connection to the broker." in page(devices, ["no connection to the broker"], _WALL)
