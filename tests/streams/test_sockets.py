"""Streams over real sockets, against the simulated gateway, in real time."""

import anyio
import pytest

from tests.sample import CODE
from thekeys_async import AsyncGateway, DoorState, GatewayUpdate, InvalidHmacError, LockerUpdate, Pacing, UpdateKind
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Here, time is real."""
    return request.param


def _simulated() -> SimulatedGateway:
    return SimulatedGateway([SimulatedLocker(1, share_code=CODE, wander=0)], light=0, bluetooth=0)


async def test_a_door_turned_by_hand_is_heard_of() -> None:
    async with (
        _simulated() as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as gateway,
        gateway.watch(0.05, follow_doors=True) as updates,
    ):
        states = []
        with anyio.fail_after(20):
            async for update in updates:
                if "status" in update.changed and update.status.state not in states:
                    states.append(update.status.state)
                    sim.turn_bolt(1, "open")
                if len(states) == 2:
                    break
        assert states == [DoorState.CLOSED, DoorState.OPEN]
        assert sim.overlaps == 0


async def test_each_watcher_reads_doors_with_its_own_share_code() -> None:
    async with (
        _simulated() as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as ours,
        AsyncGateway(sim.address, share_codes={1: "a wrong one"}, pacing=Pacing(0, 0)) as theirs,
        ours.watch(0.05, follow_doors=True) as our_updates,
        theirs.watch(0.05, follow_doors=True) as their_updates,
    ):
        with anyio.fail_after(30):
            ours_heard = await _until_changed(our_updates, "status")
            theirs_heard = await _until_changed(their_updates, "status_error")
        assert (ours_heard[-1].status.state, ours_heard[-1].status_error) == (DoorState.CLOSED, None)
        assert isinstance(theirs_heard[-1].status_error, InvalidHmacError)
        assert not any(update.status_error for update in ours_heard)
        assert not any(update.status for update in theirs_heard)
        assert CODE not in repr([ours_heard, theirs_heard])


async def _until_changed(updates, name: str) -> list[LockerUpdate]:
    heard = [await anext(updates)]
    while name not in heard[-1].changed:
        heard.append(await anext(updates))
    return heard


async def test_a_gateway_that_vanishes_and_comes_back() -> None:
    async with (
        _simulated() as sim,
        AsyncGateway(sim.address, name="hall", pacing=Pacing(0, 0)) as gateway,
        gateway.watch(0.05) as updates,
    ):
        with anyio.fail_after(20):
            assert (await anext(updates)).kind is UpdateKind.APPEARED
            await sim.stop()
            lost = await anext(updates)
            sim.lockers[1].rssi = -50
            await sim.start()
            back = await anext(updates)
            changed = await anext(updates)
        assert isinstance(lost, GatewayUpdate)
        assert (lost.reachable, back.reachable) == (False, True)
        assert (changed.reading.rssi, changed.changed) == (-50, {"rssi"})


async def test_30_watchers_and_a_person_with_the_default_pacing_are_never_two_at_once() -> None:
    async def watch() -> None:
        async with (
            AsyncGateway(sim.address, share_codes={1: CODE}) as mine,
            mine.watch(0.2, follow_doors=True) as updates,
        ):
            async for _ in updates:
                pass

    async with _simulated() as sim, AsyncGateway(sim.address, share_codes={1: CODE}) as gateway:
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(watch)
            for _ in range(3):
                await gateway.locker(1).open()
            tasks.cancel_scope.cancel()
        assert sim.overlaps == 0
        assert sim.lockers[1].opened_count == 3


async def test_one_reply_that_is_lost_is_no_lost_gateway() -> None:
    async with (
        _simulated() as sim,
        AsyncGateway(sim.address, pacing=Pacing(0, 0)) as gateway,
        gateway.watch(0.05, every_poll=True) as updates,
    ):
        with anyio.fail_after(20):
            assert (await anext(updates)).kind is UpdateKind.APPEARED
            sim.fail(Fault.RESET_AFTER)
            heard = [await anext(updates) for _ in range(3)]
        assert all(isinstance(update, LockerUpdate) for update in heard)
        assert any(record.fault is Fault.RESET_AFTER for record in sim.requests)
