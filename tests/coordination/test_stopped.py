"""What a stopped process does when it goes on: what its lease and its timestamp keep out, and what they do not."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from thekeys_async import AsyncGateway, CoordinationError, Pacing, RequestTimeoutError
from thekeys_async.coordination import Claim, Coordinator, FileCoordinator, Pause, RedisCoordinator
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio

LATE = Path(__file__).with_name("late.py")
LEASE = 0.6
HELD = 10.0  # the lease of a turn that must not be lost when the machine stands still for a moment


@attrs.define
class Late:
    """A caller in another process, stopped by itself."""

    process: anyio.abc.Process

    async def stopped(self) -> None:
        def state() -> str:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]

        with anyio.fail_after(20):
            while state() != "T":  # noqa: ASYNC110 - no event tells it
                await anyio.sleep(0.02)

    async def go_on(self) -> int | str:
        os.kill(self.process.pid, signal.SIGCONT)
        with anyio.fail_after(20):
            said = b"".join([chunk async for chunk in self.process.stdout])
            await self.process.wait()
        return json.loads(said)


@asynccontextmanager
async def _late(*arguments: str) -> AsyncIterator[Late]:
    async with await anyio.open_process([sys.executable, str(LATE), *arguments], stderr=None) as process:
        late = Late(process)
        try:
            await late.stopped()
            yield late
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def _ours(coordinator: Coordinator, simulated: SimulatedGateway) -> AsyncIterator[AsyncGateway]:
    async with (
        coordinator,
        AsyncGateway(
            simulated.address, share_codes={1: "code"}, pacing=Pacing(0, 0), coordinator=coordinator
        ) as gateway,
    ):
        yield gateway


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedGateway]:
    async with SimulatedGateway(
        [SimulatedLocker(1, share_code="code")], light=0, bluetooth=0.01, synchronization=0.01
    ) as gateway:
        yield gateway


@pytest.fixture
def url(start_redis: Any) -> str:
    return start_redis().url


def _seen(simulated: SimulatedGateway) -> list[tuple[str, int | None]]:
    return [(record.endpoint, record.code) for record in simulated.requests]


async def test_a_holder_stopped_before_its_last_look_sends_nothing_late(simulated: SimulatedGateway, url: str) -> None:
    async with _late("redis", url, simulated.address, "before", "open") as late:
        async with _ours(RedisCoordinator(url, lease=LEASE), simulated) as gateway:
            ours = await gateway.locker(1).close()
        assert _seen(simulated) == [("close", 0)]
        assert await late.go_on() == 1
    assert _seen(simulated) == [("close", 0), ("open", 0)]
    assert simulated.requests[1].timestamp > ours.timestamp


@pytest.mark.parametrize("method", ["lockers", "synchronize", "open"])
async def test_a_holder_whose_lease_is_over_waits_for_another_turn(
    simulated: SimulatedGateway, url: str, method: str
) -> None:
    async with _late("redis", url, simulated.address, "before", method) as late:
        async with RedisCoordinator(url, lease=HELD) as coordinator, anyio.create_task_group() as group:
            claim = Claim(command=True, waited=0.0, until=anyio.current_time() + 30)
            turn = await coordinator.acquire(simulated.address, claim)
            group.start_soon(late.go_on)
            await anyio.sleep(0.4)
            assert _seen(simulated) == []
            turn.release(Pause())
        assert _seen(simulated) == [(method, 0)]


async def test_the_gateway_refuses_a_late_request_when_it_has_accepted_a_newer_one(
    simulated: SimulatedGateway, url: str
) -> None:
    async with _late("redis", url, simulated.address, "after", "open") as late:
        async with _ours(RedisCoordinator(url, lease=LEASE), simulated) as gateway:
            ours = await gateway.locker(1).close()
        assert await late.go_on() == 2
    assert _seen(simulated) == [("close", 0), ("open", 33), ("open", 0)]
    assert simulated.requests[1].timestamp < ours.timestamp < simulated.requests[2].timestamp


async def test_a_late_request_that_arrives_first_is_accepted(simulated: SimulatedGateway, url: str) -> None:
    async with _late("redis", url, simulated.address, "after", "open") as late:
        coordinator = RedisCoordinator(url, lease=HELD)
        async with _ours(coordinator, simulated) as gateway:
            claim = Claim(command=True, waited=0.0, until=anyio.current_time() + 30)
            turn = await coordinator.acquire(simulated.address, claim)
            assert await late.go_on() == 1
            turn.release(Pause())
            await gateway.locker(1).close()
    assert _seen(simulated) == [("open", 0), ("close", 0)]


@pytest.mark.parametrize("method", ["lockers", "synchronize", "update_firmware"])
async def test_a_late_request_without_a_timestamp_is_not_kept_out(
    simulated: SimulatedGateway, url: str, method: str
) -> None:
    async with _late("redis", url, simulated.address, "after", method) as late:
        async with _ours(RedisCoordinator(url, lease=LEASE), simulated) as gateway:
            await gateway.locker(1).close()
        assert await late.go_on() == 1
    assert _seen(simulated)[0] == ("close", 0)
    assert _seen(simulated)[1][1] == 0


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_stopped_process_keeps_the_turn_of_a_file_until_it_goes_on(
    simulated: SimulatedGateway, tmp_path: Path, moment: str
) -> None:
    async with (
        _late("file", str(tmp_path), simulated.address, moment, "open") as late,
        _ours(FileCoordinator(tmp_path), simulated) as gateway,
    ):
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).close(timeout=2.0)
        assert _seen(simulated) == []
        assert await late.go_on() == 1
        await gateway.locker(1).close()
    assert _seen(simulated) == [("open", 0), ("close", 0)]


async def test_a_killed_process_keeps_nothing(simulated: SimulatedGateway, tmp_path: Path) -> None:
    async with _late("file", str(tmp_path), simulated.address, "after", "open") as late:
        late.process.kill()
        async with _ours(FileCoordinator(tmp_path), simulated) as gateway:
            await gateway.locker(1).close()
    assert _seen(simulated) == [("close", 0)]


async def test_a_timestamp_that_is_too_old_is_not_sent(
    simulated: SimulatedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thekeys_async.coordination.base.OLDEST_TIMESTAMP", 0.0)
    async with _ours(FileCoordinator(tmp_path), simulated) as gateway:
        door = gateway.locker(1)
        with pytest.raises(CoordinationError, match="old"):
            await door.close(timeout=4)
    assert _seen(simulated) == []
