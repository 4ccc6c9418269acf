"""The operating system's locks: held by an open file, and gone with the process, however it ends.

flock, not POSIX record locks: those belong to a process, so that two event loops or two coordinators of one process
would not keep each other out, and closing any descriptor of the file would drop them. A child that was forked in the
middle of a turn, and lives on when its parent is killed, keeps the parent's lock until it ends.
"""

import os
import sys

from thekeys_async.protocol.errors import CoordinationError

# Windows has no flock, and can neither replace nor delete a file that another process has open.
if sys.platform != "win32":
    import fcntl


def check_support() -> None:
    """Check that this system has the locks.

    Raises:
        CoordinationError: It has not.
    """
    if sys.platform == "win32":
        raise CoordinationError("this system has no flock: use a RedisCoordinator instead of a FileCoordinator")


def try_lock(descriptor: int) -> bool:
    """Lock an open file, unless another holds it in any way."""
    return _try(descriptor, fcntl.LOCK_EX)


def try_share(descriptor: int) -> bool:
    """Lock an open file together with others who do so, unless one holds it alone."""
    return _try(descriptor, fcntl.LOCK_SH)


def unlock(descriptor: int) -> None:
    """Give the lock back and keep the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_removed(descriptor: int) -> bool:
    """Tell whether an open file has been removed: a lock on it keeps nobody out any more."""
    return os.fstat(descriptor).st_nlink == 0


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
