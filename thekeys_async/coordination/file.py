"""`FileCoordinator`: turns and timestamps that hold across the processes of one machine."""

import logging
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from thekeys_async._clocks import boot_time
from thekeys_async.coordination.base import (
    FAR_AHEAD,
    LONGEST_SLEEP,
    TRIED_JUST_NOW,
    Claim,
    Freshness,
    LeaseLostError,
    Pause,
    TurnTimeoutError,
    Wish,
    far_ahead,
    look_again_after,
)
from thekeys_async.coordination.file_directory import Directory, check_support, naming
from thekeys_async.coordination.file_folder import GatewayFolder, TurnFile, file_name
from thekeys_async.coordination.file_leader import FileLeader
from thekeys_async.coordination.file_tickets import Ticket, count_alive, tickets
from thekeys_async.coordination.leader import LeaderLease, check_arguments
from thekeys_async.coordination.rules import Place, Record, in_order, next_timestamp, turns_until
from thekeys_async.protocol.errors import CoordinationError

_log = logging.getLogger("thekeys_async")

_WRITERS = 8
_SLOW_DISK = 0.1


class FileCoordinator:
    """Shares turns and timestamps between the processes of one machine, through files in a folder.

    The turn is a lock of the operating system: it ends with the process that holds it, kill -9 too, and with nothing
    else. A process that is stopped in its turn keeps it until it goes on or is killed. The last timestamp is on
    the disk before it is used.

    New files get the permissions of the folder: for users of one group, make it writable for the group (and give it
    the setgid bit), without the sticky bit. It must be on a local disk. Windows is not supported.

    Args:
        path: The folder; it is made, for this user alone, if it is not there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._writers: anyio.CapacityLimiter | None = None
        self._being_written: set[Path] = set()

    def __repr__(self) -> str:
        return f"FileCoordinator({str(self._path)!r})"

    async def __aenter__(self) -> Self:
        """Make the folder.

        Raises:
            CoordinationError: It can't be made, or this system has no such locks.
        """
        check_support()
        Directory.root(self._path).close()
        self._writers = anyio.CapacityLimiter(_WRITERS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more claims. Turns that are still held stay held until they are given back."""
        self._writers = None

    async def acquire(self, key: str, claim: Claim) -> "FileLease":
        """See `thekeys_async.coordination.base.Coordinator.acquire`."""
        self._check_entered()
        claimant = _FileClaimant(GatewayFolder(self._path, key), claim)
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
            with naming(claimant.folder.path):
                while (seconds := claimant.look()) > 0:
                    self._note_slow_disk(claimant.folder.timestamp, claim)
                    await _sleep(seconds, claim)
            claim.trouble.clear()
            if claimant.timestamp:
                await self._store(claimant, claim)
            return claimant.lease()
        finally:
            claimant.close()

    def lead(self, name: str, *, lease: float = 10.0) -> LeaderLease:
        """Ask for the right to lead, which one process at a time holds: ``async with`` waits for it.

        A leader that dies or is stopped has lost it after `lease` seconds.

        Args:
            name: The name of the work to lead.
            lease: Seconds for which a leader that is not heard of is waited for.

        Raises:
            ValueError: An argument makes no sense.
            RuntimeError: The coordinator was not entered.
        """
        check_arguments(name, lease)
        self._check_entered()
        return LeaderLease(FileLeader(self._path, file_name(name), lease), name, lease)

    def _check_entered(self) -> None:
        if self._writers is None:
            raise RuntimeError("enter the coordinator first: async with FileCoordinator(...) as coordinator")

    def _note_slow_disk(self, path: Path, claim: Claim) -> None:
        """Note whether an earlier call of this process holds the turn, as the disk has not finished its write."""
        if path in self._being_written:
            claim.trouble.note(_too_slow(path), after=_SLOW_DISK)
        else:
            claim.trouble.clear()

    async def _store(self, claimant: "_FileClaimant", claim: Claim) -> None:
        """Force the timestamp to the disk, which may take longer than a caller waits.

        A caller that is cancelled, or has no time left, leaves at once. The write ends in the background, and keeps the
        turn until then: nobody takes the next timestamp before this one is on the disk.

        Raises:
            CoordinationError: It can't be written, or not in time.
            TurnTimeoutError: There was hardly any time left when it was begun.
        """
        path = claimant.folder.timestamp
        claim.trouble.note(_too_slow(path), after=_SLOW_DISK)
        with anyio.move_on_after(claim.until - anyio.current_time()) as scope:
            await anyio.to_thread.run_sync(
                claimant.store, self._being_written, limiter=self._writers, abandon_on_cancel=True
            )
            claim.trouble.clear()
        if scope.cancelled_caught and claim.trouble.text:
            raise CoordinationError(claim.trouble.text)
        if scope.cancelled_caught:
            raise TurnTimeoutError


class _FileClaimant:
    """One caller on the way to the turn. Each step is short and does not wait."""

    def __init__(self, folder: GatewayFolder, claim: Claim) -> None:
        self.folder = folder
        self.timestamp = 0
        self._claim = claim
        self._ticket = Ticket(folder.waiting, command=claim.command, since=boot_time() - claim.waited)
        self._turn: TurnFile | None = TurnFile(folder)
        self._next_since: float | None = None
        self._record: Record | None = None
        self._freshness = Freshness()
        self._closing = threading.Lock()
        self._storing = False
        self._left = False

    def look(self) -> float:
        """Take the turn if it is time; if not, say after how many seconds to look again."""
        turn, place = self._open_turn(), self._ticket.place
        waiting = [*tickets(self.folder.waiting, self._ticket), place]
        streak = turn.read().streak
        ordered = in_order(waiting, streak)
        ahead = count_alive(self.folder.waiting, ordered[: ordered.index(place)])
        if ahead:
            self._next_since = None
            seconds = look_again_after(turns_until(place, ahead, waiting, streak), 0.0)
        else:
            seconds = self._take(turn, waiting)
        if seconds > 0:
            self._ticket.show()
        return seconds

    def store(self, being_written: set[Path]) -> None:
        """Force the timestamp to the disk; in a thread, which closes everything if the caller has left meanwhile."""
        with self._closing:
            if self._left:
                return
            self._storing = True
        try:
            being_written.add(self.folder.timestamp)
            self.folder.write_timestamp(self.timestamp)
        finally:
            being_written.discard(self.folder.timestamp)
            if self._is_abandoned():
                self._close()

    def _is_abandoned(self) -> bool:
        with self._closing:
            self._storing = False
            return self._left

    def lease(self) -> "FileLease":
        """Hand over the turn."""
        turn, record = self._open_turn(), self._record or Record()
        self._turn = None
        return FileLease(turn, record, self.timestamp, self._freshness)

    def close(self) -> None:
        """Leave nothing behind but a turn that was handed over, and a write that the disk is busy with."""
        with self._closing:
            self._left = True
            if self._storing:
                return
        self._close()

    def _close(self) -> None:
        try:
            with naming(self.folder.path):
                self._ticket.drop()
                if self._turn and self._record:
                    self._turn.write(attrs.evolve(self._record, orphan=None))
        finally:
            if self._turn:
                self._turn.close()
            self.folder.close()

    def _take(self, turn: TurnFile, waiting: list[Place]) -> float:
        now = boot_time()
        self._next_since = self._next_since or now
        if not turn.lock():
            return look_again_after(0, now - self._next_since)
        seconds = self._prepare(turn, waiting, now)
        if seconds > 0:
            turn.unlock()
        return seconds

    def _prepare(self, turn: TurnFile, waiting: list[Place], now: float) -> float:
        """Check, with the turn locked, whether the gateway may be asked, and get the timestamp."""
        record = turn.read()
        if record.orphan is not None:
            record = record.orphaned(now)
            turn.write(record)
        seconds = record.ready_at(waiting, now) - now
        if seconds <= 0 and self._claim.wish:
            record, seconds = self._choose(record, self._claim.wish)
        if seconds <= 0:
            self._record = record.taken(self._ticket.place, waiting, self._claim)
            turn.write(self._record)
        return seconds

    def _choose(self, record: Record, wish: Wish) -> tuple[Record, float]:
        """Choose the timestamp; return the record to keep, and the seconds to wait before it may be taken.

        Raises:
            CoordinationError: The last one is far ahead, and the gateway has just refused the clock's own time.
        """
        self._freshness = Freshness()
        last, clock = self.folder.read_timestamp(), wish.clock()
        if record.refused == last:
            if record.before - clock > FAR_AHEAD and clock - last < TRIED_JUST_NOW:
                raise CoordinationError(far_ahead(str(self.folder.timestamp), record.before - clock))
            last = record.before
        self.timestamp, seconds = next_timestamp(last, wish)
        return attrs.evolve(record, before=last, refused=None), seconds

    def _open_turn(self) -> TurnFile:
        if self._turn is None:
            raise RuntimeError("the turn has been handed over")
        return self._turn


class FileLease:
    """The turn of one gateway, held by the lock of a file. See `thekeys_async.coordination.base.Lease`."""

    def __init__(self, turn: TurnFile, record: Record, timestamp: int, freshness: Freshness) -> None:
        self._turn = turn
        self._record = record
        self._timestamp = timestamp
        self._freshness = freshness

    @property
    def failures(self) -> int:
        """See `thekeys_async.coordination.base.Lease.failures`."""
        return self._record.pause.failures

    def check(self) -> None:
        """See `thekeys_async.coordination.base.Lease.check`; the lock is lost only with its file."""
        if self._turn.lost:
            raise LeaseLostError("somebody has removed the file of the turn; nothing was sent")

    def take_timestamp(self) -> int:
        """See `thekeys_async.coordination.base.Lease.take_timestamp`."""
        self.check()
        self._freshness.check()
        return self._timestamp

    def release(self, pause: Pause, *, refused: bool = False) -> None:
        """See `thekeys_async.coordination.base.Lease.release`; done at once."""
        which = self._timestamp if refused and self._timestamp else self._record.refused
        try:
            if not self._turn.lost:
                self._turn.write(attrs.evolve(self._record, at=boot_time(), pause=pause, orphan=None, refused=which))
        except OSError as error:
            _log.warning("the gateway's rest can't be told to other processes: %s", error)
        finally:
            self._turn.close()


async def _sleep(seconds: float, claim: Claim) -> None:
    left = claim.until - anyio.current_time()
    if left <= 0 and claim.trouble.text:
        raise CoordinationError(claim.trouble.text)
    if left <= 0:
        raise TurnTimeoutError
    await anyio.sleep(min(seconds, left, LONGEST_SLEEP))


def _too_slow(path: Path) -> str:
    return f"nothing was sent: {path} could not be written in time; is the disk too slow?"
