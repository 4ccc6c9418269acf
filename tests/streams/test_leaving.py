"""Leaving a stream: everything ends, and what the consumer raised comes out as itself."""

import asyncio
import gc

import anyio
import pytest

from thekeys_async import UpdateKind

pytestmark = pytest.mark.anyio


class OopsError(Exception):
    """The consumer's own."""


def _tasks() -> list:
    return [task.name for task in anyio.get_running_tasks() if "thekeys_async" in (task.name or "")]


async def _nothing_runs(sim) -> None:
    """Nobody polls any more, and nothing was left for the collector to complain about."""
    before = len(sim.requests)
    await anyio.sleep(100)
    assert len(sim.requests) == before
    gc.collect()
    assert not _tasks()


@pytest.fixture
def sim(canned):
    sim = canned()
    sim.see(1)
    return sim


@pytest.mark.parametrize("latency", [0.0, 3.0])
@pytest.mark.parametrize("follow_doors", [False, True])
async def test_break(sim, latency: float, *, follow_doors: bool) -> None:
    sim.latency = latency
    async with sim.client(share_codes={1: "code"}) as gateway:
        async with gateway.watch(follow_doors=follow_doors) as updates:
            async for _ in updates:
                break
        await _nothing_runs(sim)


async def test_leaving_at_once_and_in_mid_poll(sim) -> None:
    sim.latency = 3.0
    async with sim.client() as gateway:
        async with gateway.watch():
            pass
        async with gateway.watch():
            await anyio.sleep(1)
            assert _tasks()
        await _nothing_runs(sim)


async def _raise_in_the_loop(gateway) -> None:
    async with gateway.watch() as updates:
        async for _ in updates:
            raise OopsError


async def _raise_while_cancelled(gateway) -> None:
    with anyio.CancelScope() as outer:
        async with gateway.watch() as updates:
            await anext(updates)
            outer.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                raise OopsError


async def _raise_with_cancellation_pending(gateway) -> None:
    with anyio.CancelScope() as outer:
        async with gateway.watch():
            outer.cancel()
            raise OopsError


@pytest.mark.parametrize("consume", [_raise_in_the_loop, _raise_while_cancelled, _raise_with_cancellation_pending])
async def test_an_exception_comes_out_as_itself_also_under_cancellation_from_outside(sim, consume) -> None:
    async with sim.client() as gateway:
        with pytest.raises(OopsError) as caught:
            await consume(gateway)
        assert caught.value.__cause__ is None
        await _nothing_runs(sim)


async def test_cancellation_from_outside(sim) -> None:
    async with sim.client() as gateway:
        with anyio.move_on_after(25) as outer:
            async with gateway.watch() as updates:
                async for _ in updates:
                    pass
        assert outer.cancelled_caught
        await _nothing_runs(sim)


async def test_an_exception_in_a_task_beside_it(sim) -> None:
    async def fail() -> None:
        await anyio.sleep(12)
        raise OopsError

    async def consume() -> None:
        async with anyio.create_task_group() as tasks, gateway.watch() as updates:
            tasks.start_soon(fail)
            async for _ in updates:
                pass

    async with sim.client() as gateway:
        with pytest.raises(ExceptionGroup) as caught:
            await consume()
        assert [type(error) for error in caught.value.exceptions] == [OopsError]
        await _nothing_runs(sim)


async def test_asyncio_cancels_and_times_out(sim, anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("asyncio's own ways")

    async def consume() -> None:
        async with gateway.watch() as updates:
            async for _ in updates:
                pass

    async with sim.client() as gateway:
        task = asyncio.create_task(consume())
        await asyncio.sleep(15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(15):
                await consume()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consume(), 15)
        await _nothing_runs(sim)


async def test_a_wait_that_is_cancelled_loses_no_update(sim) -> None:
    async with sim.client() as gateway, gateway.watch(every_poll=True) as updates:
        heard = []
        for _ in range(400):
            with anyio.move_on_after(0.25):
                heard.append(await anext(updates))
        assert len(heard) == len(sim.times())
        assert not any(update.missed for update in heard)


async def test_several_may_take_from_one_iterator(sim) -> None:
    heard = []

    async def consume() -> None:
        async for update in updates:
            heard.append(update)  # noqa: PERF401 - it never ends

    async with (
        sim.client() as gateway,
        gateway.watch(every_poll=True) as updates,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(3):
            tasks.start_soon(consume)
        await anyio.sleep(55)
        tasks.cancel_scope.cancel()
    assert len(heard) == 6
    assert not any(update.missed for update in heard)


async def test_after_the_block_the_iterator_has_ended(sim) -> None:
    async with sim.client() as gateway:
        watcher = gateway.watch()
        async with watcher as updates:
            with pytest.raises(RuntimeError, match="already"):
                await watcher.__aenter__()
            await anyio.sleep(1)
        assert [update async for update in updates] == []
        async with watcher as updates:
            assert (await anext(updates)).kind is UpdateKind.APPEARED


async def test_a_closed_gateway_is_told_and_not_waited_for(sim) -> None:
    gateway = sim.client()
    async with gateway.watch() as updates:
        await anext(updates)
        await gateway.aclose()
        with pytest.raises(RuntimeError, match="closed"), anyio.fail_after(100):
            await anext(updates)


async def test_an_object_that_is_closed_spoils_nothing_for_the_others(sim) -> None:
    gateway, other = sim.client(), sim.client()
    async with other, gateway.watch(), other.watch() as theirs:
        await anext(theirs)
        await gateway.aclose()
        sim.see(1, rssi=-80)
        with anyio.fail_after(100):
            assert (await anext(theirs)).changed == {"rssi"}


async def test_what_a_transport_should_not_raise_reaches_the_consumer(sim) -> None:
    async with sim.client() as gateway, gateway.watch() as updates:
        await anext(updates)
        sim.lockers[1]["rssi"] = {1, 2}
        with pytest.raises(TypeError, match="JSON"), anyio.fail_after(100):
            await anext(updates)


async def _cancelled_already(gateway) -> None:
    with anyio.CancelScope() as outer:
        outer.cancel()
        async with gateway.watch():
            await anyio.sleep_forever()


async def _out_of_time_already(gateway) -> None:
    with anyio.move_on_after(0):
        async with gateway.watch() as updates:
            async for _ in updates:
                pass


async def _cancelled_with_the_first_update(gateway) -> None:
    with anyio.CancelScope() as outer:
        async with gateway.watch(interval=0.001, every_poll=True) as updates:
            async for _ in updates:
                outer.cancel()


@pytest.mark.parametrize(
    "consume", [_cancelled_already, _out_of_time_already, _cancelled_with_the_first_update], ids=lambda f: f.__name__
)
async def test_a_cancellation_in_the_moment_of_beginning(sim, consume) -> None:
    async with sim.client() as gateway:
        for _ in range(50):  # trio shuffles who runs first
            await consume(gateway)
        await _nothing_runs(sim)
