"""The library as an asyncio application uses it: gather, timeouts, task groups, and a loop that is shut down."""

import asyncio
import gc
import math

import pytest

from tests.sample import CODE
from thekeys_async import AsyncGateway, OutcomeUnknownError, Pacing, RequestTimeoutError, Timestamps
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker

_CODES = {1: CODE}


def _simulated(**options: float) -> SimulatedGateway:
    return SimulatedGateway([SimulatedLocker(1, share_code=_CODES[1])], **({"light": 0, "bluetooth": 0} | options))


def _client(sim: SimulatedGateway) -> AsyncGateway:
    return AsyncGateway(sim.address, share_codes=_CODES, pacing=Pacing(0, 0), timestamps=Timestamps(max_lead=math.inf))


@pytest.mark.asyncio
async def test_gather() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        door = gateway.locker(1)
        results = await asyncio.gather(*(call() for call in [door.open, door.status, gateway.lockers] * 10))
        assert len(results) == 30
        assert sim.overlaps == 0


@pytest.mark.asyncio
async def test_gather_keeps_each_callers_own_failure() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        sim.fail(Fault.HTML_500, on="open")
        results = await asyncio.gather(gateway.locker(1).open(), gateway.lockers(), return_exceptions=True)
        assert isinstance(results[0], OutcomeUnknownError)
        assert len(results[1]) == 1


@pytest.mark.asyncio
async def test_the_applications_own_timeout_cancels_a_call_and_the_next_one_works() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        sim.fail(Fault.HANG, on="lockers")
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await gateway.lockers()
        assert not isinstance(caught.value, RequestTimeoutError)
        sim.clear_faults()
        sim.fail(Fault.HANG, on="lockers")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gateway.lockers(), 0.05)
        await gateway.locker(1).open()


@pytest.mark.asyncio
async def test_a_task_group_that_fails_cancels_the_calls_in_it() -> None:
    async with _simulated(bluetooth=5) as sim, _client(sim) as gateway:
        calls: list[asyncio.Task] = []

        async def application() -> None:
            async with asyncio.TaskGroup() as group:
                calls.extend(group.create_task(gateway.locker(1).status()) for _ in range(5))
                await sim.wait_for_requests(1)
                raise KeyError("the application's own")

        with pytest.raises(ExceptionGroup) as caught:
            await application()
        assert caught.group_contains(KeyError)
        assert all(call.cancelled() for call in calls)
        assert len(sim.requests) == 1


@pytest.mark.asyncio
async def test_cancelling_a_task_surfaces_as_cancelled() -> None:
    async with _simulated(bluetooth=5) as sim, _client(sim) as gateway:
        task = asyncio.create_task(gateway.locker(1).open())
        await sim.wait_for_requests(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_loop_that_ends_in_the_middle_of_a_call_leaves_no_warning() -> None:
    async def application() -> None:
        async with _simulated(bluetooth=5) as sim:
            gateway = _client(sim)
            application.call = asyncio.create_task(gateway.locker(1).open())
            await sim.wait_for_requests(1)
            await gateway.aclose()

    asyncio.run(application())
    assert application.call.cancelled() or isinstance(application.call.exception(), OutcomeUnknownError)
    gc.collect()
