"""Watching one gateway, in virtual time: when it is polled, and what the consumer hears."""

import logging
from itertools import pairwise

import anyio
import pytest

from thekeys_async import (
    GatewayUnreachableError,
    GatewayUpdate,
    LockerUpdate,
    ProtocolError,
    UpdateKind,
)

from .taking import take

pytestmark = pytest.mark.anyio


async def test_the_first_list_comes_at_once_and_then_only_what_changes(canned) -> None:
    sim = canned()
    sim.see(1)
    sim.see(2)
    async with sim.client() as gateway, gateway.watch(interval=10.0) as updates:
        first = await take(updates)
        assert [(u.gateway, u.identifier, u.kind, u.previous) for u in first] == [
            ("hall", 1, UpdateKind.APPEARED, None),
            ("hall", 2, UpdateKind.APPEARED, None),
        ]
        assert all(u.at.tzinfo and u.missed == 0 and u.status is None and u.status_error is None for u in first)
        assert not await take(updates, 60)
        sim.see(2, battery=6990)
        (update,) = await take(updates, 60)
        assert update.kind is UpdateKind.CHANGED
        assert update.changed == {"battery_mv"}
        assert (update.previous.battery_mv, update.reading.battery_mv) == (7000, 6990)


async def test_every_poll_gives_unchanged_ones_too(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(every_poll=True) as updates:
        kinds = [u.kind for u in await take(updates, 25)]
        assert kinds == [UpdateKind.APPEARED, UpdateKind.UNCHANGED, UpdateKind.UNCHANGED]


async def test_noise_is_kept_out_and_a_slow_drift_is_not(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(min_rssi_change=4, min_battery_change=50) as updates:
        heard = await take(updates, 5)
        for step in range(1, 20):
            sim.see(1, rssi=-70 + (-1) ** step, battery=7000 - 5 * step)
            heard += await take(updates, 10)
    assert [(u.kind, u.reading.battery_mv) for u in heard] == [
        (UpdateKind.APPEARED, 7000),
        (UpdateKind.CHANGED, 6950),
    ]
    assert heard[1].changed == {"battery_mv"}


async def test_a_drift_that_other_news_carries_along_is_told_too(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(min_battery_change=50) as updates:
        heard = await take(updates, 5)
        for step in range(1, 20):
            sim.see(1, rssi=-70 - step, battery=7000 - 5 * step)
            heard += await take(updates, 10)
    assert [u.reading.battery_mv for u in heard if "battery_mv" in u.changed] == [7000, 6950]


async def test_only_the_lockers_asked_for_and_one_never_seen_is_lost_once(canned) -> None:
    sim = canned()
    sim.see(1)
    sim.see(2)
    async with sim.client() as gateway, gateway.watch(lockers={1, 3}) as updates:
        heard = await take(updates, 100)
        assert [(u.identifier, u.kind) for u in heard] == [(1, UpdateKind.APPEARED), (3, UpdateKind.LOST)]
        assert heard[1].reading is None
        assert heard[1].previous is None
        sim.see(3)
        (found,) = await take(updates, 100)
        assert (found.identifier, found.kind) == (3, UpdateKind.APPEARED)


@pytest.mark.parametrize("lost_after", [1, 3, 5])
async def test_a_locker_missing_from_some_lists_in_a_row_is_lost(canned, lost_after: int) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(lost_after=lost_after) as updates:
        await take(updates, 5)
        device = sim.lockers.pop(1)
        await take(updates, 10 * (lost_after - 1))
        sim.lockers[1] = device
        assert (await take(updates, 10) == []) or lost_after == 1
        polls = len(sim.times())
        sim.lockers.clear()
        with anyio.fail_after(1000):
            lost = await anext(updates)
        assert lost.kind is UpdateKind.LOST
        assert len(sim.times()) - polls == lost_after
        assert lost.reading == lost.previous
        assert lost.reading.rssi == -70
        assert not await take(updates, 300)


async def test_polls_keep_their_rhythm_however_long_one_takes(canned) -> None:
    sim = canned()
    async with sim.client() as gateway, gateway.watch(interval=10) as updates:
        start = anyio.current_time()
        sim.latency = 4.0
        await take(updates, 38)
        sim.latency = 4.9
        await take(updates, 20)
        sim.latency = 0.0
        await take(updates, 20)
    assert [round(at - start) for at in sim.times()] == [0, 10, 20, 30, 40, 50, 60, 70]


async def test_a_poll_longer_than_the_interval_leaves_points_of_the_rhythm_out(canned) -> None:
    sim = canned()
    async with sim.client() as gateway, gateway.watch(interval=2) as updates:
        start = anyio.current_time()
        sim.latency = 3.0
        await take(updates, 13)
    assert [round(at - start) for at in sim.times()] == [0, 4, 8, 12]


async def test_100_watchers_of_several_objects_are_one_stream_of_polls(canned) -> None:
    sim = canned()
    sim.see(1)
    objects = [sim.client() for _ in range(5)]
    counts = []
    ready = anyio.Event()

    async def consume(gateway, interval: float) -> None:
        async with gateway.watch(interval, every_poll=True) as updates:
            await ready.wait()
            counts.append(len(await take(updates, 100)))

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for i in range(100):
            tasks.start_soon(consume, objects[i % 5], 10 + i % 7)
        await anyio.sleep(5)
        ready.set()
    assert [at - start for at in sim.times()] == [10.0 * i for i in range(11)]
    assert counts == [11] * 100
    await anyio.sleep(100)
    assert len(sim.times()) == 11
    for gateway in objects:
        await gateway.aclose()


async def test_the_smallest_interval_counts_while_it_is_asked_for(canned) -> None:
    sim = canned()
    async with sim.client() as gateway, gateway.watch(interval=60):
        start = anyio.current_time()
        await anyio.sleep(65)
        async with gateway.watch(interval=10):
            await anyio.sleep(30)
        await anyio.sleep(100)
    assert [round(at - start) for at in sim.times()] == [0, 60, 70, 80, 90, 150]


async def test_a_new_watcher_gets_the_known_state_without_a_poll(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, sim.client() as other, gateway.watch(interval=60) as updates:
        (first,) = await take(updates)
        async with other.watch(interval=60) as late:
            (update,) = await take(late)
        assert (update.kind, update.reading, update.at) == (UpdateKind.APPEARED, first.reading, first.at)
    assert len(sim.times()) == 1


async def test_a_watcher_that_leaves_in_mid_poll_spoils_nothing_for_the_others(canned) -> None:
    sim = canned()
    sim.see(1)
    sim.latency = 2.0
    async with sim.client() as gateway, anyio.create_task_group() as tasks:
        leaves = anyio.CancelScope()
        tasks.start_soon(_watch_within, leaves, gateway)
        await anyio.sleep(0.5)
        async with gateway.watch() as updates:
            await anyio.sleep(0.5)
            leaves.cancel()
            with anyio.fail_after(3):
                assert (await anext(updates)).kind is UpdateKind.APPEARED
            start = anyio.current_time()
            assert not await take(updates, 30)
            assert len([at for at in sim.times() if at > start]) == 3


async def _watch_within(scope: anyio.CancelScope, gateway) -> None:
    with scope:
        async with gateway.watch():
            await anyio.sleep_forever()


@pytest.mark.parametrize(("mode", "error"), [("gone", GatewayUnreachableError), ("nonsense", ProtocolError)])
async def test_a_gateway_that_is_lost_and_back(canned, mode: str, error: type, caplog) -> None:
    caplog.set_level(logging.INFO, "thekeys_async")
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(), gateway.watch() as updates:
        await take(updates)
        assert (await gateway.status()).phase == "Scanning..."
        sim.mode = mode
        (lost,) = await take(updates, 3600)
        assert isinstance(lost, GatewayUpdate)
        assert (lost.gateway, lost.reachable, type(lost.error)) == ("hall", False, error)
        assert lost.phase == "Scanning..."
        assert lost.at.tzinfo
        async with gateway.watch() as late:
            known, told = await take(late)
            assert known.kind is UpdateKind.APPEARED
            assert told == lost
        sim.mode = "ok"
        sim.see(1, rssi=-80)
        back, changed = await take(updates, 61)
        assert (back.reachable, back.error) == (True, None)
        assert (changed.kind, changed.changed) == (UpdateKind.CHANGED, {"rssi"})
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_gateway_that_was_never_there(canned) -> None:
    sim = canned(mode="gone")
    async with sim.client() as gateway, gateway.watch(lockers={1}) as updates:
        (lost,) = await take(updates, 3600)
        assert lost.reachable is False
        async with gateway.watch() as late:
            (told,) = await take(late, 1000)
            assert told.reachable is False
        sim.mode = "ok"
        sim.see(1)
        back, appeared = await take(updates, 61)
        assert back.reachable
        assert appeared.kind is UpdateKind.APPEARED


async def test_polls_back_off_to_a_minute_with_jitter_and_find_their_rhythm_again(canned) -> None:
    sim = canned(mode="gone")
    async with sim.client() as gateway, gateway.watch(interval=5) as updates:
        await take(updates, 4000)
        gaps = [round(b - a, 2) for a, b in pairwise(sim.times())]
        assert 5 <= gaps[0] <= 10
        assert all(45 <= gap <= 60.01 for gap in gaps[4:])
        assert len(set(gaps[4:])) > 10
        sim.mode = "ok"
        await take(updates, 60)
        before = len(sim.times())
        await take(updates, 50)
        assert len(sim.times()) - before == 10


async def test_an_interval_longer_than_a_minute_is_kept_while_a_gateway_is_away(canned) -> None:
    sim = canned(mode="gone")
    async with sim.client() as gateway, gateway.watch(interval=300) as updates:
        await take(updates, 3100)
    assert len(sim.times()) == 11


async def test_years_of_absence_do_not_overflow(canned) -> None:
    sim = canned(mode="gone")
    async with sim.client() as gateway, gateway.watch(interval=1) as updates:
        await take(updates, 1500 * 60)
        sim.mode = "ok"
        assert [u.reachable for u in await take(updates, 61)] == [True]


async def test_busy_is_neither_unreachable_nor_retried(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates:
        await take(updates)
        start = anyio.current_time()
        sim.mode = "busy"
        assert not await take(updates, 120)
        assert len([at for at in sim.times() if at > start]) == 12
        sim.mode = "ok"
        sim.see(1, rssi=-75)
        assert [u.kind for u in await take(updates, 11)] == [UpdateKind.CHANGED]


async def test_one_that_answers_busy_is_back(canned) -> None:
    sim = canned(mode="gone")
    async with sim.client() as gateway, gateway.watch() as updates:
        await take(updates)
        sim.mode = "busy"
        assert [u.reachable for u in await take(updates, 120)] == [True]


async def test_queueing_on_our_own_side_is_not_unreachable(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates, anyio.create_task_group() as tasks:
        await take(updates)
        sim.latency = 200.0
        tasks.start_soon(gateway.synchronize)
        await anyio.sleep(1)
        sim.latency = 0.0
        assert not await take(updates, 190)
        sim.see(1, rssi=-75)
        assert [u.kind for u in await take(updates, 30)] == [UpdateKind.CHANGED]


async def test_commands_overtake_a_poll_that_waits(canned) -> None:
    sim = canned()
    async with (
        sim.client(share_codes={1: "code"}) as gateway,
        anyio.create_task_group() as tasks,
        gateway.watch(interval=3) as updates,
    ):
        await take(updates)
        sim.latency = 5.0
        tasks.start_soon(gateway.synchronize)
        await anyio.sleep(4)
        sim.latency = 0.1
        tasks.start_soon(gateway.locker(1).open)
        await anyio.sleep(5)
    assert [path for _, path in sim.requests][:4] == ["/lockers", "/synchronize", "/open", "/lockers"]


async def test_a_mute_gateway_is_lost_after_one_attempt(canned) -> None:
    sim = canned(mode="mute")
    async with sim.client() as gateway, gateway.watch() as updates:
        (lost,) = await take(updates, 8)
        assert isinstance(lost.error, GatewayUnreachableError)
        assert len(sim.times()) == 1


async def test_arguments_are_checked(canned) -> None:
    gateway = canned().client()
    for wrong in (
        {"interval": 0},
        {"interval": -1},
        {"interval": float("inf")},
        {"interval": float("nan")},
        {"lost_after": 0},
        {"min_rssi_change": -1},
        {"min_battery_change": -1},
        {"door_interval": 0},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            gateway.watch(**wrong)
    with pytest.raises(TypeError):
        gateway.watch(lockers={"1"})
    await gateway.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        async with gateway.watch():
            pass


async def test_updates_match_by_class(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates:
        async for update in updates:
            match update:
                case LockerUpdate(identifier=1, reading=reading):
                    assert reading.rssi == -70
                    break
                case GatewayUpdate():
                    pytest.fail("nothing is wrong with the gateway")
