"""The turn of one gateway as a file: whoever has locked it holds the turn, and its text is for who comes next.

The text is written in place and not forced to the disk: it says when the gateway may be asked again, which means
nothing any more after a crash of the machine. So a text that can't be read counts as none.
"""

import contextlib
import json
import os

import attrs

from thekeys_async.coordination.base import Pause
from thekeys_async.coordination.file_folder import GatewayFolder, open_shared
from thekeys_async.coordination.locks import is_removed, try_lock, unlock
from thekeys_async.coordination.rules import Record

_SIZE = 256


class TurnFile:
    """The file, opened by one claimant."""

    def __init__(self, folder: GatewayFolder) -> None:
        self._path = folder.turn
        self._descriptor: int | None = None

    def read(self) -> Record:
        """Read what is remembered; while another holds the turn that may be old.

        Raises:
            OSError: The file can't be opened.
        """
        return _decode(os.pread(self._open(), _SIZE, 0))

    def write(self, record: Record) -> None:
        """Write what is to be remembered; only for who holds the turn.

        Raises:
            OSError: The file can't be written.
        """
        os.pwrite(self._open(), _encode(record), 0)

    def lock(self) -> bool:
        """Take the turn, unless another holds it.

        Raises:
            OSError: The file can't be opened.
        """
        if not try_lock(self._open()):
            return False
        if self.lost:
            self.close()
            return False
        return True

    def unlock(self) -> None:
        """Give the turn back and keep the file open."""
        unlock(self._open())

    @property
    def lost(self) -> bool:
        """Whether somebody has removed the file."""
        return self._descriptor is None or is_removed(self._descriptor)

    def close(self) -> None:
        """Close the file, which gives back the turn if it is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # Closing it would not do if the process has forked meanwhile.
            unlock(descriptor)
            os.close(descriptor)

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = open_shared(self._path, os.O_CREAT)
        return self._descriptor


def _encode(record: Record) -> bytes:
    fields = _fields(record) | {"pause": _fields(record.pause)}
    return json.dumps(fields).encode().ljust(_SIZE - 1) + b"\n"


def _fields(value: Record | Pause) -> dict[str, object]:
    return attrs.asdict(value, recurse=False)


def _decode(text: bytes) -> Record:
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        fields = json.loads(text)
        pause = Pause(**fields.pop("pause"))
        return Record(pause=pause, **fields)
    return Record()
