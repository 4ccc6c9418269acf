"""A check rests like every command, and takes its turns among other programs without disturbing them."""

import sys
import threading
from itertools import pairwise

import anyio
import pytest

from tests.check.conftest import check
from tests.sample import CODE, LOCKER
from thekeys_async import AsyncGateway, Pacing, Timestamps
from thekeys_async.coordination import FileCoordinator
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker


@pytest.mark.anyio
async def test_it_rests_after_each_reply():
    pacing = Pacing(0.02, 0.05)
    async with SimulatedGateway([SimulatedLocker(LOCKER, share_code=CODE)], light=0, bluetooth=0) as gateway:
        await check(gateway.address, pacing=pacing)
        records = gateway.requests
    assert len(records) > 14
    for before, after in pairwise(records):
        rest = pacing.bluetooth if before.endpoint == "locker_status" else pacing.light
        assert after.arrived - before.ended >= rest - 0.002


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_next_command_waits_a_second_at_most():
    async with SimulatedGateway([SimulatedLocker(LOCKER, share_code=CODE)], light=0, bluetooth=0) as gateway:
        await check(gateway.address)
        began = anyio.current_time()
        async with AsyncGateway(gateway.address, share_codes={LOCKER: CODE}, pacing=Pacing(0, 0)) as other:
            await other.locker(LOCKER).open()
        assert anyio.current_time() - began < 1.5
        assert gateway.lockers[LOCKER].opened_count == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of FileCoordinator")
def test_another_program_goes_on_meanwhile_and_is_not_accused(simulated_gateway, tmp_path):
    simulated_gateway.settings.light = simulated_gateway.settings.bluetooth = 0.01
    opened, over = [], threading.Event()

    async def drive():
        async with (
            FileCoordinator(tmp_path) as coordinator,
            AsyncGateway(
                simulated_gateway.address,
                share_codes={LOCKER: CODE},
                pacing=Pacing(0, 0),
                timestamps=Timestamps(max_lead=100),
                coordinator=coordinator,
            ) as other,
        ):
            while not over.is_set():
                await other.lockers()
                opened.append(await other.locker(LOCKER).open())

    async def look():
        async with FileCoordinator(tmp_path) as coordinator:
            return await check(simulated_gateway.address, coordinator=coordinator, max_lead=2.0, patience=10.0)

    thread = threading.Thread(target=anyio.run, args=(drive,))
    thread.start()
    try:
        seen, judged = anyio.run(look)
    finally:
        over.set()
        thread.join()
    assert simulated_gateway.overlaps == 0
    assert len(opened) > 1
    assert len({record.timestamp for record in simulated_gateway.requests if record.timestamp}) >= len(opened)
    others = next(each for each in judged.findings if each.check == "others")
    assert others.found.startswith("no busy answer")
    assert not any(each.busy for each in seen.exchanges)
