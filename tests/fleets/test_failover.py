"""One locker of a fleet: through the gateway that sees it best, and through the next one where that is safe."""

import logging

import anyio
import pytest

from thekeys_async import (
    AsyncGateway,
    DoorState,
    Fleet,
    GatewayBusyError,
    GatewayUnreachableError,
    InvalidHmacError,
    LockerFaultError,
    MissingShareCodeError,
    OutcomeUnknownError,
    Pacing,
    RequestTimeoutError,
)
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

_CODES = {"near": "code of near", "far": "code of far", "farthest": "code of farthest"}
_RSSI = {"near": -50, "far": -70, "farthest": -90}


@pytest.fixture
async def sims():
    """Three gateways that see the same locker; each has a share code of its own."""
    made = {
        name: SimulatedGateway(
            [SimulatedLocker(1, share_code=_CODES[name], rssi=_RSSI[name], wander=0)], light=0, bluetooth=0
        )
        for name in ("far", "near", "farthest")
    }
    async with made["far"], made["near"], made["farthest"]:
        yield made


def _gateway(sims: dict, name: str, **options: object) -> AsyncGateway:
    return AsyncGateway(sims[name].address, **({"share_codes": {1: _CODES[name]}, "pacing": Pacing(0, 0)} | options))


def _fleet(sims: dict) -> Fleet:
    return Fleet({name: _gateway(sims, name) for name in sims})


def _opened(sims: dict) -> dict[str, int]:
    return {name: sim.lockers[1].opened_count for name, sim in sims.items() if sim.lockers[1].opened_count}


def _asked(sims: dict, endpoint: str) -> dict[str, int]:
    counts = {name: sum(r.endpoint == endpoint for r in sim.requests) for name, sim in sims.items()}
    return {name: count for name, count in counts.items() if count}


async def test_the_strongest_signal_is_chosen_and_a_recent_list_is_not_asked_for_again(sims) -> None:
    async with _fleet(sims) as fleet:
        door = fleet.locker(1)
        result = await door.open()
        assert (result.attempts, result.timestamp is not None) == (1, True)
        assert (await door.status()).state is DoorState.OPEN
        assert _opened(sims) == {"near": 1}
        assert _asked(sims, "lockers") == {"far": 1, "near": 1, "farthest": 1}
        assert _asked(sims, "locker_status") == {"near": 1}


async def test_a_watcher_keeps_the_lists_recent(sims) -> None:
    async with _fleet(sims) as fleet, fleet.watch(0.05) as updates:
        for _ in sims:
            await anext(updates)
        sims["farthest"].lockers[1].rssi = -40
        with anyio.fail_after(10):
            await anext(updates)
        await fleet.locker(1).open()
        assert _opened(sims) == {"farthest": 1}


async def test_only_gateways_with_a_share_code_are_asked(sims) -> None:
    gateways = {name: _gateway(sims, name, share_codes=None) for name in ("near", "far")}
    async with Fleet({**gateways, "farthest": _gateway(sims, "farthest")}) as fleet:
        await fleet.locker(1).open()
        assert _opened(sims) == {"farthest": 1}
        assert _asked(sims, "lockers") == {}
        with pytest.raises(MissingShareCodeError):
            await fleet.locker(2).open()
        await fleet.locker(1).synchronize()
        assert _asked(sims, "synchronize_locker") == {"near": 1}


@pytest.mark.parametrize("how", ["refused connections", "does not see it", "wrong code", "busy"])
async def test_a_failure_with_nothing_done_goes_on_to_the_next(sims, how: str, caplog) -> None:
    caplog.set_level(logging.INFO, "thekeys_async")
    gateways = {name: _gateway(sims, name) for name in sims}
    if how == "wrong code":
        gateways["near"] = _gateway(sims, "near", share_codes={1: "an old code"})
    async with Fleet(gateways) as fleet:
        await fleet.lockers()
        if how == "refused connections":
            await sims["near"].stop()
        elif how == "does not see it":
            sims["near"].vanish(1)
        elif how == "busy":
            sims["near"].start_synchronizing()
        with anyio.fail_after(15):
            await fleet.locker(1).open()
        assert _opened(sims) == {"far": 1}
        assert "near did nothing" in caplog.text
        assert "code of" not in caplog.text
        assert "old code" not in caplog.text


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.NOT_JSON, 37])
async def test_an_unknown_outcome_goes_nowhere_else(sims, fault) -> None:
    async with _fleet(sims) as fleet:
        await fleet.lockers()
        if isinstance(fault, Fault):
            sims["near"].fail(fault, on="open")
        else:
            sims["near"].error(fault, on="open")
        with pytest.raises((OutcomeUnknownError, LockerFaultError)) as caught:
            await fleet.locker(1).open()
        assert caught.value.may_have_executed
        assert set(_asked(sims, "open")) == {"near"}


async def test_a_read_goes_on_whatever_happens(sims) -> None:
    async with _fleet(sims) as fleet:
        await fleet.lockers()
        sims["near"].fail(Fault.NOT_JSON, on="locker_status")
        assert (await fleet.locker(1).status()).state is DoorState.CLOSED
        assert _asked(sims, "locker_status") == {"near": 1, "far": 1}


async def test_if_all_are_away_the_best_that_may_come_back_is_waited_for(sims) -> None:
    async with _fleet(sims) as fleet, anyio.create_task_group() as tasks:
        await fleet.lockers()
        await sims["near"].stop()
        sims["far"].start_synchronizing()
        sims["farthest"].vanish(1)

        async def come_back() -> None:
            await sims["farthest"].wait_for_requests(1, on="open")
            await sims["near"].start()

        tasks.start_soon(come_back)
        with anyio.fail_after(20):
            await fleet.locker(1).open(timeout=19)
        assert _opened(sims) == {"near": 1}


async def test_if_nobody_can_the_error_says_why_for_each(sims) -> None:
    async with Fleet({name: _gateway(sims, name, share_codes={1: "an old code"}) for name in sims}) as fleet:
        with pytest.raises(InvalidHmacError) as caught:
            await fleet.locker(1).open()
        assert not caught.value.may_have_executed
        assert [note.split(":")[0] for note in caught.value.__notes__] == ["far", "farthest"]


async def test_the_time_budget_covers_all_gateways(sims) -> None:
    for sim in sims.values():
        sim.start_synchronizing()
    async with _fleet(sims) as fleet:
        start = anyio.current_time()
        with pytest.raises(GatewayBusyError):
            await fleet.locker(1).open(timeout=2)
        assert anyio.current_time() - start < 4
        for sim in sims.values():
            await sim.stop()
        with pytest.raises(GatewayUnreachableError):
            await fleet.locker(1).open(timeout=1)
        with pytest.raises(ValueError, match="budget"):
            await fleet.locker(1).open(timeout=0)
    async with Fleet() as empty:
        with pytest.raises(RequestTimeoutError):
            await empty.locker(1).synchronize()
        with pytest.raises(MissingShareCodeError):
            await empty.locker(1).open()


async def test_one_alone_is_asked_as_if_there_were_no_fleet(sims) -> None:
    async with Fleet({"far": _gateway(sims, "far")}) as fleet:
        with sims["far"].synchronizing():
            with pytest.raises(GatewayBusyError):
                await fleet.locker(1).open(timeout=1)
            assert _asked(sims, "open")["far"] >= 2
        assert _asked(sims, "lockers") == {}
        await fleet.locker(1).open()


async def test_wait_for_works_through_a_fleet(sims) -> None:
    async with _fleet(sims) as fleet:
        await fleet.locker(1).open()
        assert (await fleet.locker(1).wait_for(DoorState.OPEN, timeout=10)).locked is False


async def test_a_gateway_that_was_closed_is_passed_over_and_told_when_none_is_left(sims) -> None:
    async with _fleet(sims) as fleet:
        names = list(fleet)
        for name in names[:-1]:
            await fleet[name].aclose()
            await fleet.locker(1).open()
        await fleet[names[-1]].aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await fleet.locker(1).open()
    assert sum(_asked(sims, "open").values()) == len(names) - 1
