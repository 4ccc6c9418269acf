"""The waiters of all processes, as files in a folder: a ticket counts as long as its process holds its lock.

The name says where it stands: class, age, and something to tell it from the others. A killed process's ticket is no
longer locked, and is removed by who comes after it. A stopped process's ticket is not touched any more, and is passed
over until its process goes on.
"""

import os
import re
import secrets
import time
from collections.abc import Sequence

from thekeys_async.coordination.base import LONGEST_SLEEP
from thekeys_async.coordination.file_directory import Directory, is_removed, try_lock
from thekeys_async.coordination.rules import Place

_NAME = re.compile(r"([01])-(\d{15})-([0-9a-f]{16})")
_MICROSECONDS = 1e6
_LONGEST_SILENCE = 4 * LONGEST_SLEEP


class Ticket:
    """One waiter's ticket; its file is there only from the first time that it has to wait."""

    def __init__(self, waiting: Directory, *, command: bool, since: float) -> None:
        microseconds = max(0, int(since * _MICROSECONDS))
        self.place = Place(0 if command else 1, microseconds / _MICROSECONDS, secrets.token_hex(8))
        self._waiting = waiting
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
            descriptor = self._waiting.create(self._name)
            # Until it is locked it looks like a dead process's, and somebody may be just removing it.
            if try_lock(descriptor) and not is_removed(descriptor):
                self._descriptor = descriptor
            else:
                _remove(self._waiting, self._name, descriptor)

    def drop(self) -> None:
        """Remove it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _remove(self._waiting, self._name, descriptor)


def tickets(waiting: Directory, but: Ticket) -> list[Place]:
    """List the tickets of all others, also of those who may have died.

    Raises:
        OSError: The folder can't be read.
    """
    found = [_NAME.fullmatch(name) for name in waiting.names()]
    return [
        Place(int(match[1]), int(match[2]) / _MICROSECONDS, match[3])
        for match in found
        if match and match[3] != but.place.token
    ]


def count_alive(waiting: Directory, ahead: Sequence[Place]) -> int:
    """Count the waiters ahead of one, leaving out the dead and the stopped until the first that is neither.

    Raises:
        OSError: The folder can't be used.
    """
    for index, place in enumerate(ahead):
        if _counts(waiting, place):
            return len(ahead) - index
    return 0


def _counts(waiting: Directory, place: Place) -> bool:
    name = f"{place.kind}-{round(place.since * _MICROSECONDS):015d}-{place.token}"
    try:
        descriptor = waiting.open(name)
    except OSError:  # gone, or nothing that one of us has made
        return False
    if not try_lock(descriptor, shared=True):
        silent = time.time() - os.fstat(descriptor).st_mtime
        os.close(descriptor)
        return silent < _LONGEST_SILENCE
    _remove(waiting, name, descriptor)
    return False


def _remove(waiting: Directory, name: str, descriptor: int) -> None:
    waiting.remove(name)
    os.close(descriptor)
