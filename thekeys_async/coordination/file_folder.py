"""The folder of one gateway: how it is called, who may use it, and errors that name the file.

<path>/<gateway's key>/turn         locked by who holds the turn; what the gateway needs between two turns
<path>/<gateway's key>/timestamp    the last timestamp
<path>/<gateway's key>/waiting/     a locked file for each waiter
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote

import attrs

from thekeys_async.protocol.errors import CoordinationError

_LONGEST_NAME = 200


@attrs.frozen
class GatewayFolder:
    """Where the shared state of one gateway is.

    Attributes:
        path: The folder itself.
        turn: The file that is the turn.
        timestamp: The file with the last timestamp.
        waiting: The folder of the waiters' tickets.
    """

    path: Path
    turn: Path
    timestamp: Path
    waiting: Path

    @classmethod
    def make(cls, root: Path, key: str) -> "GatewayFolder":
        """Make the folder of a gateway, if it is not there yet.

        Raises:
            CoordinationError: It can't be made.
        """
        path = root / _file_name(key)
        folder = cls(path, path / "turn", path / "timestamp", path / "waiting")
        _make(folder.path)
        _make(folder.waiting)
        return folder


@contextlib.contextmanager
def naming(path: Path) -> Generator[None]:
    """Turn the operating system's errors into one that names the file.

    Raises:
        CoordinationError: Whatever went wrong with it.
    """
    try:
        yield
    except OSError as error:
        which, reason = error.filename or path, error.strerror or type(error).__name__
    else:
        return
    raise CoordinationError(f"nothing was sent: {which} can't be used ({reason})")


def open_shared(path: Path, flags: int) -> int:
    """Open a file for reading and writing; a new one gets the permissions of its folder, for other users' sake."""
    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    allowed = stat.S_IMODE(path.parent.stat().st_mode) & 0o666 if flags & os.O_CREAT else 0
    if allowed and stat.S_IMODE(os.fstat(descriptor).st_mode) != allowed:
        # Only its owner may; whoever is not has found it as its owner left it.
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, allowed)
    return descriptor


def _make(path: Path) -> None:
    with naming(path):
        try:
            path.mkdir()
        except FileExistsError:
            if not path.is_dir():
                raise
        else:
            path.chmod(stat.S_IMODE(path.parent.stat().st_mode) & 0o2777)


def _file_name(key: str) -> str:
    name = quote(key, safe="").replace(".", "%2E") if key.startswith(".") else quote(key, safe="")
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(key.encode()).hexdigest()
