"""The other parts of the pure core: topics, claims, retained topics, a lock's states, and the devices' topics."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, strategies as st

from tests.sample import LOCKER
from thekeys_async import (
    DoorState,
    GatewayUpdate,
    InvalidKeyError,
    LockerReading,
    LockerStatus,
    LockerUpdate,
    UpdateKind,
)
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.discovery import BridgedLocker, is_ours
from thekeys_async.bridge.heartbeat import Moment
from thekeys_async.bridge.lock_state import IN_DOUBT, SETTLES, LockState, PublishedState
from thekeys_async.bridge.messages import Action, CommandMessage
from thekeys_async.bridge.prefix_claim import HOLD, PrefixClaim
from thekeys_async.bridge.retained import MOST_WAITING, RetainedTopics
from thekeys_async.bridge.topics import Target, Topics, escaped, slug
from thekeys_async.bridge.views import Event

_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(_NAMES, _NAMES)
@example("a\uffff", "\U0010ffffb\ufdd0")
def test_names_of_gateways_stay_apart_and_on_one_level(one, other):
    for write in (escaped, slug):
        assert (write(one) == write(other)) == (one == other)
        assert not set("/+#\x00\uffff\U0010ffff\ufdd0") & set(write(one))
    assert set(slug(one)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@given(_NAMES)
def test_a_command_comes_back_to_the_gateway_that_it_is_for(name):
    topics = Topics()
    target = topics.target(topics.gateway(name, "press"))
    assert target == Target("gateway", escaped(name), "press")


@pytest.mark.parametrize(
    ("topic", "target"),
    [
        ("thekeys/lock/7/set", Target("lock", "7", "set")),
        ("thekeys/lock/7/press", Target("lock", "7", "press")),
        ("thekeys/lock/7/state", None),
        ("thekeys/lock/7/set/more", None),
        ("other/lock/7/set", None),
        ("thekeys/gateway/hall/set", None),
    ],
)
def test_topics_on_which_commands_come(topic, target):
    assert Topics().target(topic) == target


@pytest.mark.parametrize("prefix", ["", "/", "a//b", "a/", "a+", "#", "$SYS", "a\nb", "a\uffff"])
def test_a_prefix_that_makes_no_topic_is_refused(prefix):
    with pytest.raises(ValueError, match="prefix"):
        Topics(prefix)
    with pytest.raises(ValueError, match="prefix"):
        Topics(discovery_prefix=prefix or "+")


_INFO = {name: json.dumps({"instance": name}).encode() for name in "ab"}


def _claiming(claim: PrefixClaim, at: float) -> None:
    claim.connected()
    assert claim.say()
    assert not claim.say()
    claim.heard(_INFO[claim.instance], Moment(0, at))


def test_a_new_bridge_takes_the_prefix_and_waits_before_it_takes_commands():
    claim = PrefixClaim("a")
    claim.connected()
    claim.heard(_INFO["b"], Moment(0, 1))  # kept by the broker: the bridge before
    assert not claim.superseded
    _claiming(claim, 2)
    assert not claim.may_take_commands(Moment(0, 2 + HOLD - 0.1))
    assert claim.may_take_commands(Moment(0, 2 + HOLD))


def test_the_bridge_that_had_it_takes_no_more_commands():
    claim = PrefixClaim("a")
    _claiming(claim, 0)
    claim.heard(_INFO["b"], Moment(0, 9))
    assert claim.superseded
    assert not claim.may_take_commands(Moment(0, 10))


def test_after_a_lost_connection_the_own_claim_is_enough_and_anothers_ends_it():
    claim = PrefixClaim("a")
    _claiming(claim, 0)
    claim.connected()
    assert not claim.may_take_commands(Moment(0, 50))
    claim.heard(_INFO["a"], Moment(0, 50))  # kept; ours of before
    assert not claim.may_take_commands(Moment(0, 50))
    assert claim.say()
    claim.heard(_INFO["a"], Moment(0, 50))
    assert claim.may_take_commands(Moment(0, 50))
    claim.connected()
    claim.heard(_INFO["b"], Moment(0, 60))
    assert claim.superseded
    assert not claim.say()


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"7", b'{"instance":7}', b'{"instance":""}', b"[" * 9999])
def test_what_is_no_claim_changes_nothing(payload):
    claim = PrefixClaim("a")
    _claiming(claim, 0)
    claim.heard(payload, Moment(0, 9))
    assert not claim.superseded


@given(st.permutations(range(6)), st.booleans())
def test_of_two_bridges_one_is_left_whatever_the_order(order, second_is_new):
    """Each event is a step of one of them; the broker hands the same claims, in the same order, to both."""
    one, two = PrefixClaim("a"), PrefixClaim("b")
    if not second_is_new:
        _claiming(two, 0)
    bridges = {"a": one, "b": two}
    kept: bytes | None = None
    listening: set[str] = set()
    steps = {0: ("connect", "a"), 1: ("claim", "a"), 2: ("connect", "b"), 3: ("claim", "b")}
    done: set[int] = set()
    pending = [steps[number] for number in order if number in steps]
    while pending:
        step = next(s for s in pending if s[0] == "connect" or ("connect", s[1]) not in pending)
        pending.remove(step)
        what, who = step
        claim = bridges[who]
        if what == "connect":
            claim.connected()
            listening.add(who)
            if kept:
                claim.heard(kept, Moment(0, 1))
        elif claim.say():
            kept = _INFO[who]
            for other in listening:
                bridges[other].heard(kept, Moment(0, 1))
        done.add(len(done))
    assert [c.superseded for c in (one, two)].count(False) == 1


def test_the_picture_is_no_queue_and_says_devices_last():
    retained = RetainedTopics(lambda topic: topic.startswith("config"))
    retained.set("config/1", "device")
    for value in range(1000):
        retained.set("state", str(value))
    assert retained.unsent == len(retained) == 2
    assert [retained.take(), retained.take(), retained.take()] == [("config/1", "device"), ("state", "999"), None]
    retained.set("state", "999")
    assert retained.take() is None
    retained.repeat_all()
    assert [retained.take(), retained.take()] == [("state", "999"), ("config/1", "device")]
    retained.repeat("state")
    retained.repeat("nothing")
    assert retained.take() == ("state", "999")


def test_where_each_value_is_news_none_is_left_out_and_few_wait():
    retained = RetainedTopics()
    for value in range(3):
        retained.add("result", str(value))
        retained.set("state", str(value))
    assert retained.unsent == 2
    assert [retained.take() for _ in range(5)] == [*(("result", str(n)) for n in range(3)), ("state", "2"), None]
    retained.repeat_all()
    assert retained.take() == ("result", "2")
    for value in range(10 * MOST_WAITING):
        retained.add("result", str(value))
    taken = []
    while news := retained.take():
        taken.append(news)
    assert len(taken) == MOST_WAITING + 1
    assert taken[-1] == ("result", str(10 * MOST_WAITING - 1))


def test_in_what_order_everything_is_published():
    topics = Topics()
    retained = RetainedTopics(topics.rank)
    gone, new = topics.lock_config(1), topics.lock_config(2)
    for topic in (gone, new, topics.lock(2, "state"), topics.info):
        retained.set(topic, "" if topic == gone else "something")
    retained.repeat_all()
    assert [retained.take()[0] for _ in range(4)] == [gone, topics.info, topics.lock(2, "state"), new]
    retained.repeat_all(but=topics.info)
    assert topics.info not in [retained.take()[0] for _ in range(3)]
    assert retained.take() is None


def test_who_has_retired_publishes_results_alone():
    retained = RetainedTopics()
    retained.set("state", "LOCKED")
    retained.retire()
    retained.set("state", "UNLOCKING")
    retained.repeat("state")
    retained.add("result", "done")
    assert [retained.take(), retained.take()] == [("result", "done"), None]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=30), st.data())
def test_whoever_takes_all_news_knows_the_picture(news, data):
    retained, known = RetainedTopics(), {}
    for topic, value in news:
        retained.set(topic, value)
        if data.draw(st.booleans()) and (taken := retained.take()):
            known[taken[0]] = taken[1]
    while taken := retained.take():
        known[taken[0]] = taken[1]
    assert known == retained.values


def _lock(read: DoorState | None = None) -> LockState:
    lock = LockState()
    if read:
        lock.was_read(read, 0)
    return lock


def test_a_lock_that_nobody_has_read_is_unknown():
    assert _lock().published is PublishedState.UNKNOWN
    assert [_lock(state).published for state in DoorState] == [
        PublishedState.UNLOCKED,
        PublishedState.LOCKED,
        PublishedState.UNKNOWN,
        PublishedState.JAMMED,
    ]


def test_a_command_that_is_carried_out():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    assert lock.published is PublishedState.UNLOCKING
    lock.replied(Action.UNLOCK, 10)
    assert not lock.was_read(DoorState.CLOSED, 9.9)  # of before the reply
    assert not lock.was_read(DoorState.CLOSED, 12)
    assert lock.published is PublishedState.UNLOCKING
    assert not lock.was_read(DoorState.OPEN, 16)
    assert lock.published is PublishedState.UNLOCKED


def test_a_bolt_that_does_not_move_is_said_as_read():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.replied(Action.UNLOCK, 10)
    assert not lock.was_read(DoorState.CLOSED, 10 + SETTLES - 0.1)
    assert lock.published is PublishedState.UNLOCKING
    assert lock.was_read(DoorState.CLOSED, 10 + SETTLES)
    assert lock.published is PublishedState.LOCKED


def test_a_bolt_that_jams_is_said_at_once():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.replied(Action.UNLOCK, 10)
    lock.was_read(DoorState.JAMMED, 12)
    assert lock.published is PublishedState.JAMMED


def test_a_bolt_that_nobody_can_read_afterwards_is_unknown():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.replied(Action.UNLOCK, 10)
    assert not lock.passed(10 + SETTLES)
    assert lock.passed(10 + 2 * SETTLES)
    assert lock.published is PublishedState.UNKNOWN


def test_where_nobody_will_look_a_moving_bolt_is_unknown():
    lock = _lock(DoorState.CLOSED)
    lock.stopped()
    assert lock.published is PublishedState.LOCKED
    for replied in (False, True):
        lock = _lock(DoorState.CLOSED)
        lock.sent(Action.UNLOCK)
        if replied:
            lock.replied(Action.UNLOCK, 1)
        lock.stopped()
        assert lock.published is PublishedState.UNKNOWN


def test_what_was_not_done_leaves_what_was_read():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.failed(10, may_have_executed=False)
    assert lock.published is PublishedState.LOCKED
    assert not lock.in_doubt


def test_what_may_have_been_done_leaves_nothing_until_somebody_looks():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.failed(10, may_have_executed=True)
    assert lock.published is PublishedState.UNKNOWN
    assert lock.in_doubt
    lock.was_read(DoorState.CLOSED, 9.9)  # of before the command
    assert lock.published is PublishedState.UNKNOWN
    assert lock.in_doubt
    lock.was_read(DoorState.OPEN, 11)
    assert lock.published is PublishedState.UNLOCKED
    assert not lock.in_doubt


def test_doubt_ends_after_a_minute_and_the_state_stays_unknown():
    lock = _lock(DoorState.CLOSED)
    lock.failed(10, may_have_executed=True)
    assert not lock.passed(10 + IN_DOUBT - 0.1)
    assert lock.passed(10 + IN_DOUBT)
    assert not lock.in_doubt
    assert lock.published is PublishedState.UNKNOWN


def test_what_was_read_before_a_command_that_was_carried_out_is_not_said_after_one_that_was_not():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.replied(Action.UNLOCK, 10)
    lock.sent(Action.LOCK)
    lock.failed(12, may_have_executed=False)
    assert lock.published is PublishedState.UNKNOWN
    assert lock.awaits_read
    lock.was_read(DoorState.OPEN, 16)
    assert lock.published is PublishedState.UNLOCKED
    assert not lock.awaits_read


def test_a_doubt_outlives_a_command_that_was_not_carried_out():
    lock = _lock(DoorState.CLOSED)
    lock.sent(Action.UNLOCK)
    lock.failed(10, may_have_executed=True)
    lock.sent(Action.LOCK)
    assert (lock.published, lock.in_doubt) == (PublishedState.LOCKING, False)
    lock.failed(12, may_have_executed=False)
    assert (lock.published, lock.in_doubt) == (PublishedState.UNKNOWN, True)
    assert lock.passed(10 + IN_DOUBT)


def test_a_command_that_never_left_changes_nothing_that_is_said():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    devices.command_sent(LOCKER, Action.UNLOCK, 5)
    devices.command_replied(LOCKER, Action.UNLOCK, 5)
    devices.command_failed(LOCKER, 6, may_have_executed=False, was_sent=False)
    assert _said(devices, f"lock/{LOCKER}/state") == "UNLOCKING"


_STEPS = st.sampled_from(["sent", "replied", "not done", "unknown", "read", "passed"])


@given(st.lists(st.tuples(_STEPS, st.sampled_from(list(DoorState)), st.floats(0, 40)), max_size=25))
def test_a_settled_state_is_never_said_without_a_read_that_shows_it(steps):
    """LOCKED and UNLOCKED stand for the last read, and for none from before a command that may have moved the bolt."""
    lock, now, shown, action = LockState(), 0.0, None, Action.UNLOCK
    for step, state, seconds in steps:
        now += seconds
        match step:
            case "sent":
                action = Action.LOCK if state is DoorState.CLOSED else Action.UNLOCK
                lock.sent(action)
            case "replied":
                lock.replied(action, now)
                shown = None
            case "not done":
                lock.failed(now, may_have_executed=False)
            case "unknown":
                lock.failed(now, may_have_executed=True)
                shown = None
            case "read":
                lock.was_read(state, now)
                shown = state
            case _:
                lock.passed(now)
        if lock.published is PublishedState.LOCKED:
            assert shown is DoorState.CLOSED
        if lock.published is PublishedState.UNLOCKED:
            assert shown is DoorState.OPEN
        if step == "unknown":
            assert lock.published is PublishedState.UNKNOWN
            assert lock.in_doubt


_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _moment(seconds: float) -> Moment:
    return Moment(_AT.timestamp() + seconds, seconds)


def _devices(**options: object) -> Devices:
    lockers = [
        BridgedLocker(LOCKER, "Front door", "hall/1", area="Hall", has_code=True),
        BridgedLocker(7, "Garage", "hall/1"),
    ]
    return Devices(Topics(), lockers, ["hall/1"], version="1.2", **options)


def _update(rssi: int = -70, log: int | None = 100, **more: object) -> LockerUpdate:
    options = {"kind": UpdateKind.CHANGED, "at": _AT, **more}
    return LockerUpdate(gateway="hall/1", identifier=LOCKER, reading=LockerReading(LOCKER, rssi, 7783, log), **options)


def _said(devices: Devices, topic: str) -> object:
    text = devices.retained.values[f"thekeys/{topic}"]
    return json.loads(text) if text.startswith("{") else text


def _read(devices: Devices, state: DoorState, at: float, log: int = 100) -> list[Event]:
    status = LockerStatus(state, position=3, version=81)
    return devices.locker_news(_update(log=log, changed=frozenset({"status"}), status=status), _moment(at))


def test_before_anything_is_known_nothing_is_claimed():
    devices = _devices()
    assert _said(devices, f"lock/{LOCKER}/state") == "None"
    assert _said(devices, f"lock/{LOCKER}/availability") == "online"
    assert _said(devices, "gateway/hall%2F1/state") == "offline"
    assert not any("set" in topic.split("/") for topic in devices.retained.values)


def test_an_update_of_a_locker():
    devices = _devices()
    devices.gateway_news(GatewayUpdate(gateway="hall/1", reachable=True, phase="Scanning...", at=_AT))
    assert _read(devices, DoorState.CLOSED, 0) == []
    assert _said(devices, f"lock/{LOCKER}/state") == "LOCKED"
    assert _said(devices, f"lock/{LOCKER}/attributes") == {
        "rssi": -70,
        "battery_mv": 7783,
        "battery_percent": 77,
        "last_log": 100,
        "position": 3,
        "firmware": 81,
        "read_at": "2026-01-01T00:00:00.000+00:00",
        "gateway": "hall/1",
        "error": None,
    }
    assert _said(devices, "gateway/hall%2F1/state") == "online"
    assert _said(devices, "gateway/hall%2F1/attributes")["phase"] == "Scanning..."


def test_the_signal_is_said_once_a_minute_or_when_it_moves_far():
    devices = _devices()
    said = []
    for second, rssi in enumerate([-70, -71, -72, -71, -73, -72, *[-74] * 70]):
        devices.locker_news(_update(rssi), _moment(second))
        devices.passed(second)
        said.append(_said(devices, f"lock/{LOCKER}/attributes")["rssi"])
    assert said[:7] == [-70, -70, -70, -70, -73, -73, -73]
    assert said[4 + 59] == -73
    assert said[4 + 60] == -74


def test_who_moved_the_bolt():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    assert devices.locker_news(_update(log=101), _moment(10)) == [Event(LOCKER, "moved", "other")]
    devices.command_sent(LOCKER, Action.UNLOCK, 20)
    devices.command_replied(LOCKER, Action.UNLOCK, 21)
    moved = devices.locker_news(_update(log=104), _moment(30))
    assert moved == [Event(LOCKER, "moved", "bridge"), Event(LOCKER, "moved", "other", 2)]
    assert devices.locker_news(_update(log=105), _moment(40)) == [Event(LOCKER, "moved", "other")]
    devices.command_sent(LOCKER, Action.LOCK, 50)
    assert devices.locker_news(_update(log=106), _moment(500)) == [Event(LOCKER, "moved", "other")]


def test_a_command_that_was_not_carried_out_has_moved_nothing():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    devices.command_sent(LOCKER, Action.UNLOCK, 20)
    devices.command_failed(LOCKER, 21, may_have_executed=False)
    assert devices.locker_news(_update(log=101), _moment(30)) == [Event(LOCKER, "moved", "other")]
    devices.command_sent(LOCKER, Action.UNLOCK, 40)
    devices.command_failed(LOCKER, 41, may_have_executed=True)
    assert devices.locker_news(_update(log=102), _moment(45)) == [Event(LOCKER, "moved", "bridge")]
    devices.command_sent(LOCKER, Action.LOCK, 50)
    devices.command_failed(LOCKER, 51, may_have_executed=False, was_sent=False)  # another one, which never left
    assert devices.locker_news(_update(log=103), _moment(55)) == [Event(LOCKER, "moved", "bridge")]


def test_without_a_log_the_bolt_itself_tells():
    devices = _devices()
    for at, state, events in [
        (0, DoorState.CLOSED, []),
        (10, DoorState.OPEN, [Event(LOCKER, "moved", "other")]),
        (20, DoorState.OPEN, []),
    ]:
        status = LockerStatus(state)
        update = _update(log=None, changed=frozenset({"status"}), status=status)
        assert devices.locker_news(update, _moment(at)) == events


def test_a_bolt_that_did_not_move_is_an_event():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    devices.command_sent(LOCKER, Action.UNLOCK, 5)
    devices.command_replied(LOCKER, Action.UNLOCK, 5)
    assert devices.bolt_read(LOCKER, LockerStatus(DoorState.CLOSED), _moment(21)) == [
        Event(LOCKER, "did not move", "bridge")
    ]
    assert _said(devices, f"lock/{LOCKER}/state") == "LOCKED"


def test_a_lost_locker_and_one_that_cannot_be_read_for_good_are_offline():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    devices.locker_news(_update(kind=UpdateKind.LOST), _moment(1))
    assert _said(devices, f"lock/{LOCKER}/availability") == "offline"
    assert _said(devices, f"lock/{LOCKER}/state") == "LOCKED"
    devices.locker_news(_update(kind=UpdateKind.APPEARED), _moment(2))
    assert _said(devices, f"lock/{LOCKER}/availability") == "online"
    error = InvalidKeyError("locker_status: the locker refused the key", code=36)
    devices.locker_news(_update(changed=frozenset({"status_error"}), status_error=error), _moment(3))
    assert _said(devices, f"lock/{LOCKER}/availability") == "offline"
    assert "refused the key" in _said(devices, f"lock/{LOCKER}/attributes")["error"]
    _read(devices, DoorState.OPEN, 4)
    assert _said(devices, f"lock/{LOCKER}/availability") == "online"


def test_a_lost_gateway_changes_its_own_availability_alone():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    before = {topic: value for topic, value in devices.retained.values.items() if "/lock/" in topic}
    devices.gateway_news(GatewayUpdate(gateway="hall/1", reachable=False, at=_AT))
    assert _said(devices, "gateway/hall%2F1/state") == "offline"
    assert before == {topic: value for topic, value in devices.retained.values.items() if "/lock/" in topic}


def test_a_command_of_unknown_outcome_makes_the_lock_unavailable_until_it_is_read():
    devices = _devices()
    _read(devices, DoorState.CLOSED, 0)
    devices.command_sent(LOCKER, Action.UNLOCK, 5)
    assert _said(devices, f"lock/{LOCKER}/state") == "UNLOCKING"
    devices.command_failed(LOCKER, 6, may_have_executed=True)
    asked = CommandMessage(Action.UNLOCK, 5.0, "x")
    devices.result(Target("lock", str(LOCKER), "set"), asked, "unknown", "it may have moved\x1b[2J", 6.0)
    devices.result(Target("lock", "99", "set"), asked, "refused", None, 6.0)
    devices.result(Target("gateway", "nowhere", "press"), None, "refused", None, 6.0)
    assert [topic for topic in devices.retained.values if topic.endswith("/result")] == [
        f"thekeys/lock/{LOCKER}/result"
    ]
    assert _said(devices, f"lock/{LOCKER}/state") == "None"
    assert _said(devices, f"lock/{LOCKER}/availability") == "offline"
    assert _said(devices, f"lock/{LOCKER}/result") == {
        "action": "UNLOCK",
        "outcome": "unknown",
        "reason": "it may have moved [2J",
        "id": "x",
        "at": 5.0,
        "ended": "1970-01-01T00:00:06.000+00:00",
    }
    assert (
        devices.locker_news(
            _update(changed=frozenset({"status"}), status=LockerStatus(DoorState.CLOSED)),
            Moment(_AT.timestamp() + 9, 9.0),
        )
        == []
    )  # the update says that it was answered at 0
    assert _said(devices, f"lock/{LOCKER}/availability") == "offline"
    devices.bolt_read(LOCKER, LockerStatus(DoorState.OPEN), _moment(10))
    assert _said(devices, f"lock/{LOCKER}/state") == "UNLOCKED"
    assert _said(devices, f"lock/{LOCKER}/availability") == "online"


def test_what_others_see_is_not_said():
    devices = _devices()
    before = devices.retained.values
    reading = LockerReading(99, -50, 7000, 1)
    strange = LockerUpdate(gateway="hall/1", identifier=99, kind=UpdateKind.APPEARED, reading=reading, at=_AT)
    assert devices.locker_news(strange, _moment(0)) == []
    assert devices.retained.values == before


def test_discovery_of_a_lock():
    devices = _devices()
    config = json.loads(devices.retained.values[f"homeassistant/device/thekeys_{LOCKER}/config"])
    assert config["device"] == {
        "identifiers": [f"thekeys_{LOCKER}"],
        "name": "Front door",
        "manufacturer": "The Keys",
        "model": "Smart lock",
        "serial_number": str(LOCKER),
        "suggested_area": "Hall",
        "via_device": "thekeys_gateway_hall_2f_1",
    }
    assert [each["topic"] for each in config["availability"]] == [
        "thekeys/bridge/state",
        "thekeys/gateway/hall%2F1/state",
        f"thekeys/lock/{LOCKER}/availability",
    ]
    assert config["availability_mode"] == "all"
    parts = config["components"]
    assert parts.keys() == {"lock", "battery", "voltage", "signal", "jammed", "outcome", "read", "calibrate"}
    lock = parts["lock"]
    assert lock["name"] is None
    assert lock["command_template"] == '{"action":"{{ value }}","at":{{ utcnow().timestamp() }}}'
    assert (lock["optimistic"], lock["retain"], lock["qos"]) == (False, False, 0)
    assert (lock["object_id"], lock["default_entity_id"]) == ("front_door", "lock.front_door")
    for key in ("signal", "read", "calibrate"):
        assert parts[key]["enabled_by_default"] is False
    assert len({part["unique_id"] for part in parts.values()}) == len(parts)
    _read(devices, DoorState.CLOSED, 0)
    config = json.loads(devices.retained.values[f"homeassistant/device/thekeys_{LOCKER}/config"])
    assert config["device"]["sw_version"] == "81"


def test_without_a_share_code_or_read_only_there_are_sensors_alone():
    sensors = {"battery", "voltage", "signal", "jammed"}
    without_code = json.loads(_devices().retained.values["homeassistant/device/thekeys_7/config"])
    assert without_code["components"].keys() == sensors
    read_only = _devices(read_only=True)
    config = json.loads(read_only.retained.values[f"homeassistant/device/thekeys_{LOCKER}/config"])
    assert config["components"].keys() == sensors
    gateway = json.loads(read_only.retained.values["homeassistant/device/thekeys_gateway_hall_2f_1/config"])
    assert "synchronise" not in gateway["components"]


def test_only_what_bears_our_origin_and_prefix_is_ours():
    config = _devices().retained.values[f"homeassistant/device/thekeys_{LOCKER}/config"].encode()
    assert is_ours(config, "thekeys")
    assert not is_ours(config, "thekeys2")
    assert not is_ours(config.replace(b"thekeys-async", b"zigbee2mqtt"), "thekeys")
    for nonsense in (b"", b"[]", b"{}", b'{"origin":7}', b"[" * 9999, b"\xff"):
        assert not is_ours(nonsense, "thekeys")


def test_without_discovery_nothing_is_said_to_home_assistant():
    lockers = [BridgedLocker(LOCKER, "Front door", "hall", has_code=True)]
    devices = Devices(Topics("home/keys", None), lockers, ["hall"], version="1")
    assert all(topic.startswith("home/keys/") for topic in devices.retained.values)
