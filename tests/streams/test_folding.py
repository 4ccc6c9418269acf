"""What is news, and how news that was not taken becomes one update: pure functions."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from thekeys_async import DoorState, GatewayUpdate, LockerReading, LockerStatus, NotSharedError, UpdateKind
from thekeys_async.streams.locker_changes import ChangeTracker, Door, WatchOptions
from thekeys_async.streams.poller import Rhythm
from thekeys_async.streams.updates import differing, fold

_AT = datetime(2026, 1, 1, tzinfo=UTC)

_readings = st.builds(
    LockerReading, st.integers(1, 3), st.integers(-72, -70), st.integers(7000, 7001), st.sampled_from([None, 100, 101])
)
_lists = st.lists(_readings, max_size=4).map(lambda readings: {r.identifier: r for r in readings})
_polls = st.lists(st.tuples(_lists, st.integers(0, 4)), max_size=40)


@given(_polls, st.booleans(), st.integers(1, 3), st.sampled_from([None, {1, 4}]))
def test_a_slow_consumer_ends_up_where_a_fast_one_does(polls: list, every_poll: bool, lost_after: int, lockers) -> None:
    tracker = ChangeTracker("hall", WatchOptions(every_poll=every_poll, lost_after=lost_after, lockers=lockers))
    fast, slow, waiting = [], [], {}
    for readings, taken in polls:
        for update in tracker.listed(readings, _AT):
            fast.append(update)
            key = update.identifier
            waiting[key] = fold(waiting[key], update) if key in waiting else update
        slow += [waiting.pop(next(iter(waiting))) for _ in range(min(taken, len(waiting)))]
    slow += waiting.values()
    assert sum(1 + update.missed for update in slow) == len(fast)
    assert _known(slow) == _known(fast)
    assert not any(update.missed for update in fast)
    _assert_relative_to_what_was_taken(fast)
    _assert_relative_to_what_was_taken(slow)


def _known(updates: list) -> dict:
    return {u.identifier: (u.kind is UpdateKind.LOST, u.reading) for u in updates}


def _assert_relative_to_what_was_taken(updates: list) -> None:
    had: dict[int, LockerReading] = {}
    for update in updates:
        assert update.previous == had.get(update.identifier)
        if update.kind is UpdateKind.LOST:
            had.pop(update.identifier, None)
            continue
        assert (update.kind is UpdateKind.APPEARED) == (update.previous is None)
        assert update.changed == differing(update.previous, update.reading)
        assert (update.kind is UpdateKind.UNCHANGED) == (not update.changed)
        had[update.identifier] = update.reading


def test_a_fresh_status_is_still_fresh_after_folding() -> None:
    tracker = ChangeTracker("hall", WatchOptions())
    (appeared,) = tracker.listed({1: LockerReading(1, -70, 7000, 100)}, _AT)
    (read,) = tracker.door(1, Door(LockerStatus(DoorState.OPEN)), _AT)
    (moved,) = tracker.listed({1: LockerReading(1, -71, 7000, 100)}, _AT)
    folded = fold(read, moved)
    assert folded.changed == {"status", "rssi"}
    assert folded.status == LockerStatus(DoorState.OPEN)
    assert fold(appeared, folded).kind is UpdateKind.APPEARED
    assert fold(appeared, folded).missed == 2


def test_the_same_failure_to_read_a_door_is_no_news() -> None:
    tracker = ChangeTracker("hall", WatchOptions())
    tracker.listed({1: LockerReading(1, -70, 7000)}, _AT)
    assert [u.changed for u in tracker.door(1, Door(None, NotSharedError("no")), _AT)] == [{"status_error"}]
    assert not tracker.door(1, Door(None, NotSharedError("no")), _AT)
    assert [u.changed for u in tracker.door(1, Door(None, NotSharedError("other")), _AT)] == [{"status_error"}]


def test_a_door_read_after_its_locker_was_lost_is_remembered_and_not_told() -> None:
    tracker = ChangeTracker("hall", WatchOptions(lost_after=1))
    tracker.listed({1: LockerReading(1, -70, 7000)}, _AT)
    tracker.listed({}, _AT)
    assert not tracker.door(1, Door(LockerStatus(DoorState.OPEN)), _AT)
    (again,) = tracker.listed({1: LockerReading(1, -70, 7000)}, _AT)
    assert again.status == LockerStatus(DoorState.OPEN)


def test_of_a_gateway_the_newest_is_kept() -> None:
    lost = GatewayUpdate(gateway="hall", reachable=False, at=_AT)
    back = GatewayUpdate(gateway="hall", reachable=True, at=_AT)
    assert fold(lost, back) is back
    assert fold(back, lost) is lost


def test_a_secret_is_nowhere_in_an_update() -> None:
    error = NotSharedError("locker_status: the locker is not shared with this gateway")
    tracker = ChangeTracker("hall", WatchOptions())
    tracker.listed({1: LockerReading(1, -70, 7000)}, _AT)
    (update,) = tracker.door(1, Door(None, error), _AT)
    assert json.dumps(repr(update)).count("NotSharedError") == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 100)), max_size=50))
def test_the_rhythm_stays_on_its_points_whatever_polls_take(polls: list) -> None:
    rhythm, now = Rhythm(0.0, 0.0), 0.0
    for took, _ in polls:
        due = rhythm.due(10.0)
        assert due >= now - 1e-6
        assert due / 10 == pytest.approx(round(due / 10))
        now = due + took
        rhythm.succeeded(due, now, 10.0)
        assert rhythm.due(10.0) <= now + 10.0 + 1e-6


@pytest.mark.parametrize("interval", [0.5, 10.0, 60.0, 500.0])
def test_the_rhythm_backs_off_without_end_and_without_overflow(interval: float) -> None:
    rhythm = Rhythm(0.0, 0.0)
    pauses = []
    for _ in range(5000):
        now = rhythm.due(interval)
        rhythm.failed(now, interval, jitter=0.75)
        pauses.append(rhythm.due(interval) - now)
    assert pauses == sorted(pauses)
    assert pauses[0] >= interval
    assert pauses[-1] == pytest.approx(max(45.0, interval))
