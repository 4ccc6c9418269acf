"""The waiters of all processes, as files in a folder: a ticket counts as long as its process holds its lock.

The name says where it stands: class, age, and something to tell it from the others. A killed process's ticket is no
longer locked, and is removed by who comes after it. A stopped process's ticket is not touched any more, and is passed
over until its process goes on.
"""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from thekeys_async.coordination.base import LONGEST_SLEEP
from thekeys_async.coordination.file_folder import open_shared
from thekeys_async.coordination.locks import is_removed, try_lock, try_share
from thekeys_async.coordination.rules import Place

_NAME = re.compile(r"([01])-(\d{15})-([0-9a-f]{16})")
_MICROSECONDS = 1e6
_LONGEST_SILENCE = 4 * LONGEST_SLEEP


class Ticket:
    """One waiter's ticket; its file is there only from the first time that it has to wait."""

    def __init__(self, folder: Path, *, command: bool, since: float) -> None:
        microseconds = max(0, int(since * _MICROSECONDS))
        self.place = Place(0 if command else 1, microseconds / _MICROSECONDS, secrets.token_hex(8))
        self._folder = folder
        self._name = f"{self.place.kind}-{microseconds:015d}-{self.place.token}"
        self._descriptor: int | None = None

    def show(self) -> None:
        """Make it visible to the others, or show them that its process is still there.

        Raises:
            OSError: The folder can't be used.
        """
        if self._descriptor is not None and is_removed(self._descriptor):
            self.drop()
        if self._descriptor is not None:
            os.utime(self._descriptor)
        while self._descriptor is None:
            descriptor = open_shared(self._path, os.O_CREAT | os.O_EXCL)
            # Until it is locked it looks like a dead process's, and somebody may be just removing it.
            if try_lock(descriptor) and not is_removed(descriptor):
                self._descriptor = descriptor
            else:
                _remove(self._path, descriptor)

    @property
    def _path(self) -> Path:
        return self._folder / self._name

    def drop(self) -> None:
        """Remove it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _remove(self._path, descriptor)


def tickets(folder: Path, but: Ticket) -> list[Place]:
    """List the tickets of all others, also of those who may have died.

    Raises:
        OSError: The folder can't be read.
    """
    found = [_NAME.fullmatch(name) for name in os.listdir(folder)]  # noqa: PTH208 - names, not paths; read often
    return [
        Place(int(match[1]), int(match[2]) / _MICROSECONDS, match[3])
        for match in found
        if match and match[3] != but.place.token
    ]


def count_alive(folder: Path, ahead: Sequence[Place]) -> int:
    """Count who is ahead of a waiter, leaving out the dead and the stopped until the first who is neither.

    Raises:
        OSError: The folder can't be used.
    """
    for index, place in enumerate(ahead):
        if _counts(folder, place):
            return len(ahead) - index
    return 0


def _counts(folder: Path, place: Place) -> bool:
    path = folder / f"{place.kind}-{round(place.since * _MICROSECONDS):015d}-{place.token}"
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except PermissionError:
        # Another user has made it a moment ago, and is about to open it to us.
        return True
    if not try_share(descriptor):
        silent = time.time() - os.fstat(descriptor).st_mtime
        os.close(descriptor)
        return silent < _LONGEST_SILENCE
    _remove(path, descriptor)
    return False


def _remove(path: Path, descriptor: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    os.close(descriptor)
