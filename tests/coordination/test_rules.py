"""Who is next, from when on, and with which timestamp: the pure rules of the files."""

import math
from unittest.mock import ANY

import attrs
import pytest
from hypothesis import given, strategies as st

from thekeys_async.coordination import Claim, Pause, Wish
from thekeys_async.coordination.base import FAR_AHEAD, LONGEST_SLEEP, look_again_after
from thekeys_async.coordination.rules import Place, Record, in_order, next_timestamp, turns_until

COMMAND, READ = 0, 1
CLAIM = Claim(command=True, waited=0.0, until=math.inf, rest=1.0)


def _places(*kinds: int) -> list[Place]:
    return [Place(kind, float(index), f"{index}") for index, kind in enumerate(kinds)]


def test_commands_go_first_and_the_older_before_the_younger() -> None:
    places = _places(READ, COMMAND, READ, COMMAND)
    assert [place.token for place in in_order(places, 0)] == ["1", "3", "0", "2"]


def test_after_eight_commands_in_a_row_the_oldest_read_is_next() -> None:
    places = _places(READ, COMMAND, READ, COMMAND)
    assert [place.token for place in in_order(places, 7)] == ["1", "3", "0", "2"]
    assert [place.token for place in in_order(places, 8)] == ["0", "1", "3", "2"]
    assert [place.token for place in in_order(_places(COMMAND), 8)] == ["0"]


def test_the_oldest_read_knows_how_soon_it_may_be_the_next() -> None:
    places = _places(READ, READ, *[COMMAND] * 30)
    assert turns_until(places[0], 30, places, 0) == 8
    assert turns_until(places[0], 3, places, 0) == 3
    assert turns_until(places[0], 30, places, 7) == 1
    assert turns_until(places[1], 31, places, 7) == 31
    assert turns_until(places[5], 4, places, 7) == 4


def test_only_commands_that_overtake_a_read_are_counted() -> None:
    command, read = _places(COMMAND, READ)
    record = Record(streak=3)
    assert record.taken(command, [command, read], CLAIM).streak == 4
    assert record.taken(command, [command], CLAIM).streak == 0
    assert record.taken(read, [read, command], CLAIM).streak == 0


def test_a_backoff_holds_for_all_but_its_quiet_part_only_for_a_command_that_came_later() -> None:
    record = Record(at=100.0, pause=Pause(quiet=0.25, retry=4.0, failures=5))
    old, new, read = Place(COMMAND, 99.0, "a"), Place(COMMAND, 101.0, "b"), Place(READ, 101.0, "c")
    assert record.ready_at([old, read], 101.0) == 104.0
    assert record.ready_at([old, new], 101.0) == 100.25
    assert record.taken(old, [], CLAIM).pause.failures == 5
    assert record.taken(new, [], CLAIM).pause.failures == 1
    assert record.taken(read, [], CLAIM).pause.failures == 5


def test_what_was_written_before_the_machine_started_again_is_not_waited_for() -> None:
    assert Record(at=5000.0, pause=Pause(quiet=10.0)).ready_at([], 30.0) == 30.0


def test_after_a_dead_holder_the_gateway_rests_from_when_that_is_seen() -> None:
    held = Record(at=100.0, pause=Pause(quiet=3.0), streak=2).taken(*_places(COMMAND), [], CLAIM)
    assert held.orphan == 1.0
    found = held.orphaned(105.0)
    assert found == Record(at=105.0, pause=Pause(quiet=1.0, retry=1.0, failures=ANY), streak=0, orphan=None)
    assert held.orphaned(100.5).pause.quiet == 2.5


@pytest.mark.parametrize(
    ("last", "max_lead", "clock", "expected"),
    [
        (0, 10.0, 1000.7, (1000, 0.0)),
        (1000, 10.0, 1000.0, (1001, 0.0)),
        (1009, 10.0, 1000.0, (1010, 0.0)),
        (1010, 10.0, 1000.25, (1011, 0.75)),
        (5000, 10.0, 1000.0, (5001, 0.0)),
        (5000, math.inf, 1000.0, (5001, 0.0)),
    ],
    ids=["first", "burst", "at the lead", "beyond the lead", "far beyond", "no limit"],
)
def test_the_next_timestamp(last: int, max_lead: float, clock: float, expected: tuple) -> None:
    assert next_timestamp(last, Wish(lambda: clock, 0, max_lead)) == expected


def test_catching_up_waits_however_far_the_last_one_is_ahead() -> None:
    assert next_timestamp(1009, Wish(lambda: 1000.5, 0, 10.0, lead=4.0)) == (1010, 5.5)
    assert next_timestamp(1009, Wish(lambda: 1006.0, 0, 10.0, lead=4.0)) == (1010, 0.0)
    assert next_timestamp(1500, Wish(lambda: 1000.5, 0, 10.0, lead=4.0)) == (1501, 0.0)
    assert next_timestamp(200_000, Wish(lambda: 1000.5, 0, 10.0)) == (1000, 0.0)


@given(
    st.integers(0, 10**10), st.integers(0, 10**10), st.floats(0, 10**10), st.sampled_from([0.0, 0.5, 10.0, math.inf])
)
def test_it_is_newer_than_all_before_and_the_wait_is_short(last: int, newer: int, clock: float, lead: float) -> None:
    value, wait = next_timestamp(last, Wish(lambda: clock, newer, lead))
    assert 0 <= wait <= 1
    assert value >= int(clock)
    assert all(value > each for each in (last, newer) if each + 1 - clock <= FAR_AHEAD)
    assert value <= max(clock, clock + FAR_AHEAD)


@given(st.integers(0, 1000), st.floats(0, 1000))
def test_nobody_sleeps_long_before_looking_again(ahead: int, waited: float) -> None:
    assert 0 < look_again_after(ahead, waited) <= LONGEST_SLEEP


def test_places_and_records_can_not_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Record().streak = 1
