"""What may open a door: the rules one by one, and no sequence of messages, clocks, echoes and restarts breaks them."""

import json
from collections import deque

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from thekeys_async.bridge.heartbeat import FRESH, Heartbeat, Moment
from thekeys_async.bridge.messages import Action
from thekeys_async.bridge.topics import Target
from thekeys_async.bridge.verdicts import MOST_A_MINUTE, Decision, Judge, Refusal, Rules, Verdict

DOOR = Target("lock", "45961123", "set")
PRESS = Target("lock", "45961123", "press")
DRIVEN = {("lock", "45961123"), ("lock", "7"), ("gateway", "hall")}


def _stamped(action: str, at: float, **more: object) -> bytes:
    return json.dumps({"action": action, "at": at, **more}).encode()


class Bridge:
    """A judge whose process began long ago, with a heart that beats."""

    def __init__(self, rules: Rules = Rules(), *, wall: float = 1000.0, beats: bool = True) -> None:  # noqa: B008
        self.wall, self.boot = wall, 50.0
        self.heartbeat = Heartbeat()
        self.ready = True
        self.judge = Judge(
            rules,
            self.heartbeat,
            lambda _: self.ready,
            lambda target: (target.kind, target.name) in DRIVEN,
            self.now,
        )
        self.passes(100.0)
        if beats:
            self.beats()

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.boot)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    def beats(self) -> None:
        assert self.heartbeat.echoed(self.heartbeat.beat(self.now), self.now)

    def hears(self, payload: bytes, target: Target = DOOR, *, retained: bool = False) -> Verdict:
        return self.judge.judge(target, payload, retained=retained, now=self.now)


def _refusal(verdict: Verdict | None) -> Refusal | None:
    assert verdict is not None
    assert (verdict.decision is Decision.REFUSE) == (verdict.refusal is not None)
    return verdict.refusal


def test_a_stamped_command_in_time_is_run_until_its_age_is_reached():
    bridge = Bridge()
    verdict = bridge.hears(_stamped("UNLOCK", bridge.wall - 4))
    assert verdict.decision is Decision.RUN
    assert verdict.command.message.action is Action.UNLOCK
    assert verdict.command.deadline == pytest.approx(bridge.boot + 6)


def test_a_clock_ahead_of_ours_gives_a_command_no_longer_life():
    bridge = Bridge()
    assert bridge.hears(_stamped("UNLOCK", bridge.wall + 4.9)).command.deadline == pytest.approx(bridge.boot + 10)


@pytest.mark.parametrize(
    ("payload", "refusal"),
    [
        (b"UNLOCK", Refusal.NO_TIME),
        (b"unlock", Refusal.MALFORMED),
        (b"", Refusal.MALFORMED),
        (b"PRESS", Refusal.MALFORMED),
        (b"read", Refusal.MALFORMED),
        (b"\xff\xfe", Refusal.MALFORMED),
        (b'["UNLOCK", 1100]', Refusal.MALFORMED),
        (b'{"action":"UNLOCK"}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":"1100"}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":true}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":NaN}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":Infinity}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":1e999}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":' + b"9" * 400 + b"}", Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":1100,"force":true}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":1000,"at":1100}', Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":1100,"id":[1]}', Refusal.MALFORMED),
        (b'{"action":"calibrate","at":1100}', Refusal.MALFORMED),
        (b"[" * 512, Refusal.MALFORMED),
        (b'{"action":"UNLOCK","at":1100}'.ljust(513), Refusal.MALFORMED),
        (_stamped("UNLOCK", 1089.9), Refusal.TOO_OLD),
        (_stamped("UNLOCK", 1105.1), Refusal.IN_THE_FUTURE),
    ],
)
def test_what_has_not_the_form_or_the_age_is_refused(payload, refusal):
    assert _refusal(Bridge().hears(payload)) is refusal


def test_a_message_of_512_bytes_is_taken():
    assert Bridge().hears(_stamped("LOCK", 1100).ljust(512)).decision is Decision.RUN


def test_a_kept_message_is_refused_whatever_it_says():
    for payload in (_stamped("UNLOCK", 1100), b"UNLOCK", b"LOCK", b"nonsense"):
        assert _refusal(Bridge().hears(payload, retained=True)) is Refusal.RETAINED


def test_plain_words():
    assert Bridge().hears(b"LOCK").decision is Decision.RUN
    assert Bridge().hears(b"read", PRESS).decision is Decision.RUN
    assert _refusal(Bridge().hears(b"calibrate", PRESS)) is Refusal.NO_TIME
    assert _refusal(Bridge().hears(b"PRESS", PRESS)) is Refusal.MALFORMED
    anything = Rules(commands="any")
    assert Bridge(anything).hears(b"UNLOCK").decision is Decision.RUN
    assert Bridge(anything).hears(b"calibrate", PRESS).decision is Decision.RUN


def test_a_plain_word_lives_from_the_heartbeat_before_it():
    bridge = Bridge(Rules(commands="any"))
    bridge.passes(2.5)
    assert bridge.hears(b"UNLOCK").command.deadline == pytest.approx(bridge.boot - 2.5 + 10)


def test_a_read_only_bridge_drives_nothing_and_reads():
    bridge = Bridge(Rules(commands="none"))
    assert _refusal(bridge.hears(_stamped("LOCK", 1100))) is Refusal.READ_ONLY
    assert bridge.hears(_stamped("read", 1100), PRESS).decision is Decision.RUN


@pytest.mark.parametrize("name", ["8", "045961123", "front-door", "", "+45961123", "45961123 "])
def test_what_is_not_driven_is_refused(name):
    assert _refusal(Bridge().hears(_stamped("LOCK", 1100), Target("lock", name, "set"))) is Refusal.NOT_DRIVEN


def test_commands_count_only_while_the_prefix_is_ours():
    bridge = Bridge()
    bridge.ready = False
    assert _refusal(bridge.hears(b"LOCK")) is Refusal.NOT_READY


def test_an_echo_counts_from_when_it_was_sent_and_on_its_connection():
    bridge = Bridge(beats=False)
    assert _refusal(bridge.hears(b"LOCK")) is Refusal.NO_HEARTBEAT
    nonce = bridge.heartbeat.beat(bridge.now)
    bridge.passes(4)  # stopped, or asleep: echo and command are found in the socket together
    assert bridge.heartbeat.echoed(nonce, bridge.now)
    assert _refusal(bridge.hears(b"LOCK")) is Refusal.NO_HEARTBEAT
    bridge.beats()
    assert bridge.hears(b"LOCK").decision is Decision.RUN
    bridge.passes(FRESH)
    assert _refusal(bridge.hears(_stamped("LOCK", bridge.wall))) is Refusal.NO_HEARTBEAT
    nonce = bridge.heartbeat.beat(bridge.now)
    bridge.heartbeat.connected()
    assert not bridge.heartbeat.echoed(nonce, bridge.now)
    assert _refusal(bridge.hears(_stamped("LOCK", bridge.wall + 0.1))) is Refusal.NO_HEARTBEAT


def test_a_nonce_that_somebody_repeats_counts_once():
    bridge = Bridge(beats=False)
    nonce = bridge.heartbeat.beat(bridge.now)
    assert bridge.heartbeat.echoed(nonce, bridge.now)
    bridge.passes(2)
    assert not bridge.heartbeat.echoed(nonce, bridge.now)
    assert not bridge.heartbeat.echoed("made up", bridge.now)
    bridge.passes(2)
    assert not bridge.heartbeat.is_fresh(bridge.now)


def test_a_stamp_and_an_id_count_once():
    bridge = Bridge()
    first = bridge.hears(_stamped("UNLOCK", 1100, id="a"))
    assert first.decision is Decision.RUN
    bridge.judge.next(first.command, bridge.now)
    assert _refusal(bridge.hears(_stamped("UNLOCK", 1100))) is Refusal.DUPLICATE
    assert _refusal(bridge.hears(_stamped("UNLOCK", 1100.5, id="a"))) is Refusal.DUPLICATE
    assert bridge.hears(_stamped("UNLOCK", 1100), Target("lock", "7", "set")).decision is Decision.RUN
    assert bridge.hears(_stamped("LOCK", 1100, id="a")).decision is Decision.RUN


def test_what_was_refused_is_not_carried_out_when_it_comes_again():
    bridge = Bridge(beats=False)
    assert _refusal(bridge.hears(_stamped("UNLOCK", 1100))) is Refusal.NO_HEARTBEAT
    bridge.beats()
    assert _refusal(bridge.hears(_stamped("UNLOCK", 1100))) is Refusal.DUPLICATE


@pytest.mark.parametrize("retained", [True, False])
def test_what_was_refused_before_its_stamp_counted_is_not_carried_out_either(retained):
    bridge = Bridge()
    at = bridge.wall + (0.0 if retained else 7.0)  # 5 s ahead are allowed
    refused = bridge.hears(_stamped("UNLOCK", at, id="x"), retained=retained)
    assert _refusal(refused) is (Refusal.RETAINED if retained else Refusal.IN_THE_FUTURE)
    assert refused.command.message.id == "x"
    bridge.passes(4)
    bridge.beats()
    assert _refusal(bridge.hears(_stamped("UNLOCK", at))) is Refusal.DUPLICATE
    assert _refusal(bridge.hears(_stamped("UNLOCK", bridge.wall, id="x"))) is Refusal.DUPLICATE


def test_stamps_that_are_far_ahead_keep_nobody_out():
    bridge = Bridge()
    for ahead in range(1000):
        bridge.hears(_stamped("UNLOCK", bridge.wall + 1000 + ahead, id=ahead), retained=bool(ahead % 2))
    assert bridge.hears(_stamped("UNLOCK", bridge.wall)).decision is Decision.RUN


def test_stamps_older_than_the_process_are_refused_also_those_that_were_ahead():
    bridge = Bridge()
    fresh = Judge(Rules(), bridge.heartbeat, lambda _: True, lambda _: True, bridge.now)
    bridge.passes(2)
    bridge.beats()
    for ahead in (0.0, 2.0, 3.0):  # up to 5 s ahead of the clock when the process began
        verdict = fresh.judge(DOOR, _stamped("UNLOCK", bridge.wall + ahead), retained=False, now=bridge.now)
        assert _refusal(verdict) is Refusal.BEFORE_START
    assert not fresh.accepts_stamps_of(bridge.now)
    bridge.passes(3.5)
    bridge.beats()
    assert fresh.accepts_stamps_of(bridge.now)
    verdict = fresh.judge(DOOR, _stamped("UNLOCK", bridge.wall), retained=False, now=bridge.now)
    assert verdict.decision is Decision.RUN


def test_the_same_is_joined_and_of_opposites_the_newest_waits():
    bridge = Bridge()
    first = bridge.hears(_stamped("UNLOCK", 1100.0))
    joined = bridge.hears(_stamped("UNLOCK", 1100.1))
    assert joined.decision is Decision.JOIN
    last = bridge.hears(_stamped("UNLOCK", 1100.15))
    assert bridge.judge.served_by(first.command) == [first.command, joined.command, last.command]
    waits = bridge.hears(_stamped("LOCK", 1100.2))
    newer = bridge.hears(_stamped("LOCK", 1100.3))
    assert waits.decision is newer.decision is Decision.WAIT
    assert newer.replaced is waits.command
    verdict = bridge.judge.next(first.command, bridge.now)
    assert verdict.decision is Decision.RUN
    assert verdict.command.message is newer.command.message
    assert bridge.judge.next(verdict.command, bridge.now) is None


def test_what_a_read_says_is_no_command_s_result():
    bridge = Bridge()
    first = bridge.hears(_stamped("UNLOCK", 1100.0))
    joined = bridge.hears(_stamped("UNLOCK", 1100.1))
    read = bridge.hears(b"read", PRESS)
    assert read.decision is Decision.RUN
    assert bridge.judge.served_by(read.command) == [read.command]
    assert bridge.judge.next(read.command, bridge.now) is None
    assert bridge.judge.served_by(first.command) == [first.command, joined.command]


def test_who_joins_what_is_under_way_takes_back_the_opposite_that_waits():
    bridge = Bridge()
    first = bridge.hears(_stamped("LOCK", 1100.0))
    waits = bridge.hears(_stamped("UNLOCK", 1100.1))
    last = bridge.hears(_stamped("LOCK", 1100.2))
    assert last.decision is Decision.JOIN
    assert last.replaced is waits.command
    assert bridge.judge.next(first.command, bridge.now) is None


def test_what_has_waited_is_judged_anew():
    bridge = Bridge()
    first = bridge.hears(_stamped("LOCK", 1100.0))
    bridge.hears(_stamped("UNLOCK", 1100.1))
    bridge.passes(10.2)
    bridge.beats()
    assert _refusal(bridge.judge.next(first.command, bridge.now)) is Refusal.TOO_OLD
    bridge = Bridge()
    first = bridge.hears(_stamped("LOCK", 1100.0))
    bridge.hears(_stamped("UNLOCK", 1100.1))
    bridge.passes(3.1)
    assert _refusal(bridge.judge.next(first.command, bridge.now)) is Refusal.NO_HEARTBEAT


def test_ten_commands_a_minute_for_each_locker():
    bridge = Bridge()
    for number in range(MOST_A_MINUTE):
        verdict = bridge.hears(_stamped("LOCK", bridge.wall, id=number))
        assert verdict.decision in {Decision.RUN, Decision.JOIN}
        bridge.passes(0.1)
    assert _refusal(bridge.hears(_stamped("LOCK", bridge.wall))) is Refusal.TOO_MANY
    assert bridge.hears(_stamped("LOCK", bridge.wall), Target("lock", "7", "set")).decision is Decision.RUN
    bridge.passes(60)
    bridge.beats()
    assert bridge.hears(_stamped("LOCK", bridge.wall)).decision is Decision.JOIN


def test_a_clock_that_is_set_back_makes_nothing_fresh_again():
    bridge = Bridge()
    first = bridge.hears(_stamped("UNLOCK", bridge.wall))
    bridge.judge.next(first.command, bridge.now)
    missed = bridge.wall + 1  # sent, and kept by its client
    bridge.passes(30)
    bridge.judge.tick(bridge.now)
    bridge.wall -= 29
    bridge.judge.tick(bridge.now)
    bridge.beats()
    assert _refusal(bridge.hears(_stamped("UNLOCK", missed))) is Refusal.BEFORE_START
    assert _refusal(bridge.hears(_stamped("UNLOCK", first.command.message.at))) is Refusal.DUPLICATE
    bridge.passes(6)
    bridge.beats()
    assert bridge.hears(_stamped("UNLOCK", bridge.wall)).decision is Decision.RUN


@given(st.binary(max_size=600))
def test_no_bytes_break_it(payload):
    verdict = Bridge().hears(payload)
    assert verdict.decision is not Decision.RUN or payload == b"LOCK" or b'"at"' in payload
    # Short ones stand in our own words by chance.
    assert payload.decode(errors="replace") not in verdict.detail or len(payload) < 10


@attrs.frozen
class _Message:
    target: Target
    action: Action
    at: float
    id: int | None

    @property
    def payload(self) -> bytes:
        more = {} if self.id is None else {"id": self.id}
        return _stamped(self.action.value, self.at, **more)


_TARGETS = [DOOR, Target("lock", "7", "set")]
_MOVES = [Action.LOCK, Action.UNLOCK]


class AnyHistory(RuleBasedStateMachine):
    """Messages come late, twice, kept, in any order; clocks jump; echoes are slow; the bridge is stopped and killed."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = Rules()
        self.wall, self.boot = 1_000_000.0, 500.0
        self.has_jumped = False
        self.sent: list[_Message] = []
        self.carried_out: set[tuple[Target, Action, float]] = set()
        self.running: dict[Target, Verdict] = {}
        self.start()
        self.wait(30)

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.boot)

    @precondition(
        lambda self: not self.has_jumped and self.boot - self.began > 20
    )  # no process can know of clocks that jumped before it began
    @rule()
    def kill_and_start(self) -> None:
        self.start()

    def start(self) -> None:
        self.heartbeat = Heartbeat()
        self.beats: list[tuple[str, float]] = []
        self.echoes: list[float] = []
        self.began = self.boot
        self.running.clear()
        self.judge = Judge(self.rules, self.heartbeat, lambda _: True, lambda _: True, self.now)

    @rule()
    def connect_again(self) -> None:
        self.heartbeat.connected()
        self.echoes.clear()

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.0, 2.0, 2.9, 4.0, 5.5, 8.0, 21.0]))
    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    @precondition(lambda self: self.boot - self.began > 20)
    @rule(seconds=st.sampled_from([-3600.0, -30.0, -12.0, -3.0, 3.0, 30.0, 3600.0]))
    def jump(self, seconds: float) -> None:
        self.judge.tick(self.now)
        self.has_jumped, self.began = True, self.boot
        self.wall += seconds
        self.judge.tick(self.now)

    @rule()
    def beat(self) -> None:
        self.judge.tick(self.now)
        self.beats.append((self.heartbeat.beat(self.now), self.boot))

    @rule()
    def beat_and_echo(self) -> None:
        self.beat()
        self.heartbeat.echoed(self.beats[-1][0], self.now)
        self.echoes.append(self.boot)

    @precondition(lambda self: self.beats)
    @rule(data=st.data())
    def echo(self, data: st.DataObject) -> None:
        nonce, sent = data.draw(st.sampled_from(self.beats))
        if self.heartbeat.echoed(nonce, self.now):
            self.echoes.append(sent)

    @rule(
        door=st.sampled_from(_TARGETS),
        action=st.sampled_from(_MOVES),
        skew=st.sampled_from([0.0, 0.0, -1.0, -4.0, -9.9, -12.0, 1.0, 4.9, 6.0]),
        identifier=st.sampled_from([None, None, None, 0, 1]),
        retained=st.sampled_from([False, False, False, True]),
        alive_and_quick=st.tuples(st.sampled_from([True, True, False]), st.booleans()),
    )
    def publish(self, door, action, skew, identifier, retained, alive_and_quick) -> None:  # noqa: PLR0917
        alive, quick = alive_and_quick
        if alive:
            self.beat_and_echo()
        self.sent.append(_Message(door, action, self.wall + skew, identifier))
        self.deliver_one(self.sent[-1], retained=retained)
        if quick and door in self.running:
            self.end_one(door)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), retained=st.sampled_from([False, False, False, True]))
    def deliver(self, data: st.DataObject, retained: bool) -> None:
        self.deliver_one(data.draw(st.sampled_from(self.sent[-4:])), retained=retained)

    def deliver_one(self, message: _Message, *, retained: bool) -> None:
        verdict = self.judge.judge(message.target, message.payload, retained=retained, now=self.now)
        assert not (retained and verdict.decision is not Decision.REFUSE)
        if verdict.decision is Decision.RUN:
            self.carry_out(verdict)

    @rule(door=st.sampled_from(_TARGETS), action=st.sampled_from(_MOVES))
    def deliver_plain(self, door: Target, action: Action) -> None:
        verdict = self.judge.judge(door, action.value.encode(), retained=False, now=self.now)
        if verdict.decision is Decision.RUN:
            self.carry_out(verdict)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.end_one(data.draw(st.sampled_from(sorted(self.running, key=str))))

    def end_one(self, target: Target) -> None:
        following = self.judge.next(self.running.pop(target).command, self.now)
        if following is not None and following.decision is Decision.RUN:
            self.carry_out(following)

    def carry_out(self, verdict: Verdict) -> None:
        command = verdict.command
        message = command.message
        assert command.target not in self.running, "two at once at one locker"
        assert any(self.boot - sent < FRESH for sent in self.echoes), "no fresh echo of this connection"
        if message.at is None:
            assert message.action is Action.LOCK
        else:
            key = command.target, message.action, message.at
            assert key not in self.carried_out, "one stamp twice"
            self.carried_out.add(key)
            age = self.wall - message.at
            assert -self.rules.max_skew <= age <= self.rules.max_age
            assert self.boot <= command.deadline <= self.boot + self.rules.max_age - max(0.0, age) + 1e-6
        self.running[command.target] = verdict

    @invariant()
    def memory_is_bounded(self) -> None:
        for history in self.judge._histories.values():
            assert len(history._ids) <= 64
            assert all(len(stamps) <= 64 for stamps in history._stamps.values())


AnyHistory.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestAnyHistory = AnyHistory.TestCase


@given(
    st.lists(
        st.tuples(st.sampled_from(["message", "beat", "process", "stop"]), st.floats(0.0, 6.0)), min_size=5, max_size=60
    )
)
@settings(max_examples=300)
def test_through_a_broker_that_keeps_the_order_no_plain_word_is_old(steps):
    """Whatever delays the one connection to the broker, a plain UNLOCK that is taken is younger than the heartbeat."""
    bridge = Bridge(Rules(commands="any"), beats=False)
    connection: deque[tuple[str, str | float]] = deque()
    for step, seconds in steps:
        bridge.passes(seconds if step == "stop" else seconds / 100)
        match step:
            case "message":
                connection.append(("message", bridge.boot))
            case "beat":
                connection.append(("echo", bridge.heartbeat.beat(bridge.now)))
            case "process":
                while connection:
                    match connection.popleft():
                        case "echo", nonce:
                            bridge.heartbeat.echoed(nonce, bridge.now)
                        case _, published:
                            verdict = bridge.hears(b"UNLOCK")
                            if verdict.decision is Decision.RUN:
                                assert bridge.boot - published < FRESH
                                assert verdict.command.deadline - published <= 10 + 1e-6
                                bridge.judge.next(verdict.command, bridge.now)


def test_many_stamps_never_make_an_old_one_new():
    bridge = Bridge()
    first = _stamped("UNLOCK", bridge.wall)
    verdict = bridge.hears(first)
    bridge.judge.next(verdict.command, bridge.now)
    for number in range(200):
        bridge.hears(_stamped("UNLOCK", bridge.wall + 0.001 * (number + 1)))
    bridge.passes(61)
    bridge.wall -= 61
    bridge.beats()
    assert _refusal(bridge.hears(first)) is Refusal.DUPLICATE
