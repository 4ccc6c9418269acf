"""The turn that is shared with other processes, in virtual time; what the others do is played by a test."""

import math
from collections.abc import Awaitable, Callable

import anyio
import attrs
import pytest
import trio.testing

from thekeys_async import CoordinationError
from thekeys_async.coordination import Claim, LeaseLostError, Pause, TurnTimeoutError
from thekeys_async.turns.coordinated import CoordinatedTurn
from thekeys_async.turns.pacing import Pacing
from thekeys_async.turns.queue import Dismissed, OutOfTime, Turns, Waiter
from thekeys_async.turns.timestamps import Allocator, Ledger, Stamp, Timestamps

pytestmark = pytest.mark.anyio

WALL = 1_700_000_000


@pytest.fixture
def anyio_backend() -> tuple[str, dict]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@attrs.define(eq=False)
class FakeLease:
    """A turn, and how it was given back."""

    failures: int = 0
    timestamp: int = WALL
    lost: bool = False
    given_back: list[tuple[Pause, bool]] = attrs.field(factory=list)
    free: Callable[[float], None] = lambda _quiet: None

    def check(self) -> None:
        if self.lost:
            raise LeaseLostError("lost")

    def take_timestamp(self) -> int:
        self.check()
        return self.timestamp

    def release(self, pause: Pause, *, refused: bool = False) -> None:
        self.given_back.append((pause, refused))
        self.free(pause.quiet)


@attrs.define(eq=False)
class FakeCoordinator:
    """Hands out the turn to who has waited longest, commands first; says who waits and who had it."""

    failures: int = 0
    others_have_it: bool = False
    failing: str | None = None
    claims: list[Claim] = attrs.field(factory=list)
    most_claims: int = 0
    asked: list[Claim] = attrs.field(factory=list)
    leases: list[FakeLease] = attrs.field(factory=list)
    taken: bool = False
    deaf: bool = False
    quiet_until: float = 0.0
    changed: anyio.Event = attrs.field(factory=anyio.Event)

    def change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    def free(self, quiet: float = 0.0) -> None:
        self.taken = False
        self.quiet_until = 0.0 if self.deaf else anyio.current_time() + quiet
        self.change()

    def give(self) -> None:
        self.others_have_it = False
        self.change()

    async def acquire(self, key: str, claim: Claim) -> FakeLease:
        assert key == "key"
        self.asked.append(claim)
        self.claims.append(claim)
        self.most_claims = max(self.most_claims, len(self.claims))
        try:
            while self.failing or self.others_have_it or self.taken or self._first() is not claim:
                if self.failing:
                    claim.trouble.note(self.failing)
                with anyio.move_on_after(claim.until - anyio.current_time()) as scope:
                    await self.changed.wait()
                if scope.cancelled_caught and self.failing:
                    raise CoordinationError(self.failing)
                if scope.cancelled_caught:
                    raise TurnTimeoutError
            await anyio.sleep(max(0.0, self.quiet_until - anyio.current_time()))
        finally:
            self.claims.remove(claim)
        self.taken = True
        self.leases.append(FakeLease(self.failures, WALL + len(self.leases), free=self.free))
        return self.leases[-1]

    def _first(self) -> Claim:
        return next((claim for claim in self.claims if claim.command), self.claims[0])


class Process:
    """One event loop's queue at the gateway, and what it did when."""

    def __init__(self, *, max_lead: float = math.inf) -> None:
        self.started = anyio.current_time()
        self.coordinator = FakeCoordinator()
        self.ledger = Ledger()
        self.allocator = Allocator(
            self.ledger, Timestamps(max_lead=max_lead), wall=lambda: WALL + self.now, elapsed=anyio.current_time
        )
        self.turn = CoordinatedTurn(self.coordinator, "key", self.allocator, rest=7.0)
        self.turns = Turns(self.allocator, coordinated=self.turn, jitter=lambda: 1.0)
        self.log: list[tuple[str, float]] = []

    @property
    def now(self) -> float:
        return anyio.current_time() - self.started

    def enter(self, *, command: bool = False, signed: bool = False, coalesce: str | None = None) -> Waiter:
        return self.turns.enter(anyio.current_time(), command=command, signed=signed, coalesce=coalesce)

    async def acquire(self, waiter: Waiter, until: float = math.inf) -> float:
        return await self.turns.acquire(waiter, anyio.current_time(), self.started + until)

    def release(self, *, rest: float = 0.0, failed: bool = False, command: bool = False, refused: bool = False) -> None:
        self.turns.release(anyio.current_time(), rest=rest, failed=failed, command=command, refused=refused)

    async def call(self, name: str, *, command: bool = False, work: float = 1.0, until: float = math.inf) -> None:
        await self.acquire(self.enter(command=command), until)
        self.log.append((name, self.now))
        await anyio.sleep(work)
        self.release(command=command)


async def _all(*calls: Callable[[], Awaitable[object]]) -> None:
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()


async def test_the_first_command_and_the_first_read_of_a_process_wait_among_the_others() -> None:
    process = Process()
    process.coordinator.others_have_it = True

    async def give() -> None:
        assert [claim.command for claim in process.coordinator.claims] == [False, True]
        process.coordinator.give()

    calls = [lambda n=n, c=c: process.call(n, command=c) for n, c in (("r1", 0), ("r2", 0), ("c1", 1), ("c2", 1))]
    await _all(*calls, give)
    assert [name for name, _ in process.log] == ["c1", "c2", "r1", "r2"]
    assert [at for _, at in process.log] == [0.0, 1.0, 2.0, 3.0]
    assert process.coordinator.most_claims == 2


async def test_what_is_claimed() -> None:
    process = Process(max_lead=5.0)
    process.ledger.last, process.ledger.lead, process.ledger.lead_refused_at = 17, 2.0, WALL + 1e9
    waiter = process.enter(command=True, signed=True)
    await anyio.sleep(3.0)
    await process.acquire(waiter, until=60.0)
    process.release()
    await process.acquire(process.enter())
    signed, unsigned = process.coordinator.asked
    assert (signed.command, signed.waited, signed.until, signed.rest) == (True, 3.0, process.started + 60.0, 7.0)
    assert signed.wish
    assert signed.wish.clock() == WALL + 3.0
    assert (signed.wish.newer_than, signed.wish.max_lead, signed.wish.lead) == (17, 5.0, 2.0)
    assert (unsigned.command, unsigned.waited, unsigned.wish) == (False, 0.0, None)


@pytest.mark.parametrize(
    ("rest", "failures", "failed", "pause"),
    [
        (1.5, 0, False, Pause(1.5, 1.5, 0)),
        (0.0, 4, False, Pause(0.0, 0.0, 0)),
        (0.0, 0, True, Pause(0.25, 0.25, 1)),
        (0.1, 2, True, Pause(0.25, 1.0, 3)),
        (0.5, 2, True, Pause(0.5, 1.0, 3)),
        (2.0, 2, True, Pause(2.0, 2.0, 3)),
        (0.0, 9, True, Pause(0.25, 5.0, 10)),
    ],
)
async def test_what_is_left_to_who_comes_next(rest: float, failures: int, failed: bool, pause: Pause) -> None:
    process = Process()
    process.coordinator.failures = failures
    await process.acquire(process.enter())
    assert process.turn.failures == failures
    process.release(rest=rest, failed=failed, refused=failed)
    assert process.coordinator.leases[0].given_back == [(pause, failed)]
    assert process.turn.failures == 0
    assert process.turn.held is None
    process.release()  # harmless


async def test_the_gateway_rests_also_if_the_others_never_heard_of_it() -> None:
    process = Process()
    await process.acquire(process.enter())
    process.coordinator.deaf = True
    process.release(rest=2.0)
    process.coordinator.deaf = False
    await anyio.sleep(0.5)
    process.coordinator.failures = 3
    await process.acquire(process.enter())
    assert process.now == 2.0
    # The turn that had come too early was given back for as long as the rest lasts.
    second = process.coordinator.leases[1]
    assert second.given_back == [(Pause(quiet=1.5, failures=3), False)]


async def test_who_is_given_an_answer_while_it_waits_outside_takes_no_turn() -> None:
    process = Process()
    process.coordinator.others_have_it = True
    waiter = process.enter(coalesce="lockers")

    async def answer() -> None:
        process.turns.answer_waiting("lockers", "the answer", process.turns.arrivals)
        process.coordinator.give()

    await _all(lambda: process.acquire(waiter), answer)
    assert waiter.shared_reply == "the answer"
    assert process.turn.held is None
    assert all(lease.given_back == [(Pause(), False)] for lease in process.coordinator.leases)


async def test_an_answer_is_for_the_same_question_asked_before() -> None:
    process = Process()
    process.coordinator.others_have_it = True
    name = "ab"
    same, other, later = (process.enter(coalesce=what) for what in (name, "other", name))

    async def answer() -> None:
        process.turns.answer_waiting(name, "the answer", 2)
        assert (same.shared_reply, other.shared_reply, later.shared_reply) == ("the answer", None, None)
        assert (same.gone, other.gone, later.gone) == (True, False, False)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for waiter in (same, other, later):
            group.start_soon(process.acquire, waiter)
            await trio.testing.wait_all_tasks_blocked()
        await answer()


@pytest.mark.parametrize("outside", [True, False])
async def test_who_is_dismissed_gets_no_turn_and_the_next_does(outside: bool) -> None:
    process = Process()
    process.coordinator.others_have_it = outside
    if not outside:
        await process.acquire(process.enter())
    waiter = process.enter(command=True)

    async def dismissed() -> None:
        with pytest.raises(Dismissed):
            await process.acquire(waiter)
        process.log.append(("dismissed", process.now))

    async def dismiss() -> None:
        process.turns.dismiss(waiter)
        assert waiter.dismissed
        assert waiter.gone
        await trio.testing.wait_all_tasks_blocked()
        process.release() if not outside else process.coordinator.give()

    await _all(dismissed, lambda: process.call("next"), dismiss)
    assert process.log == [("dismissed", 0.0), ("next", 0.0)]
    assert process.turn.held is None
    with pytest.raises(Dismissed):
        await process.acquire(waiter)


async def test_out_of_time_outside_and_inside() -> None:
    process = Process()
    process.coordinator.others_have_it = True

    async def late(until: float) -> None:
        with pytest.raises(OutOfTime):
            await process.acquire(process.enter(), until)
        process.log.append(("late", process.now))

    await _all(lambda: late(5.0), lambda: late(3.0), lambda: late(0.0))
    assert process.log == [("late", 0.0), ("late", 3.0), ("late", 5.0)]
    assert process.coordinator.claims == []


async def test_all_say_what_the_first_has_met_outside() -> None:
    process = Process()
    process.coordinator.failing = "nothing was sent: gone"

    async def fail() -> None:
        with pytest.raises(CoordinationError, match="gone"):
            await process.acquire(process.enter(), 5.0)
        process.log.append(("failed", process.now))

    await _all(fail, fail, fail)
    assert process.log == [("failed", 5.0)] * 3
    process.coordinator.failing, process.coordinator.others_have_it = None, True
    with pytest.raises(OutOfTime):
        await process.acquire(process.enter(), 6.0)
    assert process.turn.trouble.text is None


async def test_who_was_refused_for_its_lead_waits_for_the_clock_outside_the_queue() -> None:
    process = Process(max_lead=10.0)
    process.ledger.last, process.ledger.lead, process.ledger.lead_refused_at = WALL + 4, 1.0, WALL + 1e9
    waiter = process.enter(signed=True)
    waiter.catch_up = True

    async def refused() -> None:
        await process.acquire(waiter)
        process.log.append(("refused", process.now))
        process.release()

    await _all(refused, lambda: process.call("other", work=0.0))
    assert process.log == [("other", 0.0), ("refused", 5.0)]
    process.ledger.last = WALL + 14
    with pytest.raises(OutOfTime):
        await process.acquire(waiter, until=6.0)
    assert process.now == 6.0


async def test_a_turn_that_comes_while_ours_was_lost_and_is_at_work_goes_back() -> None:
    process = Process()
    await process.acquire(process.enter())
    first = process.turn.held
    process.coordinator.free()  # it was lost, and given to us once more
    process.coordinator.failures = 2
    reached = await process.turn.acquire("x", command=True, signed=False, since=0.0, until=math.inf)
    assert not reached
    assert process.turn.held is first
    assert process.coordinator.leases[1].given_back == [(Pause(0.5, 0.5, 2), False)]


async def test_the_stamp_of_a_turn() -> None:
    process = Process()
    with pytest.raises(RuntimeError, match="without its turn"):
        process.turn.stamp(signed=False)
    await process.acquire(process.enter())
    assert process.turn.stamp(signed=False) is None
    assert process.turn.stamp(signed=True) == Stamp(WALL, 0.0)
    assert process.ledger.last == WALL
    with pytest.raises(LeaseLostError, match="newer"):
        process.turn.stamp(signed=True)
    process.ledger.last = WALL + 86_400 - 1
    with pytest.raises(LeaseLostError, match="newer"):
        process.turn.stamp(signed=True)
    process.ledger.last = WALL + 86_400  # a clock that was ahead once binds nobody
    assert process.turn.stamp(signed=True).value == WALL
    process.coordinator.leases[0].lost = True
    for signed in (True, False):
        with pytest.raises(LeaseLostError, match="lost"):
            process.turn.stamp(signed=signed)


async def test_a_rest_from_before_the_event_loop_is_kept() -> None:
    process = Process()
    turns = Turns(process.allocator, quiet_for=2.0, jitter=lambda: 1.0)
    waiter = turns.enter(anyio.current_time(), command=True, signed=False)
    assert await turns.acquire(waiter, anyio.current_time(), math.inf) == process.started + 2.0
    turns.release(anyio.current_time(), rest=0.0, failed=False, command=True)
    waiter = turns.enter(anyio.current_time(), command=True, signed=False)
    assert await turns.acquire(waiter, anyio.current_time(), math.inf) == process.started + 2.0


async def test_who_has_no_lead_to_wait_for_goes_at_once() -> None:
    process = Process(max_lead=10.0)
    waiter = process.enter(signed=True)
    waiter.catch_up = True
    await process.acquire(waiter)
    assert process.now == 0.0


def test_the_rest_of_a_gateway_if_nothing_else_is_said() -> None:
    assert Pacing() == Pacing(light=0.5, bluetooth=1.0)
    assert (Pacing().light, Pacing().bluetooth) == (0.5, 1.0)


async def test_who_is_no_longer_the_first_of_its_process_stops_waiting_outside() -> None:
    process = Process()
    process.coordinator.others_have_it = True
    reached: dict[str, bool] = {}

    async def wait(name: str) -> None:
        reached[name] = await process.turn.acquire(
            name, command=True, signed=False, since=-float(ord(name)), until=math.inf
        )

    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(wait, name)
        await trio.testing.wait_all_tasks_blocked()
        process.turn.keep(["b"])
        await trio.testing.wait_all_tasks_blocked()
        assert reached == {"a": False, "c": False}
        process.coordinator.give()
    assert reached["b"]


async def test_a_clock_that_was_days_ahead_binds_no_turn() -> None:
    process = Process()
    await process.acquire(process.enter())
    process.ledger.last = WALL + 10 * 86_400
    assert process.turn.stamp(signed=True).value == WALL
