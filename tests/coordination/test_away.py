"""Coordination that is away, full, or answers nonsense: every caller says so in its budget, and nothing else ends."""

import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from anyio.abc import SocketAttribute, SocketStream

from thekeys_async import AsyncGateway, CoordinationError, Pacing
from thekeys_async.coordination import Claim, Coordinator, FileCoordinator, Pause, RedisCoordinator, Wish
from thekeys_async.coordination.redis_scripts import understood
from thekeys_async.gateway import driver_of
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio

KEY = "192.168.0.26:80"
NOW = 1_700_000_000
Start = Callable[..., Any]


def _claim(*, seconds: float = 20.0) -> Claim:
    return Claim(True, 0.0, anyio.current_time() + seconds, 0.0, Wish(lambda: float(NOW), 0, 1e9))


@asynccontextmanager
async def _gateway(coordinator: Coordinator) -> AsyncIterator[AsyncGateway]:
    async with (
        SimulatedGateway([SimulatedLocker(1, share_code="code")], light=0, bluetooth=0) as simulated,
        coordinator,
        AsyncGateway(
            simulated.address, share_codes={1: "code"}, pacing=Pacing(0, 0), coordinator=coordinator
        ) as gateway,
    ):
        yield gateway
        assert not simulated.requests[1:]


async def _all_say(gateway: AsyncGateway, seconds: float, *, signed: bool = False) -> list[str]:
    """Ask six things at once: what each of them says is wrong."""
    door, said = gateway.locker(1), list[str]()

    async def ask(method: Callable[..., Any], timeout: float) -> None:
        with pytest.raises(CoordinationError) as caught:
            await method(timeout=timeout)
        assert caught.value.may_have_executed is False
        said.append(str(caught.value))

    reads = (door.status, door.calibrate) if signed else (gateway.lockers, gateway.status)
    async with anyio.create_task_group() as group:
        for method in (door.open, door.close, *reads, door.status, door.open):
            group.start_soon(ask, method, seconds)
    return said


async def test_every_caller_says_that_redis_is_gone(start_redis: Start) -> None:
    server = start_redis()
    async with _gateway(RedisCoordinator(server.url)) as gateway:
        await gateway.lockers()
        server.stop()
        said = await _all_say(gateway, 0.6)
    assert len(said) == 6
    assert all("can't be reached" in text for text in said), said


async def test_every_caller_says_that_redis_does_not_answer(start_redis: Start) -> None:
    server = start_redis()
    async with _gateway(RedisCoordinator(server.url)) as gateway:
        await gateway.lockers()
        os.kill(server.process.pid, signal.SIGSTOP)
        said = await _all_say(gateway, 1.4)
        os.kill(server.process.pid, signal.SIGCONT)
    assert all("does not answer" in text or "can't be reached" in text for text in said), said


async def test_a_turn_that_others_keep_is_nobodys_trouble_once_redis_is_back(start_redis: Start) -> None:
    server = start_redis()
    async with (
        RedisCoordinator(server.url) as other,
        _gateway(RedisCoordinator(server.url)) as gateway,
    ):
        server.stop()
        await _all_say(gateway, 0.4)
        await anyio.to_thread.run_sync(server.start)
        turn = await other.acquire(driver_of(gateway).key, _claim())
        for method in (gateway.lockers, gateway.status):
            with pytest.raises(Exception, match="was not sent within") as caught:
                await method(timeout=2.0)
            assert not isinstance(caught.value, CoordinationError)
        turn.release(Pause())


async def test_every_caller_says_that_the_disk_is_too_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = threading.Event()
    force = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: (disk.wait(20), force(descriptor)))
    try:
        async with _gateway(FileCoordinator(tmp_path / "state")) as gateway:
            # Signed ones alone: another needs no timestamp, and has its answer if its turn comes first.
            said = await _all_say(gateway, 3.0, signed=True)
            # In the second round the turn is still kept by what the disk has not finished.
            said += await _all_say(gateway, 1.5, signed=True)
            disk.set()
            with anyio.fail_after(30):
                await gateway.lockers()
    finally:
        disk.set()
    assert len(said) == 12
    assert all("timestamp could not be written in time" in text for text in said), said


async def test_redis_out_of_memory_is_waited_out_within_the_budget(start_redis: Start) -> None:
    server = start_redis("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    async with RedisCoordinator(server.url) as one:
        started = anyio.current_time()
        with pytest.raises(CoordinationError, match="OOM"):
            await one.acquire(KEY, _claim(seconds=0.6))
        assert 0.5 < anyio.current_time() - started < 10.0
        async with anyio.create_task_group() as group:
            group.start_soon(one.acquire, KEY, _claim(seconds=30.0))
            await anyio.sleep(0.3)
            await anyio.run_process(["redis-cli", "-p", str(server.port), "config", "set", "maxmemory", "0"])


HELLO = b"%3\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:7\r\n"
GRANT = b"*3\r\n:1\r\n$10\r\n1700000001\r\n:0\r\n"
GARBLED = [
    b"$-9\r\n",
    b"$x\r\n",
    b"*-7\r\n",
    b"*3\r\n:1\r\n",
    b":\r\n",
    b"\r\n",
    b"\x00\xff\xfe\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"-\xff\xfe\r\n",
    b"-\r\n",
    b"$99999999999999\r\nabc\r\n",
]
OTHER_ANSWERS = [
    b"+OK\r\n",
    b":1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b"%1\r\n:1\r\n:2\r\n",
    b"*0\r\n",
    b"*2\r\n:1\r\n:1\r\n",
    b"*4\r\n:1\r\n$10\r\n1700000001\r\n:0\r\n:0\r\n",
    b"*3\r\n:7\r\n:0\r\n:0\r\n",
    b"*3\r\n:1\r\n:0\r\n:0\r\n",
    b"*3\r\n:1\r\n$3\r\nabc\r\n:0\r\n",
    b"*3\r\n:0\r\n:-1\r\n:0\r\n",
    b"*3\r\n:0\r\n,inf\r\n:0\r\n",
    b"*3\r\n*0\r\n_\r\n#f\r\n",
    b"*3\r\n:1\r\n$20\r\n99999999999999999999\r\n:0\r\n",
]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thekeys_async.coordination.redis_claim.SLOW", 0.1)


@attrs.define
class FakeRedis:
    """A server that answers the greeting and each script with given bytes."""

    hello: bytes = HELLO
    answers: list[bytes] = attrs.field(factory=list)
    asked: int = 0
    port: int = 0

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            try:
                while True:
                    said = await stream.receive()
                    if b"HELLO" in said:
                        await stream.send(self.hello)
                    for _ in range(said.count(b"EVAL")):
                        self.asked += 1
                        await stream.send(self.answers[min(self.asked, len(self.answers)) - 1])
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return


@asynccontextmanager
async def _fake(fake: FakeRedis) -> AsyncIterator[RedisCoordinator]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"redis://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, fake.serve)
        async with RedisCoordinator(url, lease=0.9) as coordinator:
            yield coordinator
        group.cancel_scope.cancel()


async def _each(frames: list[bytes], check: Callable[[bytes], Awaitable[None]]) -> None:
    """Check all frames at once, as each check takes its time; a failure names its frame."""

    async def named(frame: bytes) -> None:
        try:
            await check(frame)
        except Exception as error:
            error.add_note(f"the frame was {frame!r}")
            raise

    async with anyio.create_task_group() as group:
        for frame in frames:
            group.start_soon(named, frame)


async def _all_in_vain(coordinator: RedisCoordinator) -> None:
    for _ in range(2):  # the caller's block goes on
        started = anyio.current_time()
        with pytest.raises(CoordinationError, match=r"^nothing was sent: Redis at 127\.0\.0\.1") as caught:
            await coordinator.acquire(KEY, _claim(seconds=0.4))
        assert anyio.current_time() - started < 10.0
        assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_script_that_is_answered_with_something_else_is_an_error_of_coordination(quick: None) -> None:
    async def check(answer: bytes) -> None:
        async with _fake(FakeRedis(answers=[answer])) as coordinator:
            await _all_in_vain(coordinator)

    await _each(GARBLED + OTHER_ANSWERS, check)


async def test_a_server_that_is_no_redis_is_an_error_of_coordination(quick: None) -> None:
    async def check(hello: bytes) -> None:
        async with _fake(FakeRedis(hello=hello, answers=[GRANT])) as coordinator:
            await _all_in_vain(coordinator)

    await _each([*GARBLED, *OTHER_ANSWERS, HELLO.replace(b":3\r\n", b":2\r\n"), b"-NOPROTO no\r\n"], check)


async def test_nonsense_while_a_turn_is_held_ends_nothing_but_the_turn() -> None:
    async def check(answer: bytes) -> None:
        fake = FakeRedis(answers=[GRANT, answer])
        async with _fake(fake) as coordinator:
            lease = await coordinator.acquire(KEY, _claim())
            with anyio.fail_after(20):
                # The renewal comes from a task of the coordinator's.
                while not (lease.over or (fake.asked > 1 and answer == b":1\r\n")):  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            lease.release(Pause())
            fake.answers = [GRANT]
            (await coordinator.acquire(KEY, _claim())).release(Pause())

    await _each(GARBLED + OTHER_ANSWERS, check)


@pytest.mark.parametrize(
    ("answer", "signed", "expected"),
    [
        ([1, "1700000001", 0], True, (1, 1_700_000_001, 0)),
        ([1, "0", 2], False, (1, 0, 2)),
        ([0, 3, 250], True, (0, 3, 250)),
        ([2, "90000", 0], True, (2, 90_000, 0)),
        ([1, "1700000001", 0], False, None),
        ([1, True, 0], True, None),
        ([1, "1" * 5000, 0], True, None),
        ([1, "\u0661", 0], True, None),
        ((1, 1, 0), True, None),
        (None, True, None),
    ],
)
def test_only_what_the_script_answers_is_understood(answer: object, signed: bool, expected: object) -> None:
    assert understood(answer, signed=signed) == expected
