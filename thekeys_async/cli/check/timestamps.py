"""Finds out which timestamps a gateway accepts, by reads of a door alone.

They are such as no command would take, of which the log need not warn. None is farther ahead of the clock than a
command's may be, so that doors stay open to everyone: what was accepted binds until the clock has passed it.
"""

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from thekeys_async.cli.check.observations import DoorRead, Lead
from thekeys_async.protocol.errors import InvalidHmacError

_EARLIER = (-10.0, -60.0, -600.0, -3600.0)

ReadAt: TypeAlias = Callable[[float], Awaitable[DoorRead]]
"""Reads the door with a timestamp so many seconds ahead of the clock."""


async def lead_of(read_at: ReadAt, most: float) -> Lead | None:
    """Find how far ahead a timestamp may be: the farthest allowed first, which nearly all take.

    Args:
        read_at: Reads a door that can be read.
        most: The greatest lead that is tried, in seconds.

    Returns:
        The lead, to the second; None if the door could not be read, for other reasons.
    """
    accepted, refused = 0.0, None
    tried = most
    while tried >= 1:
        with _without_warnings():
            read = await read_at(tried)
        if read.status:
            accepted = tried
        elif isinstance(read.error, InvalidHmacError):
            refused = tried
        else:
            return None
        if refused is None:
            break
        middle = (accepted + refused) // 2
        tried = middle if middle > accepted else 0
    return Lead(accepted=accepted, refused=refused)


async def earlier(read_at: ReadAt) -> DoorRead | None:
    """See whether a time before this computer's is accepted, where this computer's is refused.

    Args:
        read_at: Reads the door.

    Returns:
        The read that was accepted; None if none was: then the share code is wrong.
    """
    for offset in _EARLIER:
        with _without_warnings():
            read = await read_at(offset)
        if read.status:
            return read
        if not isinstance(read.error, InvalidHmacError):
            return None
    return None


@contextmanager
def _without_warnings() -> Generator[None, None, None]:
    log = logging.getLogger("thekeys_async")
    log.addFilter(_is_no_warning)
    try:
        yield
    finally:
        log.removeFilter(_is_no_warning)


def _is_no_warning(record: logging.LogRecord) -> bool:
    return record.levelno != logging.WARNING
