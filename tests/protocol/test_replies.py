"""Answers that the vectors do not have: other ways of writing, contradictions, and any nonsense at all."""

import gzip
import json

import pytest
from hypothesis import example, given, strategies as st

from tests.sample import LOCKER
from thekeys_async import (
    DoorState,
    GatewayBusyError,
    GatewayClockError,
    GatewayStatus,
    InvalidHmacError,
    LockerFaultError,
    LockerReading,
    LockerStatus,
    MissingParameterError,
    OutcomeUnknownError,
    ProtocolError,
    TheKeysError,
)
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.endpoints import ENDPOINTS, Endpoint
from thekeys_async.protocol.errors import refusal
from thekeys_async.protocol.replies import Reply

_READERS = {
    endpoints.LOCKERS: replies.lockers,
    endpoints.STATUS: replies.gateway_status,
    endpoints.ROOT_STATUS: replies.gateway_status,
    endpoints.LOCKER_STATUS: replies.locker_status,
}
_KEYS = st.sampled_from(
    [
        *("status", "code", "cause", "message", "devices", "identifier", "rssi", "battery"),
        *("last_log", "version", "current_status", "position", "x"),
    ]
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ok", "ko", "busy", "0", "0x31", "49", "33", "500", "Door jammed", 0, 33, 37, 49, 500, 1e999])
)
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=6), max_leaves=12
)
_STATUSES = st.sampled_from([200, 204, 302, 400, 404, 500, 503])


def _read(endpoint: Endpoint, reply: Reply) -> object:
    return _READERS.get(endpoint, replies.check_done)(endpoint, reply)


def _reply(body: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body).encode())


def _ends_well(endpoint: Endpoint, reply: Reply) -> None:
    """A value, or an error of this library that is honest about what may have happened."""
    value, error = _outcome(endpoint, reply)
    if error is None:
        assert endpoint.command or value is not None
    elif endpoint.command:
        assert not isinstance(error, ProtocolError)
        assert error.may_have_executed or not isinstance(error, OutcomeUnknownError)
    else:
        assert not isinstance(error, OutcomeUnknownError)
        assert not error.may_have_executed


def _outcome(endpoint: Endpoint, reply: Reply) -> tuple[object, TheKeysError | None]:
    try:
        return _read(endpoint, reply), None
    except TheKeysError as error:
        return None, error


@given(st.sampled_from(ENDPOINTS), _STATUSES, st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
@example(endpoints.OPEN, 200, b"[" * 50_000)
@example(endpoints.LOCKERS, 200, b'{"status":"ok","devices":[{"identifier":' + b"9" * 5_000 + b"}]}")
@example(endpoints.LOCKERS, 200, b'{"status":"ok","devices":[{"identifier":1e999,"rssi":NaN,"battery":1}]}')
@example(endpoints.OPEN, 200, b"\xff\xfe\x00")
@example(endpoints.OPEN, 200, b'"ok"')
def test_any_bytes_end_in_a_value_or_an_honest_error(endpoint: Endpoint, status: int, body: bytes) -> None:
    _ends_well(endpoint, Reply(status, body))


@given(st.sampled_from(ENDPOINTS), _STATUSES, _JSON | st.dictionaries(_KEYS, _JSON, max_size=6))
@example(endpoints.LOCKER_STATUS, 200, {"status": [49], "code": {"a": 1}})
@example(endpoints.STATUS, 200, {"version": 1e999, "current_status": "x"})
def test_any_json_ends_in_a_value_or_an_honest_error(endpoint: Endpoint, status: int, body: object) -> None:
    _ends_well(endpoint, _reply(body, status))


@pytest.mark.parametrize("written", [33, "33", "0x21", " 33 ", 33.0])
@pytest.mark.parametrize("field", ["status", "code"])
def test_a_number_is_read_however_and_wherever_it_is_written(field: str, written: object) -> None:
    with pytest.raises(InvalidHmacError) as caught:
        _read(endpoints.OPEN, _reply({field: written, "message": "invalid hmac"}))
    assert (caught.value.code, caught.value.cause) == (33, "invalid hmac")


@pytest.mark.parametrize(
    "body",
    [{"status": "ok"}, {"status": "OK", "code": 0}, {"status": 0}, {"status": "0x0", "code": "ok"}, {"code": "ok"}],
)
def test_success_is_ok_or_zero_in_either_field(body: dict) -> None:
    assert _read(endpoints.OPEN, _reply(body)) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "ko"},
        {"status": None},
        {"code": 99},
        {"status": "ok", "code": 33},
        {"status": "ok", "code": 37},
        {"status": 500, "code": 37},
        {"status": "33", "code": "0x25"},
        {"status": "ok", "code": "ko"},
        {"status": "failed", "code": 0},
        {"status": "ok", "code": {"x": 1}},
        {"status": "ok", "code": True},
        {"status": "ok", "code": 33.5},
        {"status": "ok", "code": 0, "cause": "invalid hash"},
        {"status": "ok", "code": "error"},
        {"status": "0", "message": "busy"},
        {"status": "ko", "cause": "the locker timed out while its motor was busy"},
    ],
)
def test_a_command_without_a_clear_answer_may_have_been_carried_out(body: dict) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        _read(endpoints.OPEN, _reply(body))
    assert caught.value.may_have_executed


# The body is what the gateway says of the door; its HTTP status has been seen to mean nothing. A command whose answer
# is readable must not end unknown.
@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
def test_a_good_body_counts_behind_any_http_status(status: int) -> None:
    assert _read(endpoints.OPEN, _reply({"status": "ok", "code": 0}, status)) is None
    assert _read(endpoints.LOCKERS, _reply({"devices": [_GOOD]}, status)).readings
    assert _read(endpoints.STATUS, _reply({"version": 17}, status)) == GatewayStatus(17, "")
    assert _read(endpoints.LOCKER_STATUS, _reply({"status": "Door open"}, status)) == LockerStatus(DoorState.OPEN)


@pytest.mark.parametrize("endpoint", [endpoints.OPEN, endpoints.LOCKERS, endpoints.STATUS, endpoints.LOCKER_STATUS])
@pytest.mark.parametrize("body", [{}, {"error": "Internal Server Error"}])
def test_a_body_that_says_nothing_is_no_success_and_the_error_names_the_status(endpoint: Endpoint, body: dict) -> None:
    with pytest.raises(TheKeysError, match="HTTP 503") as caught:
        _read(endpoint, _reply(body, 503))
    assert caught.value.may_have_executed is endpoint.command


@pytest.mark.parametrize("endpoint", [endpoints.OPEN, endpoints.LOCKERS])
def test_a_compressed_answer_is_called_so(endpoint: Endpoint) -> None:
    with pytest.raises(TheKeysError, match=r"gzip.*not asked for") as caught:
        _read(endpoint, Reply(200, gzip.compress(b'{"status": "ok"}')))
    assert caught.value.may_have_executed is endpoint.command


@pytest.mark.parametrize("endpoint", [endpoints.OPEN, endpoints.UPDATE])
def test_an_empty_body_means_done_only_where_that_was_seen(endpoint: Endpoint) -> None:
    assert _read(endpoints.UPDATE_LOCKER, Reply(200, b"")) is None
    for status in (300, 302, 500):
        with pytest.raises(OutcomeUnknownError):
            _read(endpoints.UPDATE_LOCKER, Reply(status, b""))
    with pytest.raises(OutcomeUnknownError, match="an empty body"):
        _read(endpoint, Reply(200, b""))
    with pytest.raises(OutcomeUnknownError, match="not JSON"):
        _read(endpoint, Reply(200, b"<html>"))


def test_a_line_break_within_a_text_makes_no_outcome_unknown() -> None:
    assert _read(endpoints.OPEN, Reply(200, b'{"status": "ok", "code": 0, "message": "door\nopened"}')) is None


def test_a_reply_does_not_show_its_body() -> None:
    assert "secret" not in repr(Reply(200, b"secret"))


@pytest.mark.parametrize("number", [400, 403, 404, 405, 406, 500, 501, 503])
def test_old_firmware_says_in_one_of_four_numbers_that_it_does_not_know_a_request(number: int) -> None:
    unknown = number in {400, 404, 405, 501}
    assert replies.has_no_such_request(Reply(number, b"")) is unknown
    assert replies.has_no_such_request(_reply({"status": "ko", "code": number})) is unknown


@pytest.mark.parametrize(
    "body",
    [
        {"status": "500", "message": "busy"},
        {"status": "ko", "cause": "busy"},
        {"status": "ko", "cause": "Gateway is busy: other action in progress"},
        {"status": 500, "code": "500"},
        {"code": 400, "cause": "already started"},
    ],
)
def test_busy_in_its_ways_of_writing(body: dict) -> None:
    with pytest.raises(GatewayBusyError) as caught:
        _read(endpoints.OPEN, _reply(body, 500))
    assert not caught.value.may_have_executed


def test_400_is_a_missing_parameter_unless_it_says_that_something_is_under_way() -> None:
    with pytest.raises(MissingParameterError):
        _read(endpoints.OPEN, _reply({"code": 400, "cause": "missing hash"}))
    with pytest.raises(MissingParameterError):
        _read(endpoints.OPEN, _reply({"code": 400, "cause": "door already open"}))


def test_38_in_hex_is_the_gateways_clock() -> None:
    with pytest.raises(GatewayClockError):
        _read(endpoints.LOCKER_STATUS, _reply({"status": "0x26", "message": "time not set"}))


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"status": "Door open", "code": 50}, DoorState.OPEN),
        ({"code": "0x30"}, DoorState.UNKNOWN),
        ({"status": "Door closed"}, DoorState.CLOSED),
        ({"status": "Door jammed", "code": 51}, DoorState.JAMMED),
        ({"status": "ok", "message": "Door jammed"}, DoorState.JAMMED),
    ],
)
def test_states_of_the_bolt(body: dict, state: DoorState) -> None:
    assert _read(endpoints.LOCKER_STATUS, _reply(body)) == LockerStatus(state)


@pytest.mark.parametrize(
    "body",
    [{"status": "ok", "code": 0}, {"status": "Door open", "code": 49}, {"status": 49, "code": 50}, {"status": 51}],
)
def test_a_state_is_never_guessed(body: dict) -> None:
    with pytest.raises(ProtocolError):
        _read(endpoints.LOCKER_STATUS, _reply(body))


_GOOD = {"identifier": LOCKER, "rssi": -71, "battery": 7044, "last_log": 100}
_MISSING = object()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("battery", value) for value in (None, _MISSING, "", -1, 2**32 - 1, "7.2V", [], {}, True, 7044.5)),
        *(("rssi", value) for value in (None, _MISSING, -32768, "strong", True)),
        *(("last_log", value) for value in (None, _MISSING, -1, "", 2**64)),
    ],
)
def test_one_odd_field_is_none_and_hides_no_other(field: str, value: object) -> None:
    odd = {name: each for name, each in {**_GOOD, "identifier": 1, field: value}.items() if each is not _MISSING}
    readings = replies.lockers(endpoints.LOCKERS, _reply({"status": "ok", "devices": [odd, _GOOD]})).readings
    expected = {"rssi": -71, "battery_mv": 7044, "last_log": 100} | {{"battery": "battery_mv"}.get(field, field): None}
    assert readings == (LockerReading(1, **expected), LockerReading(LOCKER, -71, 7044, 100))


@pytest.mark.parametrize(
    "device", [[], None, "x", {}, {"identifier": None}, {"identifier": -1}, {"identifier": ""}, {"identifier": True}]
)
def test_a_device_without_a_usable_identifier_is_left_out_and_counted(device: object) -> None:
    scanned = replies.lockers(endpoints.LOCKERS, _reply({"status": "ok", "devices": [device, _GOOD]}))
    assert [reading.identifier for reading in scanned.readings] == [LOCKER]
    assert scanned.left_out == 1
    with pytest.raises(ProtocolError):  # and nothing else: nonsense as a whole
        replies.lockers(endpoints.LOCKERS, _reply({"status": "ok", "devices": [device]}))


@pytest.mark.parametrize("devices", [{}, None, "", 0, {"1": _GOOD}])
def test_only_a_list_is_a_list_of_devices(devices: object) -> None:
    with pytest.raises(ProtocolError):
        replies.lockers(endpoints.LOCKERS, _reply({"status": "ok", "devices": devices}))


@pytest.mark.parametrize("field", ["battery", "rssi", "version", "position"])
@pytest.mark.parametrize("value", [None, "", -(2**40), 2**70, "odd", [], {}])
def test_an_odd_field_does_not_hide_the_bolt(field: str, value: object) -> None:
    body = {
        "status": "Door open",
        "code": 50,
        "position": 20,
        "rssi": -70,
        "battery": 7235,
        "version": 81,
        field: value,
    }
    status = replies.locker_status(endpoints.LOCKER_STATUS, _reply(body))
    assert status.state is DoorState.OPEN
    assert getattr(status, {"battery": "battery_mv"}.get(field, field)) is None


def test_a_status_needs_a_version_or_a_phase() -> None:
    assert replies.gateway_status(endpoints.STATUS, _reply({"version": 17})) == GatewayStatus(17, "")
    assert replies.gateway_status(endpoints.STATUS, _reply({"version": "17", "current_status": None})).version == 17
    assert replies.gateway_status(endpoints.STATUS, _reply({"version": "beta", "current_status": "Scanning..."})) == (
        GatewayStatus(None, "Scanning...")
    )
    for nonsense in ({}, {"version": "beta"}, {"current_status": 7}):
        with pytest.raises(ProtocolError):
            replies.gateway_status(endpoints.STATUS, _reply(nonsense))


def test_locked_is_the_bolt_and_may_be_unknown() -> None:
    assert [LockerStatus(state).locked for state in DoorState] == [False, True, None, None]


@pytest.mark.parametrize("code", [4, 5, 37])
def test_a_connection_fault_may_have_moved_the_door_but_a_read_has_not(code: int) -> None:
    command = endpoints.OPEN if code == 37 else endpoints.UPDATE_LOCKER
    error = refusal(command, code, None)
    assert isinstance(error, LockerFaultError)
    assert error.may_have_executed
    if code == 37:
        read = refusal(endpoints.LOCKER_STATUS, code, None)
        assert read
        assert not read.may_have_executed


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"status": "Door closed", "code": 37}, LockerFaultError),
        ({"status": "Door closed", "code": 500}, GatewayBusyError),
        ({"status": "Door open", "code": 33}, InvalidHmacError),
        ({"code": 37, "cause": "Bluetooth jammed"}, LockerFaultError),
    ],
)
def test_a_refusal_is_no_state_whatever_its_words(body: dict, error: type[TheKeysError]) -> None:
    with pytest.raises(error):
        _read(endpoints.LOCKER_STATUS, _reply(body))
