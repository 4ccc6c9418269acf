"""The folder of one gateway: its turn, its last timestamp, and its waiters' tickets.

<path>/<gateway's key>/turn         locked by who holds the turn; what the gateway needs between two turns
<path>/<gateway's key>/timestamp    the last timestamp: on the disk before it is used, never torn, never reset
<path>/<gateway's key>/waiting/     a locked file for each waiter
"""

import contextlib
import hashlib
import json
import os
import re
import zlib
from pathlib import Path
from urllib.parse import quote

import attrs

from thekeys_async.coordination.base import Pause
from thekeys_async.coordination.file_directory import Directory, is_removed, naming, try_lock, unlock
from thekeys_async.coordination.rules import Record
from thekeys_async.protocol.errors import CoordinationError

_LONGEST_NAME = 200
_TURN = "turn"
_SIZE = 256
_TIMESTAMP = "timestamp"
_TEXT = re.compile(rb"(\d{1,15}) ([0-9a-f]{8})\n")
_LONGEST_TEXT = 64


class GatewayFolder:
    """The shared state of one gateway, held open by one claimant.

    Attributes:
        path: The folder.
        waiting: The directory of the waiters' tickets.
    """

    def __init__(self, root: Path, key: str) -> None:
        """Open the folder; make what is missing.

        Raises:
            CoordinationError: It can't be used.
        """
        with contextlib.ExitStack() as opened:
            top = Directory.root(root)
            opened.callback(top.close)
            self._directory = top.directory(file_name(key))
            opened.callback(self._directory.close)
            self.path = self._directory.path
            self.waiting = self._directory.directory("waiting")
            top.close()
            opened.pop_all()

    @property
    def timestamp(self) -> Path:
        """The file with the last timestamp, for messages."""
        return self.path / _TIMESTAMP

    def close(self) -> None:
        """Close it."""
        self.waiting.close()
        self._directory.close()

    def open_turn(self) -> int:
        """Open the file that is the turn.

        Raises:
            OSError: It can't be used.
        """
        return self._directory.open(_TURN, create=True)

    def read_timestamp(self) -> int:
        """Read the last timestamp; 0 if there never was one.

        Raises:
            CoordinationError: The file can't be read, or holds something else; the message names it.
        """
        path = self.timestamp
        with naming(path):
            try:
                descriptor = self._directory.open(_TIMESTAMP)
            except FileNotFoundError:
                return 0
            try:
                text = os.read(descriptor, _LONGEST_TEXT)
            finally:
                os.close(descriptor)
        match = _TEXT.fullmatch(text)
        if match is None or match[2] != _checksum(match[1]):
            raise CoordinationError(
                f"{path} is damaged: it does not hold a timestamp and its checksum. Remove it, if you know that the "
                "clock is past every timestamp that the gateway has been sent: what is not newer is refused"
            )
        return int(match[1])

    def write_timestamp(self, timestamp: int) -> None:
        """Write the last timestamp; on return it is on the disk. Only for the holder of the turn.

        A new file is written beside the old one, forced to the disk and renamed over it, and then the folder is
        forced to the disk: a crash at any point leaves the old timestamp or the new one.

        Raises:
            CoordinationError: It can't be written; the message names the file.
        """
        digits, new = b"%d" % timestamp, f"{_TIMESTAMP}.new"
        with naming(self.timestamp):
            try:
                descriptor = self._directory.create(new)
            except FileExistsError:  # left behind by a process that was killed
                self._directory.remove(new)
                descriptor = self._directory.create(new)
            try:
                os.write(descriptor, digits + b" " + _checksum(digits) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._directory.replace(new, _TIMESTAMP)


class TurnFile:
    """The turn as a file, opened by one claimant: whoever has locked it holds the turn.

    Its text is for who comes next. It is written in place and not forced to the disk: it says when the gateway may be
    asked again, which means nothing any more after a crash of the machine. So a text that can't be read counts as none.
    """

    def __init__(self, folder: GatewayFolder) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def read(self) -> Record:
        """Read the record; while another holds the turn it may be old.

        Raises:
            OSError: The file can't be opened.
        """
        return _decode(os.pread(self._open(), _SIZE, 0))

    def write(self, record: Record) -> None:
        """Write the record; only for the holder of the turn.

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
            self._descriptor = self._folder.open_turn()
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


def _checksum(digits: bytes) -> bytes:
    return b"%08x" % zlib.crc32(digits)


def file_name(key: str) -> str:
    """Make the name of a file or a folder from any text; it never begins with a dot."""
    name = quote(key, safe="").replace(".", "%2E") if key.startswith(".") else quote(key, safe="")
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(key.encode()).hexdigest()
