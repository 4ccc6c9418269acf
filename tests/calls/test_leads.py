"""A gateway that checks timestamps against its own clock, and clocks that were ahead once."""

import time
import zlib
from pathlib import Path

import anyio
import pytest

from tests.sample import CODE
from thekeys_async import AsyncGateway, CoordinationError, InvalidHmacError, Pacing, TheKeysError
from thekeys_async.coordination import Coordinator, FileCoordinator, RedisCoordinator
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio
_DAY = 86_400


@pytest.fixture(params=[pytest.param("process", marks=pytest.mark.virtual_time), "file", "Redis"])
def coordinator(request, tmp_path, redis_url) -> Coordinator | None:
    if request.param == "process":
        return None
    if request.param == "file":
        return FileCoordinator(tmp_path)
    if redis_url is None:
        pytest.skip("redis-server is not installed")
    return RedisCoordinator(redis_url, prefix=str(tmp_path))


def _simulated(**options: object) -> SimulatedGateway:
    return SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0, bolt_delay=0, **options)


def _gateway(sim: SimulatedGateway, coordinator: Coordinator | None = None, **options: object) -> AsyncGateway:
    options = {"share_codes": {1: CODE}, "pacing": Pacing(0, 0), "coordinator": coordinator} | options
    return AsyncGateway(sim.address, **options)


class _Within:
    """A coordinator, if there is one, entered."""

    def __init__(self, coordinator: Coordinator | None) -> None:
        self._coordinator = coordinator

    async def __aenter__(self) -> None:
        if self._coordinator:
            await self._coordinator.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        if self._coordinator:
            await self._coordinator.__aexit__(*error)


async def test_a_load_goes_on_at_a_gateway_that_refuses_the_future(coordinator, monkeypatch) -> None:
    # The wall clock runs 20 times as fast: 2.5 calls a second for 16 s.
    real, started = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: started + 20 * (real() - started))
    failures: list[TheKeysError] = []
    attempts: list[int] = []

    async def open_door(gateway: AsyncGateway) -> None:
        try:
            attempts.append((await gateway.locker(1).open(timeout=30)).attempts)
        except TheKeysError as error:
            failures.append(error)

    async with _simulated(max_future=5, clock=time.time) as sim, _Within(coordinator):
        async with _gateway(sim, coordinator) as gateway, anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(open_door, gateway)
                await anyio.sleep(0.02)
        assert not failures
        assert max(attempts) <= 2
        assert sim.lockers[1].opened_count == 40
        refused = [record for record in sim.requests if record.code == 33]
        assert 1 <= len(refused) <= 6


async def test_a_clock_that_was_a_day_ahead_once_keeps_no_door_shut(coordinator, monkeypatch) -> None:
    real = time.time
    async with (
        _simulated(max_future=20, clock=real) as sim,
        _Within(coordinator),
        _gateway(sim, coordinator) as gateway,
    ):
        await gateway.locker(1).open()
        monkeypatch.setattr(time, "time", lambda: real() + _DAY - 60)
        with pytest.raises(InvalidHmacError):
            await gateway.locker(1).open(timeout=5)
        monkeypatch.setattr(time, "time", real)
        healed = await gateway.locker(1).open(timeout=5)
        assert healed.attempts <= 2
        assert (await gateway.locker(1).open(timeout=15)).attempts == 1


async def _years_ahead(sim: SimulatedGateway, coordinator: Coordinator, folder: Path) -> Path:
    """Use a gateway once, and let the state say that its last timestamp is one of the year 33658."""
    async with _gateway(sim, coordinator) as gateway:
        await gateway.locker(1).open()
    return _advanced(folder)


def _advanced(folder: Path) -> Path:
    (file,) = folder.glob("*/timestamp")
    digits = b"1000000000000"
    file.write_bytes(digits + b" " + b"%08x" % zlib.crc32(digits) + b"\n")
    return file


async def test_a_state_that_is_years_ahead_is_not_sent_and_heals(tmp_path) -> None:
    async with _simulated() as sim, FileCoordinator(tmp_path) as coordinator:
        await _years_ahead(sim, coordinator, tmp_path)
        sim.state.last_timestamp = 0
        async with _gateway(sim, coordinator) as gateway:
            assert (await gateway.locker(1).open(timeout=5)).timestamp < time.time() + 60


async def test_a_state_that_is_years_ahead_and_does_not_heal_says_what_to_do(tmp_path) -> None:
    async with _simulated() as sim, FileCoordinator(tmp_path) as coordinator:
        file = await _years_ahead(sim, coordinator, tmp_path)
        sim.state.last_timestamp = 1_000_000_000_000
        async with _gateway(sim, coordinator) as gateway:
            with pytest.raises(CoordinationError, match="days ahead") as caught:
                await gateway.locker(1).open(timeout=5)
        assert str(file) in str(caught.value)
        assert not caught.value.may_have_executed
        assert all(record.timestamp < time.time() + 60 for record in sim.requests)
