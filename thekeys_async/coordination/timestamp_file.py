"""The last timestamp of one gateway as a file: on the disk before it is used, never torn, never reset.

A new file is written beside the old one, forced to the disk and renamed over it, and then the folder is forced to the
disk: a crash at any point leaves the old timestamp or the new one. Anything else in the file is somebody else's doing.
"""

import os
import re
import zlib
from pathlib import Path

from thekeys_async.coordination.file_folder import naming, open_shared
from thekeys_async.protocol.errors import CoordinationError

_TEXT = re.compile(rb"(\d{1,15}) ([0-9a-f]{8})\n")
_LONGEST = 64


def read_timestamp(path: Path) -> int:
    """Read the last timestamp; 0 if there never was one.

    Raises:
        CoordinationError: The file can't be read, or holds something else; the message names it.
    """
    with naming(path):
        try:
            text = _read(path)
        except FileNotFoundError:
            return 0
    match = _TEXT.fullmatch(text)
    if match is None or match[2] != _checksum(match[1]):
        raise CoordinationError(
            f"{path} is damaged: it does not hold a timestamp and its checksum. Remove it, if you know that the clock "
            "is past every timestamp that the gateway has been sent: what is not newer is refused"
        )
    return int(match[1])


def write_timestamp(path: Path, timestamp: int) -> None:
    """Make it the last timestamp; on return it is on the disk. Only for who holds the turn.

    Raises:
        CoordinationError: It can't be written; the message names the file.
    """
    digits = b"%d" % timestamp
    new = path.with_name(f"{path.name}.new")
    with naming(path):
        _write(new, digits + b" " + _checksum(digits) + b"\n")
        new.replace(path)
        _force(path.parent)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)


def _write(path: Path, text: bytes) -> None:
    try:
        descriptor = open_shared(path, os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        # Left behind by a process that was killed.
        path.unlink()
        descriptor = open_shared(path, os.O_CREAT | os.O_EXCL)
    try:
        os.write(descriptor, text)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _force(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(digits: bytes) -> bytes:
    return b"%08x" % zlib.crc32(digits)
