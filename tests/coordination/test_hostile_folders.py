"""What another user of the machine puts into a shared folder hurts nobody; and who may use what the library makes."""

import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.sample import CODE
from thekeys_async import AsyncGateway, CoordinationError, Pacing
from thekeys_async.coordination import Claim, FileCoordinator, Pause, TurnTimeoutError, Wish
from thekeys_async.gateway import driver_of
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio
KEY = "192.168.0.26:80"
_ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be two users")


def _claim(seconds: float = 10.0) -> Claim:
    return Claim(True, 0.0, anyio.current_time() + seconds, 0.0, Wish(lambda: 1_700_000_000.0, 0, 1e9))


async def _use(path: Path) -> int:
    async with FileCoordinator(path) as coordinator:
        lease = await coordinator.acquire(KEY, _claim())
        timestamp = lease.take_timestamp()
        lease.release(Pause())
        return timestamp


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _replace(place: Path, how: str, victim: Path) -> None:
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    match how:
        case "symbolic link":
            place.symlink_to(victim)
        case "dangling link":
            place.symlink_to(victim.with_name("nothing"))
        case "hard link":
            os.link(victim, place)
        case "FIFO":
            os.mkfifo(place)
        case "directory":
            place.mkdir()


@pytest.mark.parametrize("how", ["symbolic link", "dangling link", "hard link", "FIFO", "directory"])
@pytest.mark.parametrize("name", ["turn", "timestamp", "timestamp.new"])
async def test_what_is_no_file_of_ours_is_an_error_at_once_and_touches_nothing(
    tmp_path: Path, name: str, how: str
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    await _use(shared)
    victim = tmp_path / "victim"
    victim.write_text("somebody's")
    victim.chmod(0o600)
    _replace(next(shared.iterdir()) / name, how, victim)
    with anyio.fail_after(30):
        if name == "timestamp.new" and how != "directory":
            await _use(shared)  # a leftover is removed, never written through
        else:
            with pytest.raises(CoordinationError, match=name) as caught:
                await _use(shared)
            assert not caught.value.may_have_executed
    assert victim.read_text() == "somebody's"
    assert _mode(victim) == 0o600
    assert not victim.with_name("nothing").exists()


@pytest.mark.parametrize("which", ["gateway", "waiting"])
async def test_a_linked_folder_is_not_followed(tmp_path: Path, which: str) -> None:
    shared, elsewhere = tmp_path / "shared", tmp_path / "elsewhere"
    shared.mkdir()
    elsewhere.mkdir()
    await _use(shared)
    gateway = next(shared.iterdir())
    _replace(gateway if which == "gateway" else gateway / "waiting", "symbolic link", elsewhere)
    with pytest.raises(CoordinationError, match=r"symbolic link|Not a directory"):
        await _use(shared)
    assert not list(elsewhere.iterdir())


async def test_what_is_made_is_this_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await _use(tmp_path / "parent" / "state")
    finally:
        os.umask(before)
    assert _mode(tmp_path / "parent") == 0o755
    made = [tmp_path / "parent" / "state", *(tmp_path / "parent" / "state").rglob("*")]
    assert {_mode(path) for path in made if path.is_dir()} == {0o700}
    assert {_mode(path) for path in made if path.is_file()} == {0o600}


async def test_a_root_that_is_removed_while_in_use_is_made_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with FileCoordinator(state) as coordinator:
        (await coordinator.acquire(KEY, _claim())).release(Pause())
        shutil.rmtree(state)
        (await coordinator.acquire(KEY, _claim())).release(Pause())
    assert _mode(state) == 0o700


async def test_a_file_that_somebody_keeps_shut_does_not_keep_the_event_loop(tmp_path: Path, monkeypatch) -> None:
    await _use(tmp_path)
    real_open, tries = os.open, 0

    def refuse(path, *arguments, **options) -> int:
        nonlocal tries
        if path != "turn":
            return real_open(path, *arguments, **options)
        tries += 1
        assert tries < 10_000, "it is tried for ever"
        os.utime(next(tmp_path.glob("*/turn")))  # whose ctime is of this moment again
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CoordinationError, match="turn"):
        await _use(tmp_path)
    assert tries > 1


@_ROOT
async def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    await _use(home / ".local" / "state")
    assert {path.stat().st_uid for path in home.rglob("*")} == {12345}


_FIRST_USE = """
import os, sys
import anyio
from thekeys_async.coordination import Claim, FileCoordinator, Pause, Wish

async def run():
    async with FileCoordinator(sys.argv[1]) as coordinator:
        claim = Claim(True, 0.0, anyio.current_time() + 20, 0.0, Wish(lambda: 1_700_000_000.0, 0, 1e9))
        (await coordinator.acquire("gateway", claim)).release(Pause())

async def nothing():
    pass

anyio.run(nothing)
for user in (11111, 22222, 33333, 44444):
    if not os.fork():
        os.setgid(4321)
        os.setuid(user)
        sys.stdin.read(1)
        anyio.run(run)
        os._exit(0)
sys.stdin.close()
sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)))
"""


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that others may enter: pytest shuts its own again and again."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@_ROOT
async def test_the_first_use_by_several_users_at_once(open_to_all: Path) -> None:
    for index in range(5):
        shared = open_to_all / f"shared{index}"
        shared.mkdir()
        os.chown(shared, 0, 4321)
        shared.chmod(0o2770)
        command = [sys.executable, "-c", _FIRST_USE, str(shared)]
        done = await anyio.run_process(command, input=b"", check=False)
        assert done.returncode == 0, done.stderr.decode()


class _SlowDisk:
    """An `os.fsync` that does not come back until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self._go = threading.Event()
        monkeypatch.setattr("os.fsync", self._fsync)

    def _fsync(self, _descriptor: int) -> None:
        self.begun.set()
        self._go.wait(20)

    def finish(self) -> None:
        self._go.set()


async def test_a_slow_disk_costs_no_more_than_the_budget_and_names_the_file(tmp_path: Path, monkeypatch) -> None:
    async with FileCoordinator(tmp_path) as coordinator:
        disk = _SlowDisk(monkeypatch)
        with anyio.fail_after(15), pytest.raises(CoordinationError, match="timestamp could not be written in time"):
            await coordinator.acquire(KEY, _claim(seconds=1.5))
        assert disk.begun.is_set()
        disk.finish()
        lease = await coordinator.acquire(KEY, _claim(seconds=20))
        assert lease.take_timestamp() == 1_700_000_001  # the first one is used up
        lease.release(Pause())


async def test_a_slow_disk_is_not_the_gateways_fault(tmp_path: Path, monkeypatch) -> None:
    locker = SimulatedLocker(1, share_code=CODE)
    async with SimulatedGateway([locker], light=0, bluetooth=0) as sim, FileCoordinator(tmp_path) as coordinator:
        options = {"share_codes": {1: CODE}, "pacing": Pacing(0, 0), "coordinator": coordinator}
        async with AsyncGateway(sim.address, **options) as gateway:
            disk = _SlowDisk(monkeypatch)
            with anyio.fail_after(15), pytest.raises(CoordinationError, match="timestamp could not be written in time"):
                await gateway.locker(1).open(timeout=3.0)
            disk.finish()
            assert not sim.requests
            shared = driver_of(gateway).shared()
            assert shared.trouble is None
            assert not shared.turns._failures
            assert (await gateway.locker(1).open()).attempts == 1


async def test_a_cancelled_caller_does_not_wait_for_the_disk_and_nobody_overtakes_it(
    tmp_path: Path, monkeypatch
) -> None:
    async with FileCoordinator(tmp_path) as coordinator, FileCoordinator(tmp_path) as other:
        disk = _SlowDisk(monkeypatch)
        with anyio.fail_after(15):
            async with anyio.create_task_group() as group:
                group.start_soon(coordinator.acquire, KEY, _claim(seconds=60))
                await anyio.to_thread.run_sync(disk.begun.wait)
                group.cancel_scope.cancel()
            with pytest.raises(TurnTimeoutError):  # the turn is not free before the disk is done
                await other.acquire(KEY, _claim(seconds=0.1))
        disk.finish()
        lease = await other.acquire(KEY, _claim(seconds=20))
        assert lease.take_timestamp() == 1_700_000_001
        lease.release(Pause())
