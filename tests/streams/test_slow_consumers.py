"""A consumer that is slow, in virtual time: constant memory, the newest states, and whatever still holds."""

import gc
import logging
import random
from collections import deque
from datetime import UTC, datetime

import anyio
import anyio.lowlevel
import pytest

from thekeys_async import GatewayUpdate, UpdateKind
from thekeys_async.gateway import driver_of
from thekeys_async.streams.buffer import UpdateBuffer
from thekeys_async.streams.locker_changes import MOST_LOCKERS

pytestmark = pytest.mark.anyio


async def _drain(updates) -> list:
    drained = []
    with anyio.move_on_after(0.5):
        while True:
            drained.append(await anext(updates))
    return drained


async def test_a_consumer_that_stalls_for_an_hour(canned) -> None:
    sim = canned()
    for identifier in range(20):
        sim.see(identifier)
    async with sim.client() as gateway, gateway.watch(every_poll=True) as updates:
        first = [await anext(updates) for _ in range(20)]
        await anyio.sleep(5)
        for minute in range(60):
            for identifier in range(20):
                sim.see(identifier, rssi=-70 - minute % 7, last_log=100 + minute)
            await anyio.sleep(60)
            assert len(updates._buffer._waiting) == 20
        newest = await _drain(updates)
    assert len(newest) == 20
    for before, update in zip(first, newest, strict=True):
        assert update.missed == 359
        assert update.kind is UpdateKind.CHANGED
        assert update.changed == {"rssi", "last_log"}
        assert update.previous == before.reading
        assert (update.reading.rssi, update.reading.last_log) == (-70 - 59 % 7, 159)


async def test_what_changed_and_changed_back_says_so(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates:
        await anext(updates)
        await anyio.sleep(5)
        for rssi in (-80, -70):
            sim.see(1, rssi=rssi)
            await anyio.sleep(10)
        (update,) = await _drain(updates)
        assert (update.kind, update.changed, update.missed) == (UpdateKind.UNCHANGED, frozenset(), 1)
        assert update.reading == update.previous


async def test_what_is_lost_and_still_is_is_never_folded_away(canned) -> None:
    sim = canned()
    sim.see(1)
    sim.see(2)
    async with sim.client() as gateway, gateway.watch() as updates:
        assert (await anext(updates)).identifier == 1
        await anyio.sleep(35)
        del sim.lockers[1]
        sim.see(2, rssi=-80)
        await anyio.sleep(60)
        sim.mode = "gone"
        await anyio.sleep(3600)
        changed, lost, away = await _drain(updates)
        assert (lost.identifier, lost.kind, lost.missed) == (1, UpdateKind.LOST, 0)
        assert (changed.identifier, changed.kind, changed.missed) == (2, UpdateKind.APPEARED, 1)
        assert isinstance(away, GatewayUpdate)
        assert not away.reachable


async def test_a_locker_that_came_and_went_unseen_is_no_news(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates, gateway.watch(lockers=[2]) as asked:
        await anext(updates)
        sim.see(2)
        await anyio.sleep(15)
        del sim.lockers[2]
        await anyio.sleep(60)
        assert not await _drain(updates)
        (lost,) = await _drain(asked)  # who asks for a locker hears that it is not there
        assert (lost.identifier, lost.kind) == (2, UpdateKind.LOST)


async def test_a_gateway_that_lists_ever_new_lockers_costs_constant_memory(canned) -> None:
    sim = canned()
    sim.see(1)
    codes = dict.fromkeys(range(20000), "a share code")
    async with (
        sim.client(share_codes=codes, timeout=5) as gateway,
        gateway.watch(interval=1.0, follow_doors=True) as updates,
    ):
        await anext(updates)
        for second in range(20):
            sim.lockers = {1: sim.lockers[1]}
            for number in range(600):
                sim.see(1000 + second * 600 + number)
            await anyio.sleep(1)
        (poller,) = driver_of(gateway).shared().pollers.values()
        (following,) = poller._subscribers
        tracker, doors = following._tracker, poller.doors
        assert len(updates._buffer) <= 2 * MOST_LOCKERS
        assert len(tracker._tracked) <= MOST_LOCKERS
        assert len(tracker._doors) <= MOST_LOCKERS
        assert len(doors._followed) <= 3 * MOST_LOCKERS
        sim.lockers = {1: sim.lockers[1]}
        sim.see(1, rssi=-85)
        await anyio.sleep(10)
        assert any(update.identifier == 1 and update.reading.rssi == -85 for update in await _drain(updates))


async def test_what_was_lost_and_is_back_is_one_update(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates:
        first = await anext(updates)
        await anyio.sleep(5)
        device = sim.lockers.pop(1)
        await anyio.sleep(60)
        sim.mode = "gone"
        await anyio.sleep(600)
        sim.mode = "ok"
        sim.lockers[1] = device
        await anyio.sleep(120)
        again, back = await _drain(updates)
        assert back.reachable
        assert (again.kind, again.missed, again.previous) == (UpdateKind.UNCHANGED, 1, first.reading)


class _Model:
    """What a consumer believes, from its updates alone."""

    def __init__(self) -> None:
        self.lockers: dict = {}
        self.reachable = True

    def take(self, update) -> None:
        if isinstance(update, GatewayUpdate):
            assert update.reachable or update.error
            self.reachable = update.reachable
        elif update.kind is UpdateKind.LOST:
            self.lockers.pop(update.identifier, None)
        else:
            reading = update.reading
            assert update.previous == self.lockers.get(update.identifier)
            self.lockers[update.identifier] = reading


def _world(sim) -> dict:
    return {i: (d["rssi"], d["battery"], d["last_log"]) for i, d in sim.lockers.items()}


def _belief(model: _Model) -> dict:
    return {i: (r.rssi, r.battery_mv, r.last_log) for i, r in model.lockers.items()}


async def _consume(updates, model: _Model, pause: float) -> None:
    async for update in updates:
        model.take(update)
        if pause:
            await anyio.sleep(pause)


async def _an_hour(sim, chance: random.Random) -> None:
    """Lockers come, go and turn; the gateway vanishes, hangs, answers nonsense; then there are five quiet minutes."""
    for _ in range(11):
        sim.mode = chance.choice(["ok", "ok", "ok", "gone", "busy", "nonsense", "mute"])
        for identifier in chance.sample(range(6), 2):
            if chance.random() < 0.3:
                sim.lockers.pop(identifier, None)
            else:
                sim.see(identifier, rssi=chance.randint(-90, -50), last_log=chance.randint(100, 200))
        await anyio.sleep(300)
    sim.mode = "ok"
    await anyio.sleep(300)


async def test_a_night_of_trouble(canned, caplog) -> None:
    caplog.set_level(logging.CRITICAL, "thekeys_async")
    await _watch_for(8, canned(requests=deque(maxlen=50)), random.Random(7), [])


@pytest.mark.slow
async def test_a_week_of_trouble(canned, caplog) -> None:
    caplog.set_level(logging.CRITICAL, "thekeys_async")
    sims = [canned(requests=deque(maxlen=50)) for _ in range(2)]
    counts: list[int] = []
    async with anyio.create_task_group() as tasks:
        for number, sim in enumerate(sims):
            tasks.start_soon(_watch_for, 7 * 24, sim, random.Random(number), counts)
    assert max(counts[4:]) - min(counts[4:]) < 300
    assert not [task for task in anyio.get_running_tasks() if "thekeys_async" in (task.name or "")]


async def _watch_for(hours: int, sim, chance: random.Random, counts: list[int]) -> None:
    fast, slow = _Model(), _Model()
    async with (
        sim.client(share_codes=dict.fromkeys(range(3), "code")) as gateway,
        anyio.create_task_group() as tasks,
        gateway.watch(60.0, follow_doors=True) as updates,
        gateway.watch(60.0) as slow_updates,
    ):
        tasks.start_soon(_consume, updates, fast, 0)
        tasks.start_soon(_consume, slow_updates, slow, 30)
        for hour in range(hours):
            await _an_hour(sim, chance)
            assert fast.reachable
            assert slow.reachable
            assert _belief(fast) == _world(sim) == _belief(slow)
            if hour % 24 == 23:
                gc.collect()
                counts.append(len(gc.get_objects()))
        tasks.cancel_scope.cancel()


async def test_taking_thousands_neither_takes_a_round_of_the_event_loop_each_nor_keeps_others_from_running() -> None:
    box, rounds = UpdateBuffer(), 0

    async def count() -> None:
        nonlocal rounds
        while True:
            await anyio.lowlevel.checkpoint()
            rounds += 1

    for number in range(640):
        box.put(GatewayUpdate(gateway=f"g{number}", reachable=True, error=None, phase=None, at=datetime.now(UTC)))
    async with anyio.create_task_group() as group:
        group.start_soon(count)
        for _ in range(640):
            await box.take()
        group.cancel_scope.cancel()
    assert 5 < rounds < 100
