"""What is concluded from what was seen: pure, so that every sentence can be reached."""

import attrs
import pytest
from hypothesis import given, strategies as st

from tests.sample import LOCKER
from thekeys_async import (
    GatewayBusyError,
    GatewayClockError,
    GatewayStatus,
    GatewayUnreachableError,
    InvalidHmacError,
    InvalidKeyError,
    LockerFaultError,
    LockerIncompatibleError,
    LockerNotDetectedError,
    LockerReading,
    LockerStatus,
    NotSharedError,
    OutcomeUnknownError,
    ProtocolError,
    RequestTimeoutError,
)
from thekeys_async.cli.check.findings import Grade
from thekeys_async.cli.check.observations import DoorRead, DoorTrial, Lead, Observations, ObservedExchange, Resolved
from thekeys_async.cli.check.reply_style import style
from thekeys_async.cli.check.screen import Naming, as_json
from thekeys_async.cli.check.verdict import report
from thekeys_async.cli.errors import ExitCode
from thekeys_async.protocol.models import DoorState


def reply(body=b'{"version": 65, "current_status": "Scanning..."}', head=b"HTTP/1.1 200 OK\r\n"):
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


STATUS = ObservedExchange(action="status", seconds=0.13, connected_after=0.002, reply=reply())
BUSY = attrs.evolve(STATUS, busy=True, reply=reply(b'{"status": "ko", "code": 500, "cause": "busy"}'))
NO_ANSWER = attrs.evolve(STATUS, reply=b"", ended="given up")
NOT_SENT = attrs.evolve(NO_ANSWER, sent=False, connected_after=None)
WELL = Observations(
    resolved=Resolved(host="192.168.0.26", addresses=("192.168.0.26",)),
    exchanges=(STATUS,),
    status=GatewayStatus(65, "Scanning..."),
    lockers=(LockerReading(LOCKER, -71, 7783, 100),),
    habit=attrs.evolve(STATUS, kept=True),
    latencies=(0.13,) * 10,
    coded=frozenset({LOCKER}),
    reads=(DoorRead(identifier=LOCKER, status=LockerStatus(DoorState.CLOSED), seconds=3.3),),
    lead=Lead(accepted=10.0),
)


def judge(**changes):
    return report(attrs.evolve(WELL, **changes))


def finding(check, **changes):
    return next(each for each in judge(**changes).findings if each.check == check)


def read(error=None, **more):
    return {"reads": (DoorRead(identifier=LOCKER, error=error, **more),), "lead": None}


def test_all_is_well():
    judged = judge()
    assert (judged.code, judged.verdict, judged.do) == (ExitCode.DONE, "All is well.", "")
    assert {each.grade for each in judged.findings} == {Grade.PASSED}
    assert judged.recommended.pacing is judged.recommended.timestamps is None


@pytest.mark.parametrize(
    ("addresses", "grade"),
    [
        (("192.168.0.26",), Grade.PASSED),
        (("192.168.0.26", "fe80::1"), Grade.PASSED),
        (("192.168.0.26", "192.168.0.27"), Grade.WARNED),
    ],
)
def test_a_name_of_several_addresses(addresses, grade):
    found = finding("name", resolved=Resolved(host="thekeys.local", addresses=addresses))
    assert found.grade is grade
    assert ", ".join(addresses) in found.found


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("status: no connection to 192.168.0.26:80 (Connection refused)", "nothing listens there"),
        ("status: no connection to 192.168.0.26:80 (No route to host)", "Nothing answers at this address"),
        ("status was not sent: no connection to the gateway in time", "Nothing answers at this address"),
    ],
)
def test_no_connection(error, says):
    judged = judge(exchanges=(NOT_SENT,), status=None, status_error=GatewayUnreachableError(error), lockers=None)
    assert judged.code is ExitCode.UNREACHABLE
    assert says in judged.findings[-1].means
    assert [each.check for each in judged.findings] == ["name", "proxy", "connection"]


def test_requests_that_are_never_answered():
    judged = judge(exchanges=(NO_ANSWER,), status=None, status_error=GatewayUnreachableError("x"), lockers=None)
    assert judged.code is ExitCode.UNREACHABLE
    assert "takes requests, and answers none" in judged.verdict
    assert "thekeys reboot" in judged.do


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not in HTTP"),
        (reply(b"<title>Hi</title>", b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n"), '404, "Hi", from nginx'),
        (reply(b"", b"HTTP/1.1 302 Found\r\nLocation: /login\r\n"), "to /login"),
        (reply(b"\x1f\x8b", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"), "HTTP 200, compressed (gzip)"),
        (
            reply(b'{"hello": 1}', b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=x\r\n"),
            "application/json",
        ),
    ],
)
def test_another_device(raw, found):
    exchanges = (attrs.evolve(STATUS, reply=raw),)
    judged = judge(exchanges=exchanges, status=None, status_error=ProtocolError("x"), lockers=None)
    assert judged.code is ExitCode.NOT_UNDERSTOOD
    assert found in judged.verdict


def test_always_busy_and_not_synchronising():
    busy = GatewayBusyError("busy")
    judged = judge(
        exchanges=(BUSY,) * 5, status=None, status_error=busy, lockers=None, lockers_error=busy, reads=(), lead=None
    )
    assert judged.code is ExitCode.BUSY
    assert "5 of 5 answers were busy" in judged.verdict
    assert "share turns" in judged.do


def test_busy_with_a_request_of_ours_that_was_given_up_accuses_nobody():
    assert finding("others", exchanges=(STATUS, NO_ANSWER, BUSY, BUSY, STATUS)).grade is Grade.PASSED
    assert finding("others", exchanges=(STATUS, NO_ANSWER, BUSY, STATUS, BUSY)).found == "1 of 4 answers were busy"


def test_newer_timestamps_of_another_program():
    found = finding("others", **read(overtaken=True) | {"lead": Lead(accepted=10.0)})
    assert found.grade is Grade.WARNED
    assert "newer timestamps" in found.means


@pytest.mark.parametrize(
    ("habit", "found"),
    [
        ({"kept": True}, "keeps the connection"),
        ({"kept": False}, "says that it keeps the connection"),
        ({"ended": "to be closed"}, "closes the connection after each reply, and says so"),
        ({"ended": "closed by the gateway"}, "closes the connection to end each reply"),
        ({"found_closed": True}, "closes a connection without saying so"),
    ],
)
def test_http_habits(habit, found):
    assert finding("http", habit=attrs.evolve(STATUS, **habit)).found == f"HTTP/1.1, {found}"


def test_the_version_of_http():
    old = attrs.evolve(STATUS, reply=reply(head=b"HTTP/1.0 200 OK\r\n"), ended="to be closed")
    assert finding("http", habit=old).found.startswith("HTTP/1.0, closes")


@pytest.mark.parametrize(
    ("latencies", "unanswered", "pacing"),
    [
        ((0.13,) * 10, 0, None),
        ((2.4,) * 10, 0, "Pacing(light=2.4, bluetooth=4.8)"),
        ((0.13,) * 8, 2, "Pacing(light=1, bluetooth=2)"),
        ((9.0,) * 3, 0, "Pacing(light=5, bluetooth=10)"),
    ],
)
def test_the_recommended_pacing(latencies, unanswered, pacing):
    judged = judge(latencies=latencies, unanswered=unanswered)
    assert judged.recommended.pacing == pacing
    assert judged.code is (ExitCode.DONE if pacing is None else ExitCode.WARNED)


@pytest.mark.parametrize(
    ("kind", "code", "grade", "next_step"),
    [
        (NotSharedError, 32, Grade.FAILED, "thekeys synchronize"),
        (InvalidHmacError, 33, Grade.FAILED, "thekeys shares list"),
        (LockerNotDetectedError, 34, Grade.WARNED, "nearer"),
        (LockerIncompatibleError, 35, Grade.FAILED, "thekeys update"),
        (InvalidKeyError, 36, Grade.FAILED, "thekeys synchronize_locker"),
        (LockerFaultError, 37, Grade.WARNED, "Repeat"),
        (GatewayClockError, 38, Grade.FAILED, "thekeys synchronize"),
        (GatewayBusyError, 500, Grade.WARNED, "later"),
        (RequestTimeoutError, None, Grade.WARNED, "Repeat"),
        (ProtocolError, None, Grade.FAILED, "--save"),
    ],
)
def test_what_a_door_that_can_not_be_read_means(kind, code, grade, next_step):
    found = finding("share", **read(kind("text", code=code)))
    assert found.grade is grade
    assert found.means
    assert next_step in found.do


def test_a_locker_with_a_share_code_that_is_not_seen():
    judged = judge(lockers=(), reads=(), lead=None)
    assert judged.code is ExitCode.REFUSED
    assert f"locker {LOCKER}: not seen" in judged.verdict


def test_a_lead_that_is_limited():
    judged = judge(lead=Lead(accepted=2.0, refused=3.0))
    assert judged.recommended.timestamps == "Timestamps(max_lead=2)"
    assert judged.code is ExitCode.WARNED


@pytest.mark.parametrize(
    ("trial", "code", "means"),
    [
        (DoorTrial(identifier=LOCKER, steps=(("open", 3.1), ("bolt drawn back", 5.0))), ExitCode.DONE, ""),
        (
            DoorTrial(identifier=LOCKER, failed="open", error=OutcomeUnknownError("x")),
            ExitCode.OUTCOME_UNKNOWN,
            "may stand open",
        ),
        (
            DoorTrial(identifier=LOCKER, failed="open", error=InvalidKeyError("x")),
            ExitCode.REFUSED,
            "was not moved",
        ),
        (
            DoorTrial(identifier=LOCKER, steps=(("open", 3.1),), failed="bolt out", error=RequestTimeoutError("x")),
            ExitCode.NOT_THERE,
            "may stand open",
        ),
    ],
)
def test_a_door_that_was_tried(trial, code, means):
    judged = judge(door=trial)
    assert judged.code is code
    assert means in judged.findings[-1].means


def test_the_code_of_the_door_comes_before_all_others():
    trial = DoorTrial(identifier=LOCKER, failed="open", error=OutcomeUnknownError("x"))
    judged = judge(door=trial, lockers=())
    assert judged.code is ExitCode.OUTCOME_UNKNOWN


def test_anonymous_json_hides_what_stands_in_the_gateways_own_words():
    changes = {
        "status": GatewayStatus(65, f"Synchronizing {LOCKER}"),
        "synchronizing_for": 20.0,
        "still_synchronizing": True,
    }
    seen = attrs.evolve(WELL, **changes)
    value = as_json(report(seen), seen, Naming("hall", {LOCKER: "front door"}, anonymous=True), "0.1.0")
    text = str(value)
    assert "Synchronizing 1, all of this check" in text
    assert "7783 mV" in text
    for telltale in (str(LOCKER), "192.168.0.26", "hall", "front door"):
        assert telltale not in text


def test_anonymous_json_hides_where_another_device_redirects_to():
    raw = reply(b"", b"HTTP/1.1 302 Found\r\nLocation: http://192.168.7.1/a4:b1:c1:00:00:01\r\n")
    seen = attrs.evolve(WELL, exchanges=(attrs.evolve(STATUS, reply=raw),), status=None, lockers=None)
    text = str(as_json(report(seen), seen, Naming("hall", anonymous=True), "0.1.0"))
    assert "192.168.7.1" not in text
    assert "a4:b1" not in text
    assert "HTTP 302" in text


@pytest.mark.parametrize(
    "telling", [hex(LOCKER), f"{LOCKER:X}", "camille@example.org", "gw-dupont.lan", "45.961.123", "fe80::1ff:fe23:4567"]
)
def test_anonymous_json_hides_what_a_recording_hides(telling):
    raw = reply(b"", f"HTTP/1.1 302 Found\r\nServer: {telling}\r\nLocation: /at/{telling}\r\n".encode())
    other = attrs.evolve(WELL, exchanges=(attrs.evolve(STATUS, reply=raw),), status=None, lockers=None)
    status = GatewayStatus(65, f"Synchronizing {telling}")
    busy = attrs.evolve(WELL, status=status, synchronizing_for=20.0, still_synchronizing=True)
    for seen in (other, busy):
        text = str(as_json(report(seen), seen, Naming("hall", anonymous=True), "0.1.0"))
        assert telling not in text
    assert "all of this check (20 s)" in text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["status", "code", "devices", "rssi", "x"]), inner),
)


@given(st.sampled_from(["lockers", "status", "root_status", "locker_status"]), st.binary() | st.text().map(str.encode))
def test_any_bytes_have_a_style(action, raw):
    for data in (raw, reply(raw)):
        assert style([attrs.evolve(STATUS, action=action, reply=data)]).name in {"page", "field", None}


@given(st.sampled_from(["lockers", "status", "locker_status"]), _JSON)
def test_any_json_has_a_style(action, value):
    import json  # noqa: PLC0415

    exchange = attrs.evolve(STATUS, action=action, reply=reply(json.dumps(value).encode()))
    for odd in style([exchange]).odd:
        assert odd.isprintable()
