"""The lease to lead: one at a time, passed on by who ends, dies, is stopped or cut off, who knows that."""

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from thekeys_async import CoordinationError
from thekeys_async._clocks import boot_time
from thekeys_async.coordination import FileCoordinator, LeaderLease, LeaseLostError, RedisCoordinator

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("leading.py")
LEASE = 1.0
_LONGER = 3.0  # for who must not lose it when the machine stands still for a second
Make = Callable[[], FileCoordinator | RedisCoordinator]


@attrs.define
class Other:
    """Another program that leads, or would like to."""

    process: anyio.abc.Process
    lines: BufferedByteReceiveStream = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lines = BufferedByteReceiveStream(self.process.stdout)

    async def says(self) -> str:
        with anyio.fail_after(60):
            return (await self.lines.receive_until(b"\n", 100)).decode()

    async def rest(self) -> list[str]:
        """What it says until it ends."""
        said: list[str] = []
        with anyio.fail_after(60):
            while not said or said[-1] != "ended":
                said.append(await self.says())
            await self.process.wait()
        return said

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


@pytest.fixture(params=["file", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> str:
    return str(tmp_path / "state") if kind == "file" else request.getfixturevalue("shared_redis").url


@pytest.fixture
def name(tmp_path: Path) -> str:
    """What is led, by this test alone."""
    return str(tmp_path)


@pytest.fixture
def make(kind: str, where: str) -> Make:
    return lambda: FileCoordinator(where) if kind == "file" else RedisCoordinator(where)


@asynccontextmanager
async def _other(kind: str, where: str, name: str) -> AsyncIterator[Other]:
    command = [sys.executable, str(SCRIPT), kind, where, name, str(LEASE)]
    async with await anyio.open_process(command, stderr=None) as process:
        try:
            yield Other(process)
        finally:
            if process.returncode is None:
                process.kill()


async def test_one_leads_and_the_next_follows_at_once(make: Make, name: str) -> None:
    leading: list[int] = []
    most: list[int] = []

    async def candidate(number: int) -> None:
        async with make() as coordinator, coordinator.lead(name, lease=_LONGER) as lease:
            leading.append(number)
            most.append(len(leading))
            await anyio.sleep(0.05)
            lease.check()
            leading.remove(number)

    started = anyio.current_time()
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(candidate, number)
    assert most == [1] * 5
    # Who begins with a new Redis waits for less than a lease; then each follows at its next look.
    assert anyio.current_time() - started < 6 * _LONGER


async def test_names_are_led_apart(make: Make, name: str) -> None:
    async with (
        make() as one,
        make() as two,
        one.lead(name, lease=LEASE),
        two.lead(f"{name}/../b", lease=LEASE) as other,
    ):
        assert not other.lost
        with anyio.move_on_after(0.3) as scope:
            async with two.lead(name, lease=LEASE):
                pytest.fail("two lead")
        assert scope.cancelled_caught


async def test_it_is_kept_for_longer_than_a_lease(make: Make, name: str) -> None:
    async with make() as one, make() as two, one.lead(name, lease=2.0) as lease:
        with anyio.move_on_after(4.0):
            async with two.lead(name, lease=2.0):
                pytest.fail("two lead")
        lease.check()
    assert lease.lost


async def test_a_killed_leader_is_followed_within_its_lease(make: Make, kind: str, where: str, name: str) -> None:
    async with _other(kind, where, name) as other, make() as coordinator:
        assert await other.says() == "leads"
        other.send(signal.SIGKILL)
        started = boot_time()
        async with coordinator.lead(name, lease=LEASE):
            assert boot_time() - started < LEASE + 10


async def test_a_stopped_leader_knows_that_it_is_none_before_it_acts(
    make: Make, kind: str, where: str, name: str
) -> None:
    async with _other(kind, where, name) as other, make() as coordinator:
        assert await other.says() == "leads"
        await other.says()
        other.send(signal.SIGSTOP)
        started = boot_time()
        async with coordinator.lead(name, lease=LEASE) as lease:
            taken_over = boot_time()
            assert taken_over - started < LEASE + 10
            other.send(signal.SIGCONT)
            said = await other.rest()
            lease.check()
        assert said[-2:] == ["lost", "ended"]
        assert all(float(act) < taken_over for act in said[:-2])


async def test_a_leader_that_ends_is_followed_at_once(make: Make, kind: str, where: str, name: str) -> None:
    async with _other(kind, where, name) as other, make() as coordinator, anyio.create_task_group() as group:
        assert await other.says() == "leads"

        async def follow() -> None:
            async with coordinator.lead(name, lease=60.0):
                group.cancel_scope.cancel()

        group.start_soon(follow)
        await anyio.sleep(0.3)
        other.send(signal.SIGTERM)
        with anyio.fail_after(20):
            await anyio.sleep_forever()


async def test_who_is_cancelled_while_it_waits_leaves_nothing_behind(make: Make, name: str) -> None:
    async with make() as one, make() as two:
        async with one.lead(name, lease=2.0):
            for _ in range(3):
                with anyio.move_on_after(0.02):
                    async with two.lead(name, lease=2.0):
                        pytest.fail("two lead")
        with anyio.fail_after(10):
            async with one.lead(name, lease=2.0) as lease:
                assert not lease.lost


async def test_an_exception_comes_out_as_it_is(make: Make, name: str) -> None:
    async with make() as coordinator:
        with pytest.raises(ZeroDivisionError):
            async with coordinator.lead(name, lease=LEASE) as lease:
                raise ZeroDivisionError
        assert lease.lost
        with pytest.raises(LeaseLostError, match="the lease to lead"):
            lease.check()
        with anyio.fail_after(20):
            await lease.wait_lost()
        with pytest.raises(RuntimeError, match="once"):
            await lease.__aenter__()


@pytest.mark.parametrize("clock", ["boot_time", "time.time"])
async def test_a_clock_that_ran_on_while_we_slept_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    slept = 0.0
    module = "thekeys_async.coordination.leader"
    now = getattr(__import__(module, fromlist=["x"]), clock) if clock == "boot_time" else __import__("time").time
    monkeypatch.setattr(f"{module}.{clock}", lambda: now() + slept)
    async with FileCoordinator(tmp_path) as coordinator, coordinator.lead("a", lease=60.0) as lease:
        lease.check()
        slept = 53.9
        lease.check()
        slept = 54.1
        assert lease.lost
        slept = 0.0
        assert lease.lost  # for good


async def test_a_file_that_is_removed_keeps_nobody_out_and_says_so(tmp_path: Path) -> None:
    async with FileCoordinator(tmp_path) as one, FileCoordinator(tmp_path) as two:
        async with one.lead("a/b", lease=60.0) as lease:
            (tmp_path / ".leaders" / "a%2Fb").unlink()
            with pytest.raises(LeaseLostError):
                lease.check()
            async with two.lead("a/b", lease=60.0) as other:
                other.check()
        async with one.lead("a/b", lease=60.0) as lease:
            lease.check()


async def test_a_folder_that_is_moved_away_keeps_nobody_out_and_says_so(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with FileCoordinator(state) as one, FileCoordinator(state) as two, one.lead("a", lease=3.0) as lease:
        lease.check()
        state.rename(tmp_path / "state.old")
        async with two.lead("a", lease=60.0) as other:
            other.check()
            with pytest.raises(LeaseLostError):
                lease.check()
        with anyio.fail_after(20):
            await lease.wait_lost()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"{}",
        b'{"token": 1, "at": "x", "lease": []}',
        b'{"token": "x", "at": 0, "lease": Infinity}',
        b"\xff" * 200,
    ],
)
async def test_a_file_that_says_nothing_is_nobodys(tmp_path: Path, text: bytes) -> None:
    folder = tmp_path / ".leaders"
    folder.mkdir()
    (folder / "a").write_bytes(text)
    async with FileCoordinator(tmp_path) as one, one.lead("a", lease=60.0) as lease:
        lease.check()


async def test_another_boots_leader_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / ".leaders"
    folder.mkdir()
    (folder / "a").write_text('{"token": "x", "at": 9e9, "lease": 60.0}')
    with anyio.fail_after(20):
        async with FileCoordinator(tmp_path) as one, one.lead("a", lease=60.0):
            pass


async def test_a_folder_that_can_not_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".leaders").write_text("")
    async with FileCoordinator(tmp_path) as one:
        with pytest.raises(CoordinationError, match="leaders"):
            await one.lead("a").__aenter__()


@pytest.mark.parametrize("arguments", [("", 1.0), ("a", 0.0), ("a", -1.0), ("a", float("inf")), ("a", float("nan"))])
async def test_arguments_that_make_no_sense(make: Make, arguments: tuple[str, float]) -> None:
    async with make() as coordinator:
        with pytest.raises(ValueError):
            coordinator.lead(arguments[0], lease=arguments[1])
    with pytest.raises(RuntimeError, match="enter the coordinator first"):
        coordinator.lead("a")


async def test_redis_gone_ends_it_and_a_standby_waits_for_redis(
    start_redis: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    async with RedisCoordinator(server.url) as one, one.lead("a", lease=LEASE) as lease:
        server.stop()
        with anyio.fail_after(LEASE + 10):
            await lease.wait_lost()
        assert lease.lost
        with caplog.at_level(logging.WARNING), anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(_lead, one)
                await anyio.sleep(0.3)
                await anyio.to_thread.run_sync(server.start)
    assert sum("waiting to lead" in record.message for record in caplog.records) == 1


async def test_redis_that_lost_its_memory_does_not_let_two_lead(start_redis: Callable[..., Any]) -> None:
    server = start_redis()
    async with (
        RedisCoordinator(server.url) as one,
        RedisCoordinator(server.url) as two,
        one.lead("a", lease=_LONGER) as lease,
    ):
        server.stop()
        await anyio.to_thread.run_sync(server.start)
        with anyio.move_on_after(_LONGER + 0.5):
            async with two.lead("a", lease=_LONGER):
                pytest.fail("two lead")
        lease.check()


async def test_a_redis_that_was_flushed_does_not_let_two_lead(start_redis: Callable[..., Any]) -> None:
    server = start_redis()
    async with (
        RedisCoordinator(server.url) as one,
        RedisCoordinator(server.url) as two,
        await anyio.connect_tcp("127.0.0.1", server.port) as client,
        one.lead("a", lease=_LONGER) as lease,
    ):
        await anyio.sleep(_LONGER + 0.1)  # Redis is up for longer than a lease
        await client.send(b"FLUSHALL\r\n")
        assert await client.receive() == b"+OK\r\n"
        with anyio.move_on_after(_LONGER + 0.5):
            async with two.lead("a", lease=_LONGER):
                pytest.fail("two lead")
        lease.check()


async def test_a_redis_that_refuses_is_an_error(start_redis: Callable[..., Any]) -> None:
    server = start_redis("--requirepass", "secret")
    async with RedisCoordinator(server.url) as one:
        with pytest.raises(CoordinationError, match="refuses"):
            await one.lead("a").__aenter__()


async def _lead(coordinator: RedisCoordinator) -> None:
    async with coordinator.lead("a", lease=LEASE) as lease:
        assert isinstance(lease, LeaderLease)


async def test_a_leader_that_is_cancelled_together_with_its_coordinator_is_followed_at_once(
    make: Make, name: str
) -> None:
    leads = anyio.Event()

    async def lead() -> None:
        async with make() as coordinator:
            async with coordinator.lead(name, lease=LEASE):  # who is the first with a new Redis waits for a lease
                pass
            async with coordinator.lead(name, lease=60.0):
                leads.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(lead)
        await leads.wait()
        group.cancel_scope.cancel()
    with anyio.fail_after(30):
        async with make() as coordinator, coordinator.lead(name, lease=60.0) as lease:
            assert not lease.lost
