"""What every coordinator promises, shown on files and on Redis, each user with a coordinator of its own."""

import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import pytest

from thekeys_async import CoordinationError
from thekeys_async.coordination import Claim, Coordinator, Pause, TurnTimeoutError, Wish

pytestmark = pytest.mark.anyio

Make = Callable[[], Coordinator]
KEY = "192.168.0.26:80"


def claim(
    *,
    command: bool = True,
    seconds: float = 20.0,
    waited: float = 0.0,
    rest: float = 0.0,
    wish: Wish | None = None,
) -> Claim:
    return Claim(command, waited, anyio.current_time() + seconds, rest, wish)


def wish(*, clock: float = 1_700_000_000.0, newer_than: int = 0, max_lead: float = 1e9, lead: float = math.inf) -> Wish:
    return Wish(lambda: clock, newer_than, max_lead, lead)


async def test_one_at_a_time_and_every_timestamp_is_newer(make: Make) -> None:
    holders, most, stamps = 0, 0, []

    async def use(coordinator: Coordinator) -> None:
        nonlocal holders, most
        for _ in range(8):
            lease = await coordinator.acquire(KEY, claim(seconds=30, wish=wish()))
            holders += 1
            most = max(most, holders)
            await anyio.sleep(0.001)
            stamps.append(lease.take_timestamp())
            holders -= 1
            lease.release(Pause())

    async with AsyncExitStack() as stack:
        coordinators = [await stack.enter_async_context(make()) for _ in range(5)]
        async with anyio.create_task_group() as group:
            for coordinator in coordinators * 2:
                group.start_soon(use, coordinator)
    assert most == 1
    assert stamps == list(range(1_700_000_000, 1_700_000_080))


async def test_gateways_do_not_wait_for_each_other(make: Make) -> None:
    async with make() as coordinator:
        first = await coordinator.acquire(KEY, claim(wish=wish()))
        second = await coordinator.acquire("[fe80::1]:80", claim(wish=wish()))
        assert first.take_timestamp() == second.take_timestamp() == 1_700_000_000


async def test_a_command_is_served_before_reads_that_came_earlier(make: Make) -> None:
    order = []

    async with make() as one, make() as two:
        holder = await one.acquire(KEY, claim())
        async with anyio.create_task_group() as group:
            for name, coordinator, command in (("r1", one, False), ("r2", two, False), ("c1", two, True)):
                group.start_soon(_serve, coordinator, name, command, order)
                await anyio.sleep(0.3)
            group.start_soon(_serve, one, "c2", True, order)
            await anyio.sleep(0.3)
            holder.release(Pause())
    assert order == ["c1", "c2", "r1", "r2"]


async def _serve(coordinator: Coordinator, name: str, command: bool, order: list[str]) -> None:
    lease = await coordinator.acquire(KEY, claim(command=command))
    order.append(name)
    lease.release(Pause())


async def test_a_call_keeps_its_place_when_it_claims_again(make: Make) -> None:
    order = []

    async def late(coordinator: Coordinator) -> None:
        lease = await coordinator.acquire(KEY, claim(waited=60.0))
        order.append("older")
        lease.release(Pause())

    async with make() as one, make() as two, anyio.create_task_group() as group:
        holder = await one.acquire(KEY, claim())
        group.start_soon(_serve, one, "younger", True, order)
        await anyio.sleep(0.3)
        group.start_soon(late, two)
        await anyio.sleep(0.3)
        holder.release(Pause())
    assert order == ["older", "younger"]


async def test_a_read_is_served_after_eight_commands_in_a_row(make: Make) -> None:
    order = []

    async with make() as one, make() as two, anyio.create_task_group() as group:
        holder = await one.acquire(KEY, claim())
        group.start_soon(_serve, two, "read", False, order)
        await anyio.sleep(0.3)
        for index in range(12):
            group.start_soon(_serve, one, str(index), True, order)
        await anyio.sleep(0.5)
        holder.release(Pause())
    assert order.index("read") == 8


async def test_everybody_waits_for_the_rest_and_a_command_that_comes_meanwhile_is_first(make: Make) -> None:
    order = []
    async with make() as one, make() as two:
        started = anyio.current_time()
        (await one.acquire(KEY, claim())).release(Pause(quiet=2.5))
        async with anyio.create_task_group() as group:
            group.start_soon(_serve, one, "read", False, order)
            await anyio.sleep(0.2)
            group.start_soon(_serve, two, "command", True, order)
        assert anyio.current_time() - started >= 2.5
    assert order == ["command", "read"]


async def test_a_backoff_holds_for_who_was_waiting_until_a_new_command_comes(make: Make) -> None:
    order = []
    async with make() as one, make() as two, anyio.create_task_group() as group:
        failing = await one.acquire(KEY, claim(waited=1.0))
        assert failing.failures == 0
        failing.release(Pause(quiet=0.1, retry=60.0, failures=7))
        await anyio.sleep(0.05)
        with pytest.raises(TurnTimeoutError):
            await two.acquire(KEY, claim(command=False, seconds=0.4))
        with pytest.raises(TurnTimeoutError):
            await two.acquire(KEY, claim(command=True, waited=5.0, seconds=0.4))
        group.start_soon(_serve, two, "waiting", False, order)
        new = await two.acquire(KEY, claim(seconds=20.0))
        assert new.failures == 1
        new.release(Pause())
    assert order == ["waiting"]


async def test_failures_are_counted_for_all(make: Make) -> None:
    async with make() as one, make() as two:
        (await one.acquire(KEY, claim(waited=9.0))).release(Pause(failures=3))
        assert (await two.acquire(KEY, claim(waited=9.0))).failures == 3


async def test_a_waiter_that_gives_up_or_is_cancelled_leaves_nothing(make: Make) -> None:
    order = []
    async with make() as one, make() as two:
        holder = await one.acquire(KEY, claim())
        with pytest.raises(TurnTimeoutError):
            await two.acquire(KEY, claim(seconds=0.2))
        with anyio.move_on_after(0.2) as scope:
            await two.acquire(KEY, claim())
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(_serve, one, "read", False, order)
            await anyio.sleep(0.1)
            started = anyio.current_time()
            holder.release(Pause())
        assert anyio.current_time() - started < 2.5
    assert order == ["read"]


async def test_a_cancellation_at_any_moment_takes_no_turn_along(make: Make) -> None:
    async with make() as one, make() as two:
        for step in range(25):
            with anyio.move_on_after(step / 5000):
                lease = await two.acquire(KEY, claim(wish=wish()))
                lease.release(Pause())
                continue
            (await one.acquire(KEY, claim(seconds=5.0))).release(Pause())


async def test_a_turn_is_given_back_once(make: Make) -> None:
    async with make() as one, make() as two:
        first = await one.acquire(KEY, claim())
        first.release(Pause())
        second = await two.acquire(KEY, claim())
        first.release(Pause(quiet=50.0))
        second.check()
        second.release(Pause())
        (await one.acquire(KEY, claim(seconds=5.0))).release(Pause())


async def test_a_burst_waits_for_the_lead_and_holds_nothing_meanwhile(make: Make) -> None:
    def lead(clock: float) -> dict:
        return {"wish": wish(clock=clock, max_lead=2.0)}

    async with make() as one, make() as two:
        for expected in (1000, 1001, 1002):
            lease = await one.acquire(KEY, claim(**lead(1000.0)))
            assert lease.take_timestamp() == expected
            lease.release(Pause())
        with pytest.raises(TurnTimeoutError):
            await one.acquire(KEY, claim(seconds=0.3, **lead(1000.0)))
        (await two.acquire(KEY, claim(command=False, seconds=1.0))).release(Pause())
        lease = await one.acquire(KEY, claim(seconds=1.0, **lead(1001.0)))
        assert lease.take_timestamp() == 1003


async def test_a_last_timestamp_beyond_the_lead_is_not_waited_for(make: Make) -> None:
    async with make() as one:
        (await one.acquire(KEY, claim(wish=wish(clock=9000.0)))).release(Pause())
        lease = await one.acquire(KEY, claim(seconds=1.0, wish=wish(clock=1000.0, max_lead=0.0)))
        assert lease.take_timestamp() == 9001


async def test_a_lead_that_the_gateway_does_not_take_is_waited_for(make: Make) -> None:
    async with make() as one:
        (await one.acquire(KEY, claim(wish=wish(clock=1009.0)))).release(Pause())
        with pytest.raises(TurnTimeoutError):
            await one.acquire(KEY, claim(seconds=0.3, wish=wish(clock=1000.0, max_lead=10.0, lead=4.0)))
        lease = await one.acquire(KEY, claim(seconds=1.0, wish=wish(clock=1006.0, max_lead=10.0, lead=4.0)))
        assert lease.take_timestamp() == 1010


async def test_a_refused_timestamp_binds_nobody(make: Make) -> None:
    async with make() as one, make() as two:
        (await one.acquire(KEY, claim(wish=wish(clock=1000.0)))).release(Pause())
        for _ in range(2):
            lease = await one.acquire(KEY, claim(wish=wish(clock=5000.0)))
            assert lease.take_timestamp() == 5000
            lease.release(Pause(), refused=True)
        lease = await two.acquire(KEY, claim(wish=wish(clock=1000.0)))
        assert lease.take_timestamp() == 1001  # newer than what may have been accepted
        lease.release(Pause())
        assert (await one.acquire(KEY, claim(wish=wish(clock=1000.0)))).take_timestamp() == 1002


async def test_a_last_timestamp_days_ahead_heals_with_the_clock_or_says_what_to_do(make: Make) -> None:
    async with make() as one:
        (await one.acquire(KEY, claim(wish=wish(clock=1e9)))).release(Pause())
        lease = await one.acquire(KEY, claim(wish=wish(clock=1000.0)))
        assert lease.take_timestamp() == 1000
        lease.release(Pause(), refused=True)
        with pytest.raises(CoordinationError, match=r"days ahead of the clock.*remove that"):
            await one.acquire(KEY, claim(wish=wish(clock=1000.5)))
        lease = await one.acquire(KEY, claim(wish=wish(clock=2000.0)))
        assert lease.take_timestamp() == 2000
        lease.release(Pause())
        assert (await one.acquire(KEY, claim(wish=wish(clock=2000.0)))).take_timestamp() == 2001


async def test_a_timestamp_is_newer_than_what_the_caller_knows(make: Make) -> None:
    async with make() as one:
        lease = await one.acquire(KEY, claim(wish=wish(clock=1000.0, newer_than=1005, max_lead=math.inf)))
        assert lease.take_timestamp() == 1006


@pytest.mark.parametrize("seconds", [11.0, 3600.0])
async def test_an_old_timestamp_is_not_sent(make: Make, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    async with make() as one:
        lease = await one.acquire(KEY, claim(wish=wish()))
        later = time.time() + seconds
        monkeypatch.setattr("time.time", lambda: later)
        with pytest.raises(CoordinationError, match="old"):
            lease.take_timestamp()
        lease.check()


async def test_a_coordinator_is_entered_first(make: Make) -> None:
    with pytest.raises(RuntimeError, match="enter"):
        await make().acquire(KEY, claim())


async def test_exceptions_come_out_ungrouped(make: Make) -> None:
    async def fail() -> None:
        async with make() as coordinator:
            await coordinator.acquire(KEY, claim())
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await fail()


async def test_cancellation_passes_through(make: Make) -> None:
    async def hold(started: Callable[[], None]) -> None:
        async with make() as coordinator:
            await coordinator.acquire(KEY, claim())
            started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        await _started(group.start_soon, hold)
        group.cancel_scope.cancel()


async def _started(start_soon: Callable[..., None], function: Callable[..., Awaitable[None]]) -> None:
    event = anyio.Event()
    start_soon(function, event.set)
    await event.wait()
