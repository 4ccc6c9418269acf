"""A gateway with a coordinator: the same promises, with other processes around."""

import json
import logging
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.waiting import until
from thekeys_async import (
    AsyncGateway,
    CoordinationError,
    Fleet,
    GatewayBusyError,
    Pacing,
    RequestTimeoutError,
    Timestamps,
)
from thekeys_async.coordination import Claim, Coordinator, FileCoordinator, Pause, RedisCoordinator, Wish
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker
from thekeys_async.turns import shared

pytestmark = pytest.mark.anyio

CROWD = Path(__file__).with_name("crowd.py")
Make = Callable[[], Coordinator]


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedGateway]:
    async with SimulatedGateway([SimulatedLocker(1, share_code="code")], light=0, bluetooth=0.01) as gateway:
        yield gateway


@asynccontextmanager
async def _entered(
    coordinator: Coordinator, simulated: SimulatedGateway, **settings: Any
) -> AsyncIterator[AsyncGateway]:
    async with (
        coordinator,
        AsyncGateway(
            simulated.address, share_codes={1: "code"}, coordinator=coordinator, **{"pacing": Pacing(0, 0)} | settings
        ) as gateway,
    ):
        yield gateway


def _claim(*, seconds: float = 20.0, command: bool = True) -> Claim:
    return Claim(command, 0.0, anyio.current_time() + seconds)


def _forget(simulated: SimulatedGateway) -> None:
    """Forget what this process knows, as a new one would."""
    shared._ledgers.pop(simulated.address, None)


def _find(path: Path, name: str) -> Path:
    return next(path.rglob(name))


def _tickets(path: Path) -> list[str]:
    return sorted(ticket.name.partition("-")[0] for ticket in _find(path, "waiting").iterdir())


def _endpoints(simulated: SimulatedGateway) -> list[str]:
    return [record.endpoint for record in simulated.requests]


def _crowd(*arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(CROWD), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["file", "redis"])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., dict]:
    where = str(tmp_path) if request.param == "file" else request.getfixturevalue("start_redis")().url
    return lambda *arguments: _crowd(request.param, where, *arguments)


def test_sixteen_processes_share_a_gateway(crowd: Callable[..., dict]) -> None:
    seen = crowd("--processes", "16", "--tasks", "4", "--seconds", "3")
    assert seen["errors"] == {}
    assert seen["busy"] == seen["refused"] == 0
    assert seen["unexplained"] == []
    assert seen["increasing"]
    assert seen["calls"] == seen["requests"] >= 64


def test_processes_that_are_killed_harm_only_themselves(crowd: Callable[..., dict]) -> None:
    seen = crowd("--processes", "6", "--seconds", "4", "--kill-every", "0.5", "--lease", "0.6", "--backend", "trio")
    assert seen["errors"] == {}
    assert len(seen["killed"]) >= 5
    assert seen["unexplained"] == []
    assert seen["refused"] == 0
    assert seen["increasing"]
    assert seen["calls"] >= 10
    assert seen["widest_gap"] < 8.0


async def test_a_command_does_not_wait_for_a_read_of_its_own_process(make: Make, simulated: SimulatedGateway) -> None:
    order = []

    async def call(name: str, function: Callable[[], Any]) -> None:
        await function()
        order.append(name)

    async with make() as others, _entered(make(), simulated) as gateway, anyio.create_task_group() as group:
        elsewhere = await others.acquire(simulated.address, _claim())
        group.start_soon(call, "read", gateway.lockers)
        await anyio.sleep(0.2)
        group.start_soon(call, "open", gateway.locker(1).open)
        await anyio.sleep(0.2)
        with anyio.move_on_after(0.05) as scope:
            # The command counts among all processes: a read elsewhere is behind it.
            await others.acquire(simulated.address, _claim(command=False))
        assert scope.cancelled_caught
        elsewhere.release(Pause())
    assert order == ["open", "read"]


async def test_a_process_waits_with_its_first_command_and_its_first_read(
    tmp_path: Path, simulated: SimulatedGateway
) -> None:
    async with (
        FileCoordinator(tmp_path) as others,
        _entered(FileCoordinator(tmp_path), simulated) as gateway,
        anyio.create_task_group() as group,
    ):
        elsewhere = await others.acquire(simulated.address, _claim())
        for call in (gateway.lockers, gateway.lockers, gateway.locker(1).open, gateway.locker(1).close):
            group.start_soon(call)
            await anyio.wait_all_tasks_blocked()
        await until(lambda: _tickets(tmp_path) == ["0", "1"])
        await anyio.sleep(0.2)
        assert _tickets(tmp_path) == ["0", "1"]
        elsewhere.release(Pause())
    assert _tickets(tmp_path) == []
    assert _endpoints(simulated) == ["open", "close", "lockers"]


async def test_a_read_that_got_another_s_answer_leaves_the_queue(tmp_path: Path, simulated: SimulatedGateway) -> None:
    simulated.settings.light = 1.0
    with anyio.fail_after(50):  # less than the pacing: nobody waits for a turn of its own
        async with (
            FileCoordinator(tmp_path) as others,
            _entered(FileCoordinator(tmp_path), simulated, pacing=Pacing(60, 60)) as gateway,
            anyio.create_task_group() as group,
        ):
            elsewhere = await others.acquire(simulated.address, _claim())
            group.start_soon(gateway.lockers)
            group.start_soon(gateway.lockers)
            await anyio.sleep(0.1)
            elsewhere.release(Pause())
            await simulated.wait_for_requests(1)
            await until(lambda: _tickets(tmp_path) == ["1"])
    assert _tickets(tmp_path) == []
    assert _endpoints(simulated) == ["lockers"]


async def test_a_turn_lost_in_the_middle_lets_no_second_request_of_this_process_out(
    tmp_path: Path, simulated: SimulatedGateway
) -> None:
    simulated.settings.bluetooth = 0.4
    async with (
        _entered(FileCoordinator(tmp_path), simulated) as gateway,
        anyio.create_task_group() as group,
    ):
        group.start_soon(gateway.locker(1).open)
        await simulated.wait_for_requests(1)
        _find(tmp_path, "turn").unlink()
        await gateway.locker(1).close()
    assert _endpoints(simulated) == ["open", "close"]
    assert simulated.overlaps == 0


async def test_a_waiting_command_is_served_before_the_next_poll_of_any_process(
    make: Make, simulated: SimulatedGateway
) -> None:
    simulated.settings.light = 0.1
    async with make() as others, _entered(make(), simulated) as gateway:
        polls: list[str] = []

        async def poll() -> None:
            while "open" not in _endpoints(simulated):
                lease = await others.acquire(simulated.address, _claim(command=False))
                polls.append("poll" if "open" in _endpoints(simulated) else "before")
                await anyio.sleep(0.2)
                lease.release(Pause())

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(poll)
            await until(lambda: len(polls) >= 3)
            before = len(polls)
            await gateway.locker(1).open()
            assert len(polls) - before <= 2


async def test_a_call_that_is_cancelled_or_too_late_leaves_nothing(make: Make, simulated: SimulatedGateway) -> None:
    async with make() as others, _entered(make(), simulated) as gateway:
        elsewhere = await others.acquire(simulated.address, _claim())
        with anyio.move_on_after(0.1):
            await gateway.locker(1).open()
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).open(timeout=1.0)
        elsewhere.release(Pause())
        (await others.acquire(simulated.address, _claim(seconds=20.0, command=False))).release(Pause())
        assert (await gateway.locker(1).open()).attempts == 1
    assert _endpoints(simulated) == ["open"]


async def test_the_rest_after_a_reply_holds_for_all(make: Make, simulated: SimulatedGateway) -> None:
    async with make() as others, _entered(make(), simulated, pacing=Pacing(0.5, 0.5)) as gateway:
        started = anyio.current_time()
        await gateway.lockers()
        await others.acquire(simulated.address, _claim())
        assert anyio.current_time() - started >= 0.5


async def test_the_backoff_after_busy_holds_for_all_and_ends_with_success(
    make: Make, simulated: SimulatedGateway
) -> None:
    async with make() as others, _entered(make(), simulated) as gateway:
        with simulated.synchronizing(), pytest.raises(GatewayBusyError):
            await gateway.locker(1).open(timeout=3.0)
        asked = len(simulated.requests)
        assert 1 < asked < 6
        lease = await others.acquire(simulated.address, Claim(False, 60.0, anyio.current_time() + 30))
        assert lease.failures == asked
        lease.release(Pause(failures=asked))
        await gateway.locker(1).open()
        assert (await others.acquire(simulated.address, _claim())).failures == 0


async def test_timestamps_increase_over_restarts_and_a_clock_that_steps_back(
    make: Make, simulated: SimulatedGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, stamps = time.time(), []
    for step in (0, -5, -3600):
        _forget(simulated)
        monkeypatch.setattr("time.time", lambda step=step: now + step)
        async with _entered(make(), simulated) as gateway:
            stamps += [(await gateway.locker(1).open()).timestamp for _ in range(2)]
    assert stamps == list(range(stamps[0], stamps[0] + 6))
    assert [record.code for record in simulated.requests] == [0] * 6
    assert [record.levelno for record in caplog.records if "beyond the allowed lead" in record.message] == [
        logging.WARNING
    ]


async def test_the_lead_is_bounded_among_all(make: Make, simulated: SimulatedGateway) -> None:
    settings = {"timestamps": Timestamps(max_lead=1.0)}
    async with make() as others, _entered(make(), simulated, **settings) as gateway:
        await gateway.locker(1).open()
        ahead = int(time.time()) + 1
        wish = Wish(lambda: float(ahead), 0, math.inf)
        lease = await others.acquire(simulated.address, Claim(True, 0.0, math.inf, wish=wish))
        lease.release(Pause())
        started = time.time()
        result = await gateway.locker(1).open()
    assert result.timestamp > ahead
    assert result.timestamp - time.time() <= 1.0
    assert time.time() - started < 10.0


async def test_one_gateway_has_one_coordinator(tmp_path: Path, simulated: SimulatedGateway) -> None:
    async with _entered(FileCoordinator(tmp_path), simulated):
        with pytest.raises(ValueError, match="another coordinator"):
            AsyncGateway(simulated.address, pacing=Pacing(0, 0), coordinator=FileCoordinator(tmp_path))


async def test_a_coordinator_that_was_not_entered_is_a_mistake(tmp_path: Path, simulated: SimulatedGateway) -> None:
    async with AsyncGateway(simulated.address, coordinator=FileCoordinator(tmp_path)) as gateway:
        with pytest.raises(RuntimeError, match="enter"):
            await gateway.lockers()


async def test_a_fleet_shares_too(tmp_path: Path, simulated: SimulatedGateway) -> None:
    async with (
        FileCoordinator(tmp_path) as coordinator,
        Fleet({"hall": simulated.address}, coordinator=coordinator) as fleet,
    ):
        await fleet["hall"].lockers()
    assert _find(tmp_path, "turn").exists()


async def test_a_damaged_file_sends_nothing(tmp_path: Path, simulated: SimulatedGateway) -> None:
    async with _entered(FileCoordinator(tmp_path), simulated) as gateway:
        await gateway.locker(1).open()
        _find(tmp_path, "timestamp").write_text("?")
        with pytest.raises(CoordinationError, match="timestamp is damaged") as caught:
            await gateway.locker(1).open()
        assert not caught.value.may_have_executed
        await gateway.lockers()
    assert _endpoints(simulated) == ["open", "lockers"]


async def test_redis_gone_before_a_command_is_an_error_in_time_with_nothing_sent(
    simulated: SimulatedGateway, start_redis: Any
) -> None:
    server = start_redis()
    async with _entered(RedisCoordinator(server.url), simulated) as gateway:
        server.stop()
        started = anyio.current_time()
        with pytest.raises(CoordinationError) as caught:
            await gateway.locker(1).open(timeout=1.5)
        assert 0.5 < anyio.current_time() - started < 5.0
        assert not caught.value.may_have_executed
    assert simulated.requests == ()


async def test_redis_gone_while_a_command_is_under_way_costs_nothing(
    simulated: SimulatedGateway, start_redis: Any
) -> None:
    server = start_redis()
    simulated.settings.bluetooth = 0.5
    async with (
        _entered(RedisCoordinator(server.url, lease=0.5), simulated) as gateway,
        anyio.create_task_group() as group,
    ):

        async def stop() -> None:
            await simulated.wait_for_requests(1)
            server.stop()

        group.start_soon(stop)
        started = anyio.current_time()
        assert (await gateway.locker(1).open()).attempts == 1
        assert anyio.current_time() - started < 10.0


async def test_redis_without_its_memory_costs_at_most_a_retry(simulated: SimulatedGateway, start_redis: Any) -> None:
    server = start_redis()
    async with _entered(RedisCoordinator(server.url), simulated) as gateway:
        for _ in range(4):
            await gateway.locker(1).open()
        await anyio.sleep(0.1)
        server.stop()
        await anyio.to_thread.run_sync(server.start)
    _forget(simulated)
    async with _entered(RedisCoordinator(server.url), simulated) as gateway:
        assert (await gateway.locker(1).open()).attempts == 2
    assert [record.code for record in simulated.requests] == [0, 0, 0, 0, 33, 0]
