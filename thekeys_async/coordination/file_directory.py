"""A directory of shared state, held open: files are opened below it, and never through somebody else's links.

Other users may write in the folder. So nothing is reached by a path twice, no symbolic link is followed, nothing that
waits (a FIFO) is waited for, only a regular file with one name is used, and permissions are set on nothing but what
was made here.

The locks are flock's, not POSIX record locks: those belong to a process, so that two event loops of one process would
not keep each other out, and closing any descriptor of the file would drop them. A child that was forked in the middle
of a turn, and lives on when its parent is killed, keeps the parent's lock until it ends.
"""

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from thekeys_async.protocol.errors import CoordinationError

# Windows has no flock, and can neither replace nor delete a file that another process has open.
if sys.platform != "win32":
    import fcntl

_T = TypeVar("_T")
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_BEING_MADE = 1.0
_LOOK_AGAIN = 0.001
_LONGEST_LOOK = 0.1


class Directory:
    """A directory that is held open.

    Args:
        path: Where it is, for messages.
        descriptor: The open directory; closed by `close`.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def root(cls, path: Path) -> "Directory":
        """Open the root of the shared state; make it, for this user alone, if it is not there.

        Raises:
            CoordinationError: It can't be used.
        """
        with naming(path):
            for parent in reversed(path.parents):
                if not parent.is_dir():
                    _make(parent, 0o755)
            if not path.is_dir():
                _make(path, 0o700)
            return cls(path, os.open(path, _DIRECTORY | os.O_CLOEXEC))

    def directory(self, name: str) -> "Directory":
        """Open a directory in this one; make it, with the permissions of this one, if it is not there."""
        path = self.path / name
        with naming(path):
            made = True
            try:
                os.mkdir(name, 0o700, dir_fd=self._descriptor)
            except FileExistsError:
                made = False
            descriptor = self._patiently(name, lambda: self._open(name, _DIRECTORY, 0))
            return Directory(path, self._handed_over(descriptor, 0o2777) if made else descriptor)

    def open(self, name: str, *, create: bool = False) -> int:
        """Open a file in it for reading and writing; a new one gets the permissions of the directory.

        Raises:
            FileNotFoundError: It is not there, and is not to be created.
            OSError: It can't be used: the name in the error is the whole path.
        """
        while True:
            try:
                return self._patiently(name, lambda: self._regular(name, self._open(name, os.O_RDWR, 0)))
            except FileNotFoundError:
                if not create:
                    raise
            with contextlib.suppress(FileExistsError):  # somebody was quicker
                return self.create(name)

    def create(self, name: str) -> int:
        """Create a file that is not there yet.

        Raises:
            FileExistsError: It is there.
            OSError: It can't be created.
        """
        descriptor = self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        return self._handed_over(descriptor, 0o666)

    def names(self) -> list[str]:
        """List what is in it."""
        return os.listdir(self._descriptor)  # noqa: PTH208 - an open directory has no path

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._named(name):
            os.unlink(name, dir_fd=self._descriptor)

    def replace(self, old: str, new: str) -> None:
        """Give a file another one's name, and force that to the disk."""
        with self._named(new):
            os.replace(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _open(self, name: str, flags: int, mode: int) -> int:
        with self._named(name):
            try:
                return os.open(name, flags | _SAFELY, mode, dir_fd=self._descriptor)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.EMLINK}:
                    raise OSError(error.errno, "it is a symbolic link", name) from None
                raise

    def _regular(self, name: str, descriptor: int) -> int:
        """Check that an open file is a file, and no other name of somebody else's."""
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file with one name", str(self.path / name))

    def _handed_over(self, descriptor: int, allowed: int) -> int:
        """Give a new file the permissions of the directory, and its owner if root made it: other users need it."""
        try:
            folder = os.fstat(self._descriptor)
            if os.geteuid() == 0 and folder.st_uid != 0:
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(folder.st_mode) & allowed)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _patiently(self, name: str, use: Callable[[], _T]) -> _T:
        """Retry an action on a file that another user may have made a moment ago, and is about to open to us.

        For a moment only: somebody who keeps it so must not keep the event loop.
        """
        give_up_at = time.monotonic() + _LONGEST_LOOK
        while True:
            try:
                return use()
            except PermissionError:
                made = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_ctime
                if abs(time.time() - made) > _BEING_MADE or time.monotonic() > give_up_at:
                    raise
                time.sleep(_LOOK_AGAIN)

    @contextlib.contextmanager
    def _named(self, name: str) -> Generator[None]:
        """Let an error name the whole path."""
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = str(self.path / name), None
            raise


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


def check_support() -> None:
    """Check that this system has the locks.

    Raises:
        CoordinationError: It has not.
    """
    if sys.platform == "win32":
        raise CoordinationError("this system has no flock: use a RedisCoordinator instead of a FileCoordinator")


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file, unless another holds it: alone, or together with others who hold it so."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Give the lock back and keep the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_removed(descriptor: int) -> bool:
    """Tell whether an open file has been removed: a lock on it keeps nobody out any more."""
    return os.fstat(descriptor).st_nlink == 0


def _make(path: Path, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode)
        owner = path.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid)
