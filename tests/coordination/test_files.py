"""What is special about files: crashes, damage, dead waiters, permissions."""

import contextlib
import itertools
import os
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.waiting import until
from thekeys_async import CoordinationError
from thekeys_async.coordination import Claim, FileCoordinator, Pause, TurnTimeoutError, Wish
from thekeys_async.coordination.file_directory import Directory
from thekeys_async.coordination.file_tickets import Ticket

pytestmark = pytest.mark.anyio

KEY = "192.168.0.26:80"
NOW = 1_700_000_000


def _claim(*, seconds: float = 10.0, command: bool = True, rest: float = 0.0) -> Claim:
    return Claim(command, 0.0, anyio.current_time() + seconds, rest, Wish(lambda: float(NOW), 0, 1e9))


async def _allocate(path: Path) -> int:
    async with FileCoordinator(path) as coordinator:
        lease = await coordinator.acquire(KEY, _claim())
        timestamp = lease.take_timestamp()
        lease.release(Pause())
        return timestamp


def _find(path: Path, name: str) -> Path:
    return next(path.glob(f"*/{name}"))


def _open_descriptors(path: Path) -> list[int]:
    found = []
    for descriptor in range(3, 256):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                found.append(descriptor)
    return found


def _names(path: Path) -> list[str]:
    return [file.name for file in path.iterdir()]


def _modes(path: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.rglob("*")}


# A process that kills itself at the n-th call into the operating system after it has begun to allocate, and says before
# that which timestamps it was given. Each number is a process of its own, forked from this one.
_CRASH = """
import fcntl, os, signal, sys, time
import anyio
from thekeys_async.coordination import Claim, FileCoordinator, Pause, Wish

path, pipe, real_write = sys.argv[1], int(sys.argv[2]), os.write
CALLS = [(os, name) for name in
         "open write pwrite pread read fsync close unlink rename replace listdir fstat".split()]
CALLS.append((fcntl, "flock"))

def crash_at(step):
    count = 0
    def wrap(function):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return call
    for module, name in CALLS:
        setattr(module, name, wrap(getattr(module, name)))

async def run(step):
    async with FileCoordinator(path) as coordinator:
        for turn in range(2):
            if turn:
                crash_at(step)
            claim = Claim(True, 0.0, anyio.current_time() + 30, 0.0, Wish(lambda: 1_700_000_000.0, 0, 1e9))
            lease = await coordinator.acquire("192.168.0.26:80", claim)
            real_write(pipe, b"%d\\n" % lease.take_timestamp())
            lease.release(Pause())

for step in range(1, 100):
    child = os.fork()
    if not child:
        anyio.run(run, step, backend=sys.argv[3])
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
real_write(pipe, b"steps %d\\n" % step)
"""


async def test_a_crash_at_any_step_never_hands_out_a_timestamp_twice(tmp_path: Path, anyio_backend: str) -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", _CRASH, str(tmp_path), str(writing), anyio_backend]
    await anyio.to_thread.run_sync(lambda: subprocess.run(command, pass_fds=[writing], timeout=60, check=True))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        *given, last = pipe.read().splitlines()
    stamps = [int(line) for line in given]
    steps = int(last.split()[1])
    assert steps > 20
    assert len(stamps) > steps
    assert all(earlier < later for earlier, later in itertools.pairwise(stamps))
    assert await _allocate(tmp_path) > stamps[-1]


@pytest.mark.parametrize(
    "text",
    [b"", b"1700000000", b"1700000000 00000000\n", b"170000000 7e1a0d1c\n", b"\0" * 20, b"x" * 9999, b"-5 00000000\n"],
    ids=["empty", "no checksum", "wrong checksum", "shorter", "zeros", "long", "negative"],
)
async def test_a_damaged_timestamp_is_an_error_that_names_the_file_and_never_a_reset(
    tmp_path: Path, text: bytes
) -> None:
    first = await _allocate(tmp_path)
    file = _find(tmp_path, "timestamp")
    good = file.read_bytes()
    file.write_bytes(text)
    with pytest.raises(CoordinationError, match="timestamp is damaged") as caught:
        await _allocate(tmp_path)
    assert str(file) in str(caught.value)
    assert not caught.value.may_have_executed
    assert file.read_bytes() == text
    file.write_bytes(good)
    assert await _allocate(tmp_path) == first + 1


async def test_a_flipped_digit_is_noticed(tmp_path: Path) -> None:
    await _allocate(tmp_path)
    file = _find(tmp_path, "timestamp")
    file.write_bytes(file.read_bytes().replace(b"1700000000", b"1600000000"))
    with pytest.raises(CoordinationError, match="damaged"):
        await _allocate(tmp_path)


@pytest.mark.parametrize("name", ["timestamp", "turn", "waiting"])
async def test_a_file_that_can_not_be_used_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    await _allocate(tmp_path)
    file = _find(tmp_path, "timestamp").with_name(name)
    file.rmdir() if file.is_dir() else file.unlink()
    file.write_text("") if name == "waiting" else file.mkdir()
    with pytest.raises(CoordinationError) as caught:
        await _allocate(tmp_path)
    assert str(file) in str(caught.value)


async def test_a_path_that_is_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("")
    with pytest.raises(CoordinationError, match="state"):
        async with FileCoordinator(file):
            pass


async def test_a_turn_after_an_error_is_free(tmp_path: Path) -> None:
    await _allocate(tmp_path)
    file = _find(tmp_path, "timestamp")
    text = file.read_bytes()
    async with FileCoordinator(tmp_path) as coordinator:
        file.write_bytes(b"?")
        with pytest.raises(CoordinationError):
            await coordinator.acquire(KEY, _claim(rest=50.0))
        file.write_bytes(text)
        (await coordinator.acquire(KEY, _claim())).release(Pause())


async def test_rests_that_can_not_be_read_count_as_none(tmp_path: Path) -> None:
    await _allocate(tmp_path)
    for text in (b"", b"{", b"[]", b"{}", b'{"pause": {"quiet": 1}, "x": 2}', b"\xff" * 300):
        _find(tmp_path, "turn").write_bytes(text)
        await _allocate(tmp_path)


async def test_tickets_of_the_dead_are_removed_and_those_of_the_living_not(tmp_path: Path) -> None:
    await _allocate(tmp_path)
    waiting = _find(tmp_path, "waiting")
    for index in range(3):
        (waiting / f"0-{index:015d}-{index:016x}").write_text("")
    (waiting / "something else").write_text("")
    async with FileCoordinator(tmp_path) as one, FileCoordinator(tmp_path) as two:
        holder = await one.acquire(KEY, _claim())
        async with anyio.create_task_group() as group:
            group.start_soon(two.acquire, KEY, _claim())
            await until(lambda: len(list(waiting.iterdir())) == 2)
            holder.release(Pause())
        assert [file.name for file in waiting.iterdir()] == ["something else"]


async def test_a_waiter_that_is_stopped_is_passed_over(tmp_path: Path) -> None:
    await _allocate(tmp_path)
    ticket = Ticket(Directory.root(_find(tmp_path, "waiting")), command=True, since=0.0)
    ticket.show()
    async with FileCoordinator(tmp_path) as coordinator:
        with pytest.raises(TurnTimeoutError):
            await coordinator.acquire(KEY, _claim(seconds=0.3))
        (await coordinator.acquire(KEY, _claim())).release(Pause())
        ticket.show()
        with pytest.raises(TurnTimeoutError):
            await coordinator.acquire(KEY, _claim(seconds=0.3))
    ticket.drop()


async def test_a_lease_is_lost_when_somebody_removes_the_folder(tmp_path: Path) -> None:
    async with FileCoordinator(tmp_path) as coordinator:
        lease = await coordinator.acquire(KEY, _claim())
        _find(tmp_path, "turn").unlink()
        with pytest.raises(CoordinationError, match="removed"):
            lease.check()
        lease.release(Pause())
        (await coordinator.acquire(KEY, _claim())).check()


@pytest.mark.parametrize(("folder", "file"), [(0o2770, 0o660), (0o700, 0o600), (0o755, 0o644)])
async def test_new_files_get_the_permissions_of_the_folder(tmp_path: Path, folder: int, file: int) -> None:
    os.chmod(tmp_path, folder)  # noqa: PTH101 - not in an event loop that matters
    await _allocate(tmp_path)
    modes = _modes(tmp_path)
    assert modes["timestamp"] == modes["turn"] == file
    assert modes["waiting"] & 0o777 == folder & 0o777


@pytest.mark.parametrize("key", ["..", ".hidden", "a/b", "[fe80::1]:80", "ü" * 300, "hall\n"])
async def test_any_key_is_a_folder_of_its_own(tmp_path: Path, key: str) -> None:
    async with FileCoordinator(tmp_path / "state") as coordinator:
        (await coordinator.acquire(key, _claim())).release(Pause())
        (await coordinator.acquire("other", _claim())).release(Pause())
    assert len(_names(tmp_path / "state")) == 2
    assert _names(tmp_path) == ["state"]


async def test_a_turn_given_back_is_free_though_a_forked_child_has_the_file_open(tmp_path: Path) -> None:
    async with FileCoordinator(tmp_path) as coordinator:
        lease = await coordinator.acquire(KEY, _claim())
        # A fork shares the open file as these do.
        copies = [os.dup(descriptor) for descriptor in _open_descriptors(_find(tmp_path, "turn"))]
        lease.release(Pause())
        (await coordinator.acquire(KEY, _claim())).release(Pause())
        assert copies
        for copy in copies:
            os.close(copy)
