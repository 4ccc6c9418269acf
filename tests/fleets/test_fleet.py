"""Many gateways at once: asking them all, adding and removing, opening and closing."""

import asyncio

import anyio
import httpx
import pytest
import sniffio

from thekeys_async import (
    AsyncGateway,
    Fleet,
    GatewayClosedError,
    GatewayUnreachableError,
    Pacing,
    RequestTimeoutError,
    UpdateKind,
)
from thekeys_async.calls.driver import Driver
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.fixture
async def sims():
    async with (
        SimulatedGateway([SimulatedLocker(1, wander=0)], light=0) as hall,
        SimulatedGateway([SimulatedLocker(2, wander=0)], light=0, version=99) as annex,
    ):
        yield {"hall": hall, "annex": annex}


def _fleet(sims: dict, **options: object) -> Fleet:
    return Fleet({name: AsyncGateway(sim.address, pacing=Pacing(0, 0)) for name, sim in sims.items()}, **options)


async def test_it_is_a_mapping_whose_keys_are_the_gateways_names(sims) -> None:
    hall = AsyncGateway(sims["hall"].address, name="something else")
    async with Fleet({"hall": hall, "annex": sims["annex"].address}) as fleet:
        assert list(fleet) == ["hall", "annex"]
        assert len(fleet) == 2
        assert fleet["hall"] is hall
        assert {name: gateway.name for name, gateway in fleet.items()} == {"hall": "hall", "annex": "annex"}
        assert "nowhere" not in fleet
        assert (await fleet["annex"].status()).version == 99


async def test_all_are_asked_and_one_dead_gateway_fails_nobody_else(sims) -> None:
    async with _fleet(sims) as fleet:
        listed = await fleet.lockers()
        assert {name: [r.identifier for r in readings] for name, readings in listed.values.items()} == {
            "hall": [1],
            "annex": [2],
        }
        assert not listed.errors
        await sims["hall"].stop()
        status = await fleet.status(timeout=0.5)
        assert {name: value.version for name, value in status.values.items()} == {"annex": 99}
        assert list(status.errors) == ["hall"]
        assert isinstance(status.errors["hall"], GatewayUnreachableError)


async def test_each_runs_any_function_and_keeps_what_it_raises(sims) -> None:
    async def ask(gateway: AsyncGateway) -> str:
        if gateway.name == "hall":
            raise LookupError("not here")
        return gateway.name.upper()

    async with _fleet(sims) as fleet:
        result = await fleet.each(ask)
    assert result.values == {"annex": "ANNEX"}
    assert [type(error) for error in result.errors.values()] == [LookupError]


async def test_a_function_that_meets_a_cancellation_of_its_own_fails_alone() -> None:
    if sniffio.current_async_library() == "trio":
        pytest.skip("a cancellation leaves its scope with asyncio alone")

    async def ask(gateway: AsyncGateway) -> str:
        if gateway.name == "b":
            task = asyncio.ensure_future(asyncio.sleep(60))
            task.cancel()
            await task
        return gateway.name

    async with Fleet(dict.fromkeys("abcd", "192.0.2.1")) as fleet:
        for at_once in (1, 4):
            result = await fleet.each(ask, max_concurrency=at_once)
            assert list(result.values) == ["a", "c", "d"]
            assert list(result.errors) == ["b"]
        with anyio.move_on_after(0.05) as scope:
            await fleet.each(lambda _: anyio.sleep_forever(), max_concurrency=1)
        assert scope.cancelled_caught


@pytest.mark.parametrize("where", ["fleet", "call"])
async def test_max_concurrency(where: str) -> None:
    running, most = 0, 0

    async def ask(gateway: AsyncGateway) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1

    hosts = {f"g{i}": f"concurrency-{i}.test" for i in range(30)}
    async with Fleet(hosts, max_concurrency=4 if where == "fleet" else None) as fleet:
        result = await fleet.each(ask, max_concurrency=None if where == "fleet" else 4)
        assert list(result.values) == list(hosts)
        assert most == 4
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="at least one"):
            Fleet(max_concurrency=wrong)


async def test_a_time_budget_covers_waiting_for_a_place() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0.3)
        return httpx.Response(200, json={"status": "ok", "devices": []})

    gateways = {
        f"g{i}": AsyncGateway(f"budget-{i}.test", transport=httpx.MockTransport(answer), pacing=Pacing(0, 0))
        for i in range(3)
    }
    async with Fleet(gateways, max_concurrency=1) as fleet:
        result = await fleet.lockers(timeout=0.2)
        assert {type(error) for error in result.errors.values()} == {RequestTimeoutError}
        assert (await fleet.lockers(timeout=None)).values.keys() == gateways.keys()
        with pytest.raises(ValueError, match="budget"):
            await fleet.lockers(timeout=0)


async def test_it_closes_all_even_if_one_can_not_be_closed() -> None:
    class Stubborn(httpx.AsyncBaseTransport):
        closed = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise NotImplementedError

        async def aclose(self) -> None:
            Stubborn.closed += 1
            raise OSError("no")

    gateways = {f"g{i}": AsyncGateway(f"stubborn-{i}.test", transport=Stubborn()) for i in range(3)}
    with pytest.raises(OSError, match="no"):
        async with Fleet(gateways):
            pass
    assert Stubborn.closed == 3
    for gateway in gateways.values():
        with pytest.raises(RuntimeError, match="closed"):
            await gateway.lockers()


async def test_it_opens_all_or_none(sims) -> None:
    fleet = _fleet(sims)
    hall = fleet["hall"]
    async with AsyncGateway(sims["annex"].address, pacing=Pacing(1, 1)):
        with pytest.raises(ValueError, match="another pacing"):
            await fleet.__aenter__()
    with pytest.raises(RuntimeError, match="closed"):
        await hall.lockers()


async def test_gateways_come_and_go_while_a_watcher_runs(sims) -> None:
    async with Fleet({"hall": AsyncGateway(sims["hall"].address, pacing=Pacing(0, 0))}) as fleet:
        async with fleet.watch(0.05) as updates:
            with anyio.fail_after(20):
                assert (await anext(updates)).gateway == "hall"
                added = await fleet.add("annex", AsyncGateway(sims["annex"].address, pacing=Pacing(0, 0)))
                update = await anext(updates)
                assert (update.gateway, update.identifier, update.kind) == ("annex", 2, UpdateKind.APPEARED)
                with pytest.raises(ValueError, match="annex"):
                    await fleet.add("annex", "192.168.0.1")
                sims["hall"].lockers[1].rssi = -40
                await anyio.sleep(0.2)
                await fleet.remove("hall")
                with pytest.raises(KeyError):
                    await fleet.remove("hall")
                count = len(sims["hall"].requests)
                sims["annex"].lockers[2].rssi = -50
                assert (await anext(updates)).gateway == "annex"
        assert len(sims["hall"].requests) == count
        assert list(fleet) == ["annex"]
        await fleet.remove("annex")
        with pytest.raises(RuntimeError, match="closed"):
            await added.lockers()


async def test_a_fleet_that_is_closed_tells_its_watchers(sims) -> None:
    fleet = _fleet(sims)
    await fleet.__aenter__()
    async with fleet.watch() as updates:
        await anext(updates)
        await fleet.aclose()
        with pytest.raises(RuntimeError, match="closed"), anyio.fail_after(10):
            [update async for update in updates]


async def test_a_watcher_does_not_hear_that_a_gateway_which_left_was_closed(sims, monkeypatch) -> None:
    scan = Driver.scan

    async def scan_as_it_leaves(driver: Driver, *arguments: object, **options: object) -> object:
        if driver.name != "hall":
            return await scan(driver, *arguments, **options)
        with anyio.CancelScope(shield=True):
            await fleet.remove("hall")
        raise GatewayClosedError("lockers was not sent: the gateway object was closed meanwhile")

    monkeypatch.setattr(Driver, "scan", scan_as_it_leaves)
    async with _fleet(sims) as fleet, fleet.watch(interval=0.02, every_poll=True) as updates:
        with anyio.fail_after(5):
            names = {(await anext(updates)).gateway for _ in range(5)}
        assert names == {"annex"}
        assert list(fleet) == ["annex"]
