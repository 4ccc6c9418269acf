"""The choice of a coordinator: the user's own folder, unless the environment or the file name another one."""

import getpass
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from thekeys_async.config.errors import ConfigurationError
from thekeys_async.coordination import Coordinator, FileCoordinator, RedisCoordinator
from thekeys_async.coordination.file_directory import naming
from thekeys_async.protocol.errors import CoordinationError

_REDIS_URL = "THEKEYS_REDIS_URL"
_NO_CLIENT = (
    f"{_REDIS_URL} is set, and the client for Redis is not installed; nothing was sent. "
    "Run: pip install 'thekeys-async[redis]'"
)


class OwnFolder(FileCoordinator):
    """Shares with this user's other processes alone: whoever can open the files of a turn can hold it up.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._own = path

    async def __aenter__(self) -> Self:
        """Make the folder for its owner only.

        Raises:
            CoordinationError: It can't be made, or it is not this user's alone.
        """
        entered = await super().__aenter__()
        with naming(self._own):
            found, link = self._own.stat(), self._own.lstat()  # who owns a link says where the folder is
        path = shlex.quote(str(self._own))
        if os.geteuid() != 0 and {found.st_uid, link.st_uid} != {os.geteuid()}:
            raise CoordinationError(f"nothing was sent: {path} belongs to somebody else. Run: sudo chown $USER {path}")
        if found.st_mode & 0o022:
            raise CoordinationError(f"nothing was sent: others can write in {path}. Run: chmod go-w {path}")
        return entered


def choose_coordinator(configured: Path | Callable[[], Path | None] | None) -> Coordinator | None:
    """Choose by environment, then configuration file; else the folder of this user.

    Args:
        configured: The folder that the file names; or what looks it up, if that is needed.

    Raises:
        ConfigurationError: The URL of Redis makes no sense, or the user's folder can't be found.
        CoordinationError: The client for Redis is missing.
    """
    if os.environ.get(_REDIS_URL):
        return _redis()
    folder = os.environ.get("THEKEYS_STATE_DIR") or (configured() if callable(configured) else configured)
    if folder:
        return FileCoordinator(folder)
    # Windows lacks the locks that it takes; a folder that was asked for says so.
    return None if sys.platform == "win32" else OwnFolder(default_state_folder())


def default_config_path() -> Path:
    """Return the default path of the file, in the platform's folder for configuration."""
    return _own_folder("user_config_path") / "config.toml"


def default_state_folder() -> Path:
    """Return the default folder of the shared state, in the platform's folder for it."""
    return _own_folder("user_state_path")


def _own_folder(kind: str) -> Path:
    """Take this user's folder, or one for temporary files where the user has no home: in many containers.

    Nobody else's is taken for it: whoever uses it checks whose it is.

    Args:
        kind: The name of one of platformdirs' functions.
    """
    try:
        import platformdirs  # noqa: PLC0415 - not needed by whoever says where file and state are
    except ImportError:
        words = "where this user's files are can't be told: say it with THEKEYS_CONFIG and THEKEYS_STATE_DIR"
        raise ConfigurationError(f"{words}, or run: pip install 'thekeys-async[config]'") from None
    with suppress(RuntimeError):  # a user without a home
        folder: Path = getattr(platformdirs, kind)("thekeys", appauthor=False)
        if folder.is_absolute():
            return folder
    user = str(os.getuid()) if sys.platform != "win32" else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"thekeys-{user}"


def _redis() -> Coordinator:
    try:
        return RedisCoordinator(os.environ[_REDIS_URL])  # bound to no name: it may hold a password
    except ValueError as error:
        raise ConfigurationError(f"{_REDIS_URL}: {error}") from None
    except ImportError:
        raise CoordinationError(_NO_CLIENT) from None
