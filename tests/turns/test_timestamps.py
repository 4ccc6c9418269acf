"""Which timestamp comes next, whatever the clock does."""

import logging
import math
import threading

import pytest
from hypothesis import given, strategies as st

from thekeys_async.turns.timestamps import Allocator, Ledger, Stamp, Timestamps, TooFarAheadError


class Clock:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.wall = wall
        self.elapsed = 100.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds


def _allocator(clock: Clock, ledger: Ledger | None = None, **settings: float) -> Allocator:
    return Allocator(ledger or Ledger(), Timestamps(**settings), wall=lambda: clock.wall, elapsed=lambda: clock.elapsed)


def test_the_first_is_the_clock_and_a_burst_leads_it() -> None:
    allocator = _allocator(Clock(1_700_000_000.7))
    stamps = [allocator.take() for _ in range(3)]
    assert [stamp.value for stamp in stamps] == [1_700_000_000, 1_700_000_001, 1_700_000_002]
    assert stamps[0].lead == pytest.approx(-0.7)
    assert stamps[2].lead == pytest.approx(1.3)


def test_a_burst_waits_when_it_leads_by_the_most_that_is_allowed() -> None:
    clock = Clock(1_700_000_000.0)
    allocator = _allocator(clock, max_lead=2.0)
    waited = 0.0
    for _ in range(10):
        wait = allocator.wait()
        clock.advance(wait)
        waited += wait
        assert allocator.take().value - clock.wall <= 2.0
    assert waited == pytest.approx(7.0)


def test_two_event_loops_that_waited_together_do_not_exceed_the_lead_together() -> None:
    clock, ledger = Clock(), Ledger()
    one, other = _allocator(clock, ledger, max_lead=0), _allocator(clock, ledger, max_lead=0)
    assert [one.wait(), other.wait()] == [0, 0]
    one.take()
    with pytest.raises(TooFarAheadError):
        other.take()
    clock.advance(other.wait())
    other.take()


def test_no_lead_means_one_a_second() -> None:
    clock = Clock(1_700_000_000.25)
    allocator = _allocator(clock, max_lead=0)
    allocator.take()
    assert allocator.wait() == pytest.approx(0.75)


def test_an_infinite_lead_never_waits() -> None:
    allocator = _allocator(Clock(), max_lead=math.inf)
    for _ in range(1000):
        assert allocator.wait() == 0
        allocator.take()


def test_a_clock_that_steps_back_neither_blocks_nor_repeats() -> None:
    clock = Clock()
    allocator = _allocator(clock)
    before = allocator.take().value
    clock.wall -= 3600
    clock.elapsed += 5
    assert allocator.wait() == 0
    stamp = allocator.take()
    assert stamp.value == before + 5
    assert stamp.lead <= 0


def test_a_clock_that_steps_back_between_two_event_loops_neither_blocks_nor_repeats() -> None:
    clock, ledger = Clock(), Ledger()
    before = _allocator(clock, ledger).take().value
    clock.wall -= 3600
    clock.elapsed = 3.0
    allocator = _allocator(clock, ledger)
    assert allocator.wait() == 0
    assert allocator.take().value == before + 1


def test_a_last_timestamp_far_beyond_the_lead_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    allocator = _allocator(Clock(1_700_000_000.0), Ledger(last=1_700_005_000))
    with caplog.at_level(logging.WARNING, "thekeys_async"):
        assert [allocator.wait(), allocator.wait()] == [0, 0]
    assert allocator.take().value == 1_700_005_001
    assert len(caplog.records) == 1


def test_the_offset_is_added_to_the_clock() -> None:
    assert _allocator(Clock(1_700_000_000.0), offset=-10).take().value == 1_699_999_990


def test_a_jump_leads_by_what_is_allowed_and_by_10_s_where_nothing_limits_it() -> None:
    for max_lead, ahead in ((10.0, 10), (4.0, 4), (math.inf, 10), (0, 0), (60.0, 60)):
        allocator = _allocator(Clock(1_700_000_000.0), max_lead=max_lead)
        allocator.jump_ahead()
        assert allocator.take().value == 1_700_000_000 + ahead


def _burst(allocator: Allocator, accepts: float) -> Stamp:
    """Take timestamps until the gateway refuses one."""
    while True:
        stamp = allocator.take()
        if stamp.lead > accepts:
            allocator.refused(stamp)
            return stamp
        allocator.may_be_accepted(stamp)


def test_a_refusal_shrinks_the_lead_to_what_was_accepted_and_it_grows_again_slowly() -> None:
    clock = Clock(1_700_000_000.5)
    allocator = _allocator(clock)
    refused = _burst(allocator, accepts=5)
    assert allocator.lead == pytest.approx(4.5)
    assert allocator.last == refused.value - 1
    clock.advance(allocator.wait())
    assert allocator.take().lead <= 4.5
    clock.advance(120)
    assert allocator.lead == pytest.approx(6.5, abs=0.1)
    clock.advance(600)
    assert allocator.lead == 10


def test_a_refusal_for_another_reason_leaves_the_lead_alone() -> None:
    allocator = _allocator(Clock(1_700_000_000.5))
    _burst(allocator, accepts=5)
    allocator.lead_was_not_refused()
    assert allocator.lead == 10


def test_without_anything_accepted_the_next_one_leads_by_nothing() -> None:
    clock = Clock(1_700_000_000.0)
    allocator = _allocator(clock)
    allocator.jump_ahead()
    allocator.refused(allocator.take())
    clock.advance(allocator.wait())
    assert allocator.take().lead <= 0


def test_a_refused_timestamp_binds_nobody_but_an_accepted_one_does() -> None:
    clock = Clock(1_700_000_000.0)
    allocator = _allocator(clock)
    accepted = allocator.take()
    allocator.may_be_accepted(accepted)
    allocator.refused(allocator.take())
    clock.advance(allocator.wait())
    assert allocator.take().value == accepted.value + 1


def test_a_clock_that_was_ahead_once_is_forgotten_with_the_refusal() -> None:
    clock = Clock(1_700_086_400.0)
    allocator = _allocator(clock)
    allocator.refused(allocator.take())
    clock.wall -= 86_400
    late = allocator.take()
    assert late.beyond
    allocator.refused(late)
    again = allocator.take()
    assert again.value == 1_700_000_000
    assert not again.beyond


@given(
    st.lists(st.tuples(st.floats(-4000, 4000), st.floats(0, 50)), max_size=60), st.sampled_from([0, 0.5, 3, math.inf])
)
def test_timestamps_increase_and_the_wait_is_short_over_any_steps(steps: list, max_lead: float) -> None:
    clock = Clock()
    allocator = _allocator(clock, max_lead=max_lead)
    last = 0
    for step, elapsed in steps:
        clock.wall += step
        clock.elapsed += elapsed
        wait = allocator.wait()
        assert 0 <= wait <= 1
        clock.advance(wait)
        value = allocator.take().value
        assert value > last
        last = value


def test_threads_never_get_the_same_one() -> None:
    clock, ledger, found = Clock(), Ledger(), []

    def work() -> None:
        allocator = _allocator(clock, ledger, max_lead=math.inf)
        found.extend(allocator.take().value for _ in range(500))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2000


@pytest.mark.parametrize(
    "settings", [{"max_lead": -1}, {"max_lead": "1"}, {"max_lead": math.nan}, {"offset": None}, {"offset": math.inf}]
)
def test_settings_are_checked(settings: dict) -> None:
    with pytest.raises((TypeError, ValueError)):
        Timestamps(**settings)


NOW = 1_700_000_000.0


def _led(ledger: Ledger, *, max_lead: float = 10.0, offset: float = 0.0) -> tuple[Clock, Allocator]:
    clock = Clock(NOW)
    return clock, _allocator(clock, ledger, max_lead=max_lead, offset=offset)


def test_a_new_ledger_knows_nothing() -> None:
    ledger = Ledger()
    assert (ledger.last, ledger.accepted, ledger.highest, ledger.quiet_until) == (0, 0, 0.0, 0.0)
    assert (ledger.lead, ledger.lead_refused_at, ledger.accepted_lead, ledger.accepted_lead_at) == (math.inf, 0, 0, 0)
    assert "lock" not in repr(ledger)
    assert not Stamp(1, 0.0).beyond


@pytest.mark.parametrize(
    ("max_lead", "last", "wait", "careful"),
    [
        (5.0, NOW + 3, 0.0, 0.0),
        (5.0, NOW + 4, 0.0, 1.0),
        (5.0, NOW + 5, 1.0, 2.0),
        (0.5, NOW, 0.5, 1.0),
        (0.0, NOW, 1.0, 1.0),
        (5.0, NOW + 5.5, 0.0, 0.0),  # farther ahead than any burst of ours: not waited for
        (5.0, NOW + 6, 0.0, 0.0),
    ],
)
def test_who_is_careful_leads_by_a_second_less(max_lead: float, last: float, wait: float, careful: float) -> None:
    _, allocator = _led(Ledger(last=last), max_lead=max_lead)
    assert allocator.wait() == wait
    assert allocator.wait(careful=True) == careful


def test_a_last_timestamp_beyond_all_leads_is_told_once_and_exactly(caplog: pytest.LogCaptureFixture) -> None:
    _, allocator = _led(Ledger(last=int(NOW) + 100))
    assert allocator.wait() == allocator.wait() == 0.0
    assert [record.getMessage() for record in caplog.records] == [
        "the last timestamp is 100 s ahead of the clock, beyond the allowed lead; going on"
    ]


@pytest.mark.parametrize(("lead", "told"), [(-5, False), (5, False), (9, False), (10, False), (11, True)])
def test_a_coordinators_timestamp_is_told_of_if_it_leads_too_far(
    caplog: pytest.LogCaptureFixture, lead: int, told: bool
) -> None:
    _, allocator = _led(Ledger())
    assert allocator.accept(int(NOW) + lead).lead == lead
    assert allocator.last == NOW + lead
    assert bool(caplog.records) is told


@pytest.mark.parametrize(
    ("accepted", "seconds", "refused", "lead"),
    [
        ((), 0.0, 8.0, 0.0),
        ((3.0,), 0.0, 8.0, 3.0),
        ((3.0,), 0.0, 3.5, 2.5),
        ((0.25,), 0.0, 0.5, 0.0),  # never below none
        ((3.0,), 0.0, 3.0, 0.0),  # it takes less than it did: unknown how much
        ((3.0,), 0.0, 2.0, 0.0),
        ((3.0, 2.0), 0.0, 8.0, 3.0),  # the largest of late
        ((2.0, 3.0), 0.0, 8.0, 3.0),
        ((3.0, 0.0, -5.0), 0.0, 8.0, 3.0),
        ((0.5,), 0.0, 8.0, 0.5),
        ((3.0,), 600.0, 8.0, 3.0),
        ((3.0,), 600.5, 8.0, 0.0),
    ],
)
def test_after_a_refusal_the_lead_is_what_was_accepted_of_late(
    accepted: tuple[float, ...], seconds: float, refused: float, lead: float
) -> None:
    clock, allocator = _led(Ledger(), max_lead=20.0)
    for each in accepted:
        allocator.may_be_accepted(Stamp(int(NOW), each))
    clock.advance(seconds)
    assert allocator.lead == 20.0
    allocator.refused(Stamp(int(NOW), refused))
    assert allocator.lead == lead
    clock.advance(30.0)
    assert allocator.lead == lead + 0.5
    clock.advance(30.0)
    assert allocator.lead == lead + 1.0
    clock.advance(3600.0)
    assert allocator.lead == 20.0


def test_an_accepted_lead_is_forgotten_after_ten_minutes_if_a_smaller_one_follows() -> None:
    clock, allocator = _led(Ledger(), max_lead=20.0)
    allocator.may_be_accepted(Stamp(int(NOW), 5.0))
    clock.advance(600.0)
    allocator.may_be_accepted(Stamp(int(NOW) + 1, 2.0))
    allocator.refused(Stamp(0, 9.0))
    assert allocator.lead == 5.0
    clock.advance(600.5)
    allocator.may_be_accepted(Stamp(int(NOW) + 2, 2.0))
    allocator.refused(Stamp(0, 9.0))
    assert allocator.lead == 2.0


@pytest.mark.parametrize("lead", [0.0, -1.0, -0.5])
def test_a_refusal_without_a_lead_says_nothing_of_leads(lead: float) -> None:
    _, allocator = _led(Ledger())
    allocator.may_be_accepted(Stamp(int(NOW), 3.0))
    allocator.refused(Stamp(int(NOW), lead))
    assert allocator.lead == 10.0


def test_what_was_refused_binds_nobody_unless_a_newer_one_has_left() -> None:
    ledger = Ledger(last=int(NOW) + 4, accepted=int(NOW) + 1)
    _, allocator = _led(ledger)
    allocator.refused(Stamp(int(NOW) + 3, 3.0))
    assert ledger.last == NOW + 4
    allocator.refused(Stamp(int(NOW) + 5, 5.0))
    assert ledger.last == NOW + 4
    allocator.refused(Stamp(int(str(int(NOW) + 4)), 4.0))
    assert ledger.last == NOW + 1
    allocator.may_be_accepted(Stamp(int(NOW), -1.0))
    assert ledger.accepted == NOW + 1


@pytest.mark.parametrize("offset", [0.0, 100.0, -100.0])
@pytest.mark.parametrize(("ahead", "beyond"), [(11.0, False), (10.0, False), (12.0, True), (1000.0, True)])
def test_a_timestamp_beyond_all_leads_comes_from_a_clock_that_was_ahead_once(
    ahead: float, beyond: bool, offset: float
) -> None:
    clock, allocator = _led(Ledger(), offset=offset)
    stamp = allocator.accept(int(NOW + offset + ahead))
    assert stamp.beyond is beyond
    clock.wall += 500.0
    assert allocator.now() == NOW + 500.0 + offset
    clock.wall -= 500.0
    allocator.refused(stamp)
    assert allocator.now() == NOW + offset + (0.0 if beyond else 500.0)


def test_the_clock_goes_on_by_itself_however_long_it_stands() -> None:
    clock, allocator = _led(Ledger())
    assert allocator.now() == NOW
    clock.elapsed += 250.0
    assert allocator.now() == NOW + 250.0
    clock.elapsed += 1.0
    assert allocator.now() == NOW + 251.0


def test_a_lead_does_not_shrink_while_the_clock_is_behind_the_refusal() -> None:
    _, allocator = _led(Ledger(lead=3.0, lead_refused_at=NOW + 100.0))
    assert allocator.lead == 3.0
