"""Whose turn it is, in virtual time."""

import math
from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio.testing

from thekeys_async import AsyncGateway, RequestTimeoutError
from thekeys_async.gateway import driver_of
from thekeys_async.turns.pacing import Pacing
from thekeys_async.turns.queue import OutOfTime, Turns
from thekeys_async.turns.timestamps import Allocator, Ledger, Timestamps

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict]:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Queue:
    """Turns, and a log of who had one when."""

    def __init__(self, *, max_lead: float = math.inf) -> None:
        self.started = anyio.current_time()
        wall = 1_700_000_000.0
        self.allocator = Allocator(
            Ledger(), Timestamps(max_lead=max_lead), wall=lambda: wall + self.now, elapsed=anyio.current_time
        )
        self.turns = Turns(self.allocator, jitter=lambda: 1.0)
        self.log: list[tuple[str, float]] = []

    @property
    def now(self) -> float:
        return anyio.current_time() - self.started

    async def call(
        self,
        name: str,
        *,
        command: bool = False,
        signed: bool = False,
        work: float = 1.0,
        rest: float = 0.0,
        failures: int = 0,
        catch_up: bool = False,
        until: float = math.inf,
    ) -> None:
        """A call that holds its turn for some work, and fails some times before it succeeds."""
        waiter = self.turns.enter(self.started, command=command, signed=signed)
        waiter.catch_up = catch_up
        for left in range(failures, -1, -1):
            await self.turns.acquire(waiter, anyio.current_time(), self.started + until)
            self.log.append((name, self.now))
            try:
                if signed:
                    self.allocator.take()
                await anyio.sleep(work)
            finally:
                self.turns.release(anyio.current_time(), rest=rest, failed=left > 0, command=command)

    def names(self) -> list[str]:
        return [name for name, _ in self.log]

    def times(self) -> list[float]:
        return [pytest.approx(at) for _, at in self.log]


async def _all(*calls: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()


async def test_first_come_first_served_one_at_a_time_with_a_rest_after_each() -> None:
    queue = Queue()
    await _all(*[lambda n=n: queue.call(n, work=2, rest=0.5) for n in "abc"])
    assert queue.log == [("a", 0.0), ("b", 2.5), ("c", 5.0)]


async def test_commands_go_before_reads_that_came_earlier() -> None:
    queue = Queue()
    reads = [lambda n=n: queue.call(n) for n in ("r1", "r2", "r3")]
    await _all(*reads, lambda: queue.call("c1", command=True), lambda: queue.call("c2", command=True))
    assert queue.names() == ["r1", "c1", "c2", "r2", "r3"]


async def test_a_waiting_read_is_served_after_eight_commands_in_a_row() -> None:
    queue = Queue()
    commands = [lambda n=n: queue.call(f"c{n}", command=True) for n in range(20)]
    await _all(lambda: queue.call("first"), lambda: queue.call("read"), lambda: queue.call("later"), *commands)
    order = queue.names()
    assert order.index("read") == 9
    assert order.index("later") == 18


async def test_commands_before_any_read_waited_do_not_count_against_the_next_command() -> None:
    queue = Queue()
    for n in range(12):
        await queue.call(f"c{n}", command=True)
    await _all(lambda: queue.call("busy"), lambda: queue.call("read"), lambda: queue.call("open", command=True))
    assert queue.names()[-2:] == ["open", "read"]


async def test_backoff_belongs_to_the_gateway_and_grows_to_5_s() -> None:
    queue = Queue()
    await _all(*[lambda n=n: queue.call(n, work=0, failures=6 if n == "a" else 0) for n in "abc"])
    assert queue.names() == ["a"] * 7 + ["b", "c"]
    assert queue.times()[:7] == [0, 0.25, 0.75, 1.75, 3.75, 8.75 - 1, 12.75]


async def test_a_success_ends_the_backoff() -> None:
    queue = Queue()
    await queue.call("a", work=0, failures=3)
    ended = queue.now
    await queue.call("b", work=0)
    assert queue.now == ended


async def test_a_command_does_not_wait_for_the_retries_of_reads() -> None:
    queue = Queue()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: queue.call("read", work=0, failures=8))
        await anyio.sleep(10)
        begun = len(queue.log)
        await queue.call("open", command=True, work=0)
        group.cancel_scope.cancel()
    assert queue.names()[begun] == "open"
    assert queue.now == pytest.approx(10.0)


async def test_a_command_starts_the_backoff_from_its_first_step() -> None:
    queue = Queue()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: queue.call("read", work=0, failures=8))
        await anyio.sleep(10)
        await queue.call("open", command=True, work=0, failures=2)
        group.cancel_scope.cancel()
    opened = [at for name, at in queue.log if name == "open"]
    assert opened[1] - opened[0] <= 0.5
    assert opened[2] - opened[1] <= 1.0


async def test_a_call_whose_time_runs_out_in_the_queue_leaves_it() -> None:
    queue = Queue()

    async def impatient() -> None:
        with pytest.raises(OutOfTime):
            await queue.call("late", until=3)
        assert queue.now == pytest.approx(3.0)

    await _all(lambda: queue.call("long", work=10), impatient, lambda: queue.call("next"))
    assert queue.names() == ["long", "next"]


async def test_a_cancelled_waiter_leaves_nothing_behind_and_the_next_is_woken() -> None:
    queue = Queue()
    async with anyio.create_task_group() as group:
        await queue.call("a", work=0, rest=5)
        scopes = []
        for name in ("b", "c"):
            scope = anyio.CancelScope()
            scopes.append(scope)
            group.start_soon(_in_scope, scope, queue, name)
            await trio.testing.wait_all_tasks_blocked()
        group.start_soon(lambda: queue.call("d"))
        await anyio.sleep(2)
        scopes[0].cancel()
        scopes[1].cancel()
    assert queue.log == [("a", 0.0), ("d", 5.0)]


async def _in_scope(scope: anyio.CancelScope, queue: Queue, name: str) -> None:
    with scope:
        await queue.call(name)


async def test_a_cancelled_holder_gives_the_turn_back() -> None:
    queue = Queue()
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(_in_scope, scope, queue, "held")
        await trio.testing.wait_all_tasks_blocked()
        group.start_soon(lambda: queue.call("next"))
        await anyio.sleep(0.5)
        scope.cancel()
    assert queue.log == [("held", 0.0), ("next", 0.5)]


async def test_a_burst_of_signed_calls_waits_for_the_lead_and_nobody_holds_the_turn() -> None:
    queue = Queue(max_lead=2.0)
    await _all(*[lambda n=n: queue.call(str(n), command=True, signed=True, work=0) for n in range(6)])
    assert queue.times() == [0, 0, 0, 1, 2, 3]


def _takes_no_lead(queue: Queue) -> None:
    """Let the last timestamp lead by 10 s, at a gateway that is known to take no lead."""
    queue.allocator.jump_ahead()
    stamp = queue.allocator.take()
    queue.allocator.refused(stamp)
    queue.allocator.accept(stamp.value)


async def test_who_waits_for_the_clock_keeps_nobody_else_waiting() -> None:
    queue = Queue()
    _takes_no_lead(queue)

    async def late() -> None:
        await queue.call("late", command=True, signed=True, catch_up=True, work=0)

    async def others() -> None:
        await anyio.sleep(2)
        await queue.call("open", command=True, work=0, rest=3)
        await queue.call("read", work=0)

    await _all(late, others)
    assert queue.log == [("open", 2.0), ("read", 5.0), ("late", pytest.approx(10.9, abs=0.1))]


async def test_who_waited_for_the_clock_goes_when_it_may_though_others_rest_before_it() -> None:
    queue = Queue()
    _takes_no_lead(queue)

    async def others() -> None:
        await anyio.sleep(9)
        await queue.call("first", work=0, rest=4)
        await queue.call("read", work=0)

    await _all(
        lambda: queue.call("late", command=True, signed=True, catch_up=True, work=0),
        lambda: queue.call("later", command=True, signed=True, catch_up=True, work=0),
        others,
    )
    assert queue.names() == ["first", "late", "read", "later"]
    assert queue.log[1] == ("late", pytest.approx(13.0))


async def test_commands_that_are_answered_busy_count_in_a_row_too() -> None:
    queue = Queue()
    commands = [lambda n=n: queue.call(f"c{n}", command=True, work=0, failures=20, until=200) for n in range(2)]
    await _all(lambda: queue.call("first"), *commands, lambda: queue.call("read", work=0))
    assert queue.names().index("read") == 9


async def test_an_answer_is_shared_with_those_who_waited_when_it_was_asked_for_only() -> None:
    queue = Queue()
    turns, got = queue.turns, []

    async def read(name: str, what: str) -> None:
        waiter = turns.enter(0.0, command=False, signed=False, coalesce=what)
        await turns.acquire(waiter, anyio.current_time(), math.inf)
        arrivals = turns.arrivals
        if waiter.shared_reply is not None:
            got.append((name, "shared_reply"))
            return
        await anyio.sleep(1)
        if name == "leader":
            group.start_soon(read, "late", "lockers")
            await anyio.sleep(1)
            turns.answer_waiting(what, object(), arrivals)
        got.append((name, "asked"))
        turns.release(anyio.current_time(), rest=0, failed=False, command=False)

    async with anyio.create_task_group() as group:
        await queue.call("before", work=0, rest=1)
        for name, what in (("leader", "lockers"), ("same", "lockers"), ("other", "status")):
            group.start_soon(read, name, what)
            await trio.testing.wait_all_tasks_blocked()
    assert got == [("leader", "asked"), ("same", "shared_reply"), ("other", "asked"), ("late", "asked")]


def test_pacing_is_checked() -> None:
    for wrong in ({"light": -1}, {"bluetooth": "1"}, {"light": None}, {"bluetooth": math.inf}, {"light": math.nan}):
        with pytest.raises((TypeError, ValueError)):
            Pacing(**wrong)


class _SlowWire:
    """Takes 3 s to connect."""

    async def exchange(self, prepare: Callable[[], object], attempt: object, *, fresh: bool) -> None:
        await anyio.sleep(3)
        prepare()

    def drop(self) -> None:
        """Nothing is kept."""


async def test_a_timestamp_that_proves_too_far_ahead_after_a_slow_connect_costs_no_more_than_the_budget() -> None:
    async with AsyncGateway("too-far-ahead.test", share_codes={1: "code"}, pacing=Pacing(0, 0)) as gateway:
        driver_of(gateway)._own_wire = _SlowWire()
        shared = driver_of(gateway).shared()
        shared.ledger.last = shared.allocator.now() + 10 + 2.9  # beyond the lead, and within a second of it 3 s later

        async def keep_the_turn() -> None:
            await anyio.sleep(1)
            waiter = shared.turns.enter(anyio.current_time(), command=True, signed=False)
            await shared.turns.acquire(waiter, anyio.current_time(), math.inf)
            await anyio.sleep_forever()

        started = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(keep_the_turn)
            with pytest.raises(RequestTimeoutError):
                await gateway.locker(1).status(timeout=5)
            assert anyio.current_time() - started == pytest.approx(5)
            group.cancel_scope.cancel()


async def test_a_turn_in_which_nothing_was_sent_does_not_end_a_backoff() -> None:
    queue = Queue()
    turns = queue.turns

    async def take_turn(*, failed: bool, sent: bool) -> float:
        waiter = turns.enter(anyio.current_time(), command=False, signed=False)
        await turns.acquire(waiter, anyio.current_time(), math.inf)
        turns.release(anyio.current_time(), rest=0, failed=failed, command=False, sent=sent)
        return queue.now

    came = [await take_turn(failed=failed, sent=sent) for failed, sent in [(True, True)] * 3 + [(False, False)]]
    came.append(await take_turn(failed=True, sent=True))
    came.append(await take_turn(failed=False, sent=True))
    assert came == pytest.approx([0, 0.25, 0.75, 1.75, 1.75, 3.75])


async def test_a_success_ends_the_backoff_which_then_begins_anew() -> None:
    queue = Queue()
    await queue.call("a", work=0, failures=5)
    began = queue.now
    await queue.call("b", work=0, failures=2)
    assert queue.times()[6:] == [began, began + 0.25, began + 0.75]
