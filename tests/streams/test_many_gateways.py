"""Watching a fleet, in virtual time."""

import gc
from itertools import pairwise

import anyio
import pytest

from thekeys_async import Fleet, GatewayUpdate
from thekeys_async.streams.subscription import Subscription

from .taking import take

pytestmark = pytest.mark.anyio


async def test_polls_are_spread_over_the_interval_and_stay_there(canned) -> None:
    sims = [canned() for _ in range(100)]
    start = anyio.current_time()
    async with Fleet({f"g{i}": sim.client() for i, sim in enumerate(sims)}) as fleet, fleet.watch(interval=10):
        await anyio.sleep(45)
    first = sorted(sim.times()[0] - start for sim in sims)
    gaps = [b - a for a, b in pairwise(first)]
    assert first[0] == 0
    assert 9.5 < first[-1] < 10
    assert max(gaps) < 0.25  # evenly, it would be 0.1
    for sim in sims:
        assert all(b - a == pytest.approx(10, abs=0.01) for a, b in pairwise(sim.times()))


async def test_all_streams_are_one_and_a_dead_gateway_is_one_update(canned) -> None:
    sims = {"hall": canned(), "annex": canned(mode="gone"), "barn": canned()}
    for identifier, sim in enumerate(sims.values()):
        sim.see(identifier)
    async with Fleet({name: sim.client(name=None) for name, sim in sims.items()}) as fleet, fleet.watch() as updates:
        heard = await take(updates, 600)
        assert {u.gateway for u in heard if isinstance(u, GatewayUpdate)} == {"annex"}
        assert {(u.gateway, u.identifier) for u in heard if not isinstance(u, GatewayUpdate)} == {
            ("hall", 0),
            ("barn", 2),
        }
        assert len(heard) == 3
        sims["annex"].mode = "ok"
        assert [u.gateway for u in await take(updates, 61)] == ["annex", "annex"]
    count = sum(len(sim.requests) for sim in sims.values())
    await anyio.sleep(100)
    assert sum(len(sim.requests) for sim in sims.values()) == count


async def test_the_same_locker_at_two_gateways_is_two_stories(canned) -> None:
    sims = {"hall": canned(), "annex": canned()}
    for sim in sims.values():
        sim.see(1)
    async with Fleet({name: sim.client() for name, sim in sims.items()}) as fleet, fleet.watch() as updates:
        await anyio.sleep(100)
        assert [(u.gateway, u.identifier, u.missed) for u in await take(updates, 1)] == [
            ("hall", 1, 0),
            ("annex", 1, 0),
        ]


async def test_a_slow_consumer_of_a_fleet_costs_one_place_for_each_locker(canned) -> None:
    sims = [canned() for _ in range(20)]
    for sim in sims:
        sim.see(1)
        sim.see(2)
    gateways = {f"g{i}": sim.client() for i, sim in enumerate(sims)}
    async with Fleet(gateways) as fleet, fleet.watch(every_poll=True) as updates:
        await anyio.sleep(3605)  # not when a poll is due
        assert len(updates._buffer._waiting) == 40
        assert {u.missed for u in await take(updates, 0.01)} <= {359, 360}


async def test_a_fleet_and_a_watcher_of_its_own_share_the_polls_of_a_gateway(canned) -> None:
    sims = [canned() for _ in range(3)]
    async with Fleet({f"g{i}": sim.client() for i, sim in enumerate(sims)}) as fleet, fleet.watch(interval=20):
        last = list(fleet.values())[-1]
        start = anyio.current_time()
        async with last.watch(interval=20):
            await anyio.sleep(59)
        assert sims[-1].times()[0] == pytest.approx(start)
        assert len(sims[-1].times()) == 3


async def test_one_that_is_removed_says_nothing_more(canned) -> None:
    sims = {"hall": canned(), "annex": canned()}
    for sim in sims.values():
        sim.see(1)
    async with Fleet({name: sim.client() for name, sim in sims.items()}) as fleet, fleet.watch() as updates:
        await anyio.sleep(20)
        await fleet.remove("hall")
        assert [u.gateway for u in await take(updates, 100)] == ["annex"]
        count = len(sims["hall"].requests)
        again = canned()
        again.see(1)
        await fleet.add("hall", again.client())
        assert [u.gateway for u in await take(updates, 100)] == ["hall"]
        assert len(sims["hall"].requests) == count


async def test_there_are_as_many_tasks_as_polls_under_way_and_a_slow_one_keeps_nobody_waiting(canned) -> None:
    sims = [canned() for _ in range(50)]
    before = len(anyio.get_running_tasks())

    def tasks() -> int:
        return len(anyio.get_running_tasks()) - before

    async with Fleet({f"g{i}": sim.client() for i, sim in enumerate(sims)}) as fleet, fleet.watch(interval=10):
        await anyio.sleep(95)
        assert tasks() <= 10
        for sim in sims[:30]:
            sim.mode = "mute"
        await anyio.sleep(10.1)
        assert 10 < tasks() <= 40
        for sim in sims:
            sim.mode = "ok"
        await anyio.sleep(200)
        assert tasks() <= 10
        for sim in sims[30:]:
            assert all(b - a == pytest.approx(10, abs=0.01) for a, b in pairwise(sim.times()))
    assert tasks() == 0


async def test_gateways_that_were_removed_are_not_kept_until_they_would_have_been_polled(canned) -> None:
    async with Fleet({"hall": canned().client()}) as fleet, fleet.watch(interval=3600):
        await anyio.sleep(1)
        for _ in range(100):
            await fleet.add("annex", canned().client())
            await fleet.remove("annex")
        gc.collect()
        assert sum(isinstance(thing, Subscription) for thing in gc.get_objects()) < 10
