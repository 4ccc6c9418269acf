"""Values as JSON and back: every reading, status, update and result."""

import json
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given, strategies as st

import thekeys_async
from tests.sample import LOCKER
from thekeys_async import (
    CommandResult,
    DoorState,
    FleetResult,
    GatewayBusyError,
    GatewayStatus,
    GatewayUpdate,
    InvalidHmacError,
    LockerReading,
    LockerStatus,
    LockerUpdate,
    OutcomeUnknownError,
    TheKeysError,
    UpdateKind,
)

_NATURAL = st.integers(0, 2**63)
_AT = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))]))
_READING = st.builds(
    LockerReading,
    identifier=_NATURAL,
    rssi=st.none() | st.integers(-255, 255),
    battery_mv=st.none() | st.integers(0, 100_000),
    last_log=st.none() | _NATURAL,
)
_STATUS = st.builds(
    LockerStatus,
    state=st.sampled_from(DoorState),
    position=st.none() | st.integers(-(2**31), 2**31 - 1),
    rssi=st.none() | st.integers(-255, 255),
    battery_mv=st.none() | st.integers(0, 100_000),
    version=st.none() | _NATURAL,
)
_ERRORS = [kind for kind in vars(thekeys_async).values() if isinstance(kind, type) and issubclass(kind, TheKeysError)]
_ERROR = st.builds(
    lambda kind, message, code, cause: kind(message, code=code, cause=cause),
    st.sampled_from(_ERRORS),
    st.text(),
    st.none() | st.integers(),
    st.none() | st.text(),
)
_LOCKER_UPDATE = st.builds(
    LockerUpdate,
    gateway=st.text(),
    identifier=_NATURAL,
    kind=st.sampled_from(UpdateKind),
    reading=st.none() | _READING,
    previous=st.none() | _READING,
    changed=st.frozensets(st.sampled_from(["rssi", "battery_mv", "last_log", "status", "status_error"])),
    status=st.none() | _STATUS,
    status_error=st.none(),
    at=_AT,
    missed=st.integers(0, 2**40),
)
_GATEWAY_UPDATE = st.builds(
    GatewayUpdate, gateway=st.text(), reachable=st.booleans(), error=st.none(), phase=st.none() | st.text(), at=_AT
)
_VALUES = st.one_of(
    _READING,
    _STATUS,
    st.builds(GatewayStatus, version=st.none() | _NATURAL, phase=st.text()),
    st.builds(CommandResult, timestamp=st.none() | _NATURAL, attempts=_NATURAL, duration=st.floats(0, 1e9)),
    _LOCKER_UPDATE,
    _GATEWAY_UPDATE,
)


@given(_VALUES)
def test_a_value_goes_to_json_and_comes_back(value):
    written = json.dumps(value.as_dict())
    assert type(value).from_dict(json.loads(written)) == value
    assert set(value.as_dict()) == {field.name for field in attrs.fields(type(value))}


@given(_ERROR)
def test_an_error_goes_to_json_and_comes_back(error):
    back = TheKeysError.from_dict(json.loads(json.dumps(error.as_dict())))
    assert type(back) is type(error)
    assert (str(back), vars(back)) == (str(error), vars(error))


def test_what_it_looks_like():
    update = LockerUpdate(
        gateway="hall",
        identifier=LOCKER,
        kind=UpdateKind.CHANGED,
        reading=LockerReading(LOCKER, -71, 7235, 100),
        previous=LockerReading(LOCKER, -70, 7235),
        changed=frozenset({"rssi", "last_log"}),
        status=LockerStatus(DoorState.OPEN),
        status_error=InvalidHmacError("refused", code=33, cause="bad"),
        at=datetime(2026, 8, 1, 12, tzinfo=UTC),
        missed=2,
    )
    assert update.as_dict() == {
        "gateway": "hall",
        "identifier": LOCKER,
        "kind": "CHANGED",
        "reading": {"identifier": LOCKER, "rssi": -71, "battery_mv": 7235, "last_log": 100},
        "previous": {"identifier": LOCKER, "rssi": -70, "battery_mv": 7235, "last_log": None},
        "changed": ["last_log", "rssi"],
        "status": {"state": "OPEN", "position": None, "rssi": None, "battery_mv": None, "version": None},
        "status_error": {
            "error": "InvalidHmacError",
            "message": "refused",
            "code": 33,
            "cause": "bad",
            "may_have_executed": False,
        },
        "at": "2026-08-01T12:00:00+00:00",
        "missed": 2,
    }
    back = LockerUpdate.from_dict(update.as_dict())
    assert isinstance(back.status_error, InvalidHmacError)
    assert attrs.evolve(back, status_error=None) == attrs.evolve(update, status_error=None)


def test_what_a_fleet_answered():
    busy = GatewayBusyError("busy", phase="Synchronizing gw")
    result = FleetResult({"hall": (LockerReading(1, -60, 7000),)}, {"annex": busy, "attic": OSError("full")})
    assert json.loads(json.dumps(result.as_dict())) == {
        "values": {"hall": [{"identifier": 1, "rssi": -60, "battery_mv": 7000, "last_log": None}]},
        "errors": {
            "annex": {
                "error": "GatewayBusyError",
                "message": "busy",
                "code": 500,
                "cause": None,
                "may_have_executed": False,
                "phase": "Synchronizing gw",
            },
            "attic": {"error": "OSError", "message": "full"},
        },
    }


def test_what_is_left_out_has_its_default_and_what_is_not_known_is_passed_over():
    assert LockerStatus.from_dict({"state": "CLOSED", "new": 1}) == LockerStatus(DoorState.CLOSED)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (LockerReading, {"rssi": -60, "battery_mv": 7000}),
        (LockerReading, {"identifier": 1, "rssi": -600, "battery_mv": 7000}),
        (LockerReading, {"identifier": "1", "rssi": -60, "battery_mv": 7000}),
        (LockerStatus, {"state": "open"}),
        (LockerStatus, {"state": None}),
        (GatewayUpdate, {"gateway": "hall", "reachable": True, "at": "2026-08-01T12:00:00"}),
        (GatewayUpdate, {"gateway": "hall", "reachable": True, "at": "yesterday"}),
        (GatewayUpdate, {"gateway": "hall", "reachable": True, "at": None}),
        (GatewayUpdate, {"gateway": "hall", "reachable": True, "at": 1}),
        (GatewayUpdate, {"gateway": None, "reachable": True, "at": "2026-08-01T12:00:00Z"}),
        (GatewayUpdate, {"gateway": "hall", "reachable": "no", "at": "2026-08-01T12:00:00Z"}),
        (GatewayUpdate, {"gateway": "hall", "reachable": 0, "at": "2026-08-01T12:00:00Z"}),
        (CommandResult, {"timestamp": "1", "attempts": 1, "duration": 0.1}),
        (CommandResult, {"timestamp": 1, "attempts": True, "duration": 0.1}),
        (GatewayStatus, {"version": "65", "phase": ""}),
        (TheKeysError, {"error": "TheKeysError", "message": "m", "code": None, "cause": None}),
        (TheKeysError, {"error": [], "message": "m", "code": None, "cause": None, "may_have_executed": "no"}),
        (TheKeysError, {"error": "x", "message": "m", "code": "33", "cause": None, "may_have_executed": False}),
        (GatewayUpdate, {"gateway": "hall", "reachable": True, "at": "2026-08-01T12:00:00Z", "error": {"code": 1}}),
    ],
)
def test_what_makes_no_sense_is_refused(kind, values):
    with pytest.raises((TypeError, ValueError)):
        kind.from_dict(values)


def test_an_error_that_is_not_known_keeps_what_it_says_of_the_door():
    values = OutcomeUnknownError("who knows").as_dict() | {"error": "FutureError"}
    back = TheKeysError.from_dict(values)
    assert type(back) is TheKeysError
    assert back.may_have_executed
