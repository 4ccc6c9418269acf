"""With whom the command shares turns and timestamps: through the user's own folder, unless somebody says otherwise."""

import os
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self, TypeVar

import click

from thekeys_async.cli.config_file import own_folder
from thekeys_async.cli.errors import other_failure
from thekeys_async.cli.exits import ExitCode
from thekeys_async.cli.options import Settings
from thekeys_async.cli.targets import configured_state_dir
from thekeys_async.coordination import Coordinator, FileCoordinator, RedisCoordinator
from thekeys_async.coordination.file_directory import naming
from thekeys_async.protocol.errors import CoordinationError

T = TypeVar("T")

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


def chosen_coordinator(settings: Settings) -> Coordinator | None:
    """Choose by flag, then environment, then configuration file; else the folder of this user.

    Raises:
        click.UsageError: Flags contradict each other, or the URL of Redis makes no sense.
        Failure: The configuration file can't be used, or the client for Redis is missing.
    """
    if settings.no_coordination:
        if settings.state_dir is not None:
            raise click.UsageError("--state-dir and --no-coordination contradict each other.")
        return None
    if settings.state_dir is not None:
        if not settings.state_dir:
            raise click.UsageError("--state-dir: a folder is needed.")
        return FileCoordinator(settings.state_dir)
    if os.environ.get(_REDIS_URL):
        return _redis(settings)
    folder = os.environ.get("THEKEYS_STATE_DIR") or configured_state_dir(settings)
    if folder:
        return FileCoordinator(folder)
    # Windows has not the locks that it takes; a folder that was asked for says so.
    return None if sys.platform == "win32" else OwnFolder(default_folder())


async def within(coordinator: Coordinator | None, work: Callable[[], Awaitable[T]]) -> T:
    """Do work while the coordinator, if there is one, is at work.

    Raises:
        CoordinationError: It can't begin.
    """
    if coordinator is None:
        return await work()
    async with coordinator:
        return await work()


def default_folder() -> Path:
    """Say where the state is if nobody says otherwise: in the platform's folder for it."""
    import platformdirs  # noqa: PLC0415 - not needed by whoever says where the state is

    return own_folder(platformdirs.user_state_path)


def _redis(settings: Settings) -> Coordinator:
    try:
        return RedisCoordinator(os.environ[_REDIS_URL])  # bound to no name: it may hold a password
    except ValueError as error:
        raise click.UsageError(f"{_REDIS_URL}: {error}") from None
    except ImportError:
        raise other_failure("MissingExtra", _NO_CLIENT, ExitCode.COORDINATION, as_json=settings.json) from None
