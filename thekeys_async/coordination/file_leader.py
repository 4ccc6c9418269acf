"""The record of the leader among the processes of one machine, as a file: `<path>/.leaders/<name>`.

The file is locked only while somebody reads or writes it. So a leader that was stopped does not keep the others out:
what it wrote says until when it leads, by a clock that all processes of the machine share.
"""

import json
import math
import os
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path

import anyio
import attrs

from thekeys_async._clocks import boot_time
from thekeys_async.coordination.file_directory import Directory, is_removed, naming, try_lock, unlock
from thekeys_async.coordination.leader import AwayError

_FOLDER = ".leaders"  # no gateway's folder begins with a dot
_SIZE = 128
_LOOK_AGAIN = 0.01


@attrs.frozen
class _Leader:
    """The text of the file: who leads, when it was last heard of, and for how long that counts."""

    token: str = ""
    at: float = 0.0
    lease: float = 0.0

    def leads_for(self, now: float) -> float:
        """Seconds for which it still leads. A time that lies ahead is another boot's."""
        return self.at + self.lease - now if self.token and self.at <= now else 0.0


class FileLeader:
    """One candidate's view of the file; see `thekeys_async.coordination.leader.LeaderRecord`."""

    def __init__(self, root: Path, file_name: str, lease: float) -> None:
        self._root = root.absolute()
        self._file_name = file_name
        self._lease = lease
        self._token = secrets.token_hex(16)
        self._descriptor: int | None = None

    @property
    def intact(self) -> bool:
        """Whether the file is where others look for it: one that was removed, or moved away, keeps nobody out."""
        return self._descriptor is not None and self._is_there(self._descriptor)

    def _is_there(self, descriptor: int) -> bool:
        try:
            found = (self._root / _FOLDER / self._file_name).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # this process may not look any more: it has given up rights, say
            return not is_removed(descriptor)
        return os.path.samestat(found, os.fstat(descriptor))

    async def take(self) -> float:
        """See `thekeys_async.coordination.leader.LeaderRecord.take`."""
        with naming(self._root / _FOLDER / self._file_name):
            if self._descriptor is None or not self._is_there(self._descriptor):
                self._close()
                self._descriptor = self._open()
            if not try_lock(self._descriptor):
                return _LOOK_AGAIN
            try:
                return self._take(self._descriptor) if self._is_there(self._descriptor) else _LOOK_AGAIN
            finally:
                unlock(self._descriptor)

    def _take(self, descriptor: int) -> float:
        now = boot_time()
        found = self._read(descriptor)
        seconds = found.leads_for(now)
        if found.token != self._token and seconds > 0:
            return seconds
        self._write(descriptor, _Leader(self._token, now, self._lease))
        return 0.0

    async def renew(self) -> bool:
        """See `thekeys_async.coordination.leader.LeaderRecord.renew`."""
        return self._rewrite(_Leader(self._token, boot_time(), self._lease))

    async def release(self) -> None:
        """See `thekeys_async.coordination.leader.LeaderRecord.release`."""
        try:
            while True:
                try:
                    self._rewrite(_Leader())
                except AwayError:
                    await anyio.sleep(_LOOK_AGAIN)
                else:
                    return
        finally:
            self._close()

    def _rewrite(self, leader: _Leader) -> bool:
        """Rewrite the record if this candidate leads.

        Raises:
            AwayError: Another one is just reading it, or it can't be written.
        """
        descriptor = self._descriptor
        if descriptor is None or not self._is_there(descriptor):
            return False
        try:
            if not try_lock(descriptor):
                raise AwayError("somebody else is reading it")
            try:
                if self._read(descriptor).token != self._token:
                    return False
                self._write(descriptor, leader)
            finally:
                unlock(descriptor)
        except OSError as error:
            raise AwayError(error.strerror or type(error).__name__) from None
        return True

    def _open(self) -> int:
        with ExitStack() as opened:
            root = Directory.root(self._root)
            opened.callback(root.close)
            folder = root.directory(_FOLDER)
            opened.callback(folder.close)
            return folder.open(self._file_name, create=True)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @staticmethod
    def _read(descriptor: int) -> _Leader:
        """Read the record; a text that can't be read names no leader."""
        with suppress(ValueError, TypeError, KeyError):
            fields = json.loads(os.pread(descriptor, _SIZE, 0))
            found = _Leader(str(fields["token"]), float(fields["at"]), float(fields["lease"]))
            return found if math.isfinite(found.lease) else _Leader()
        return _Leader()

    @staticmethod
    def _write(descriptor: int, leader: _Leader) -> None:
        os.pwrite(descriptor, json.dumps(attrs.asdict(leader)).encode().ljust(_SIZE - 1) + b"\n", 0)
