"""Opens a door and closes it again, and takes the time of each step."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import anyio

from thekeys_async.calls.driver import Driver
from thekeys_async.cli.check.observations import DoorTrial
from thekeys_async.locker import AsyncLocker
from thekeys_async.protocol.errors import CoordinationError, TheKeysError
from thekeys_async.protocol.models import DoorState
from thekeys_async.protocol.secrets import ShareCode

Step: TypeAlias = Callable[[], Awaitable[object]]

_COMMAND = 30.0
_BOLT = 15.0


async def try_door(driver: Driver, identifier: int, code: ShareCode) -> DoorTrial:
    """Open a door, wait for its bolt, close it, and wait again.

    A door that was opened, or may have been, is closed also where the bolt was not seen drawn back.

    Args:
        driver: The gateway's driver.
        identifier: The door's locker.
        code: Its share code.
    """
    door = AsyncLocker(driver, identifier, code)
    steps: tuple[tuple[str, Step], ...] = (
        ("open", partial(door.open, timeout=_COMMAND)),
        ("bolt drawn back", partial(door.wait_for, DoorState.OPEN, timeout=_BOLT)),
        ("close", partial(door.close, timeout=_COMMAND)),
        ("bolt out", partial(door.wait_for, DoorState.CLOSED, timeout=_BOLT)),
    )
    done: list[tuple[str, float]] = []
    failed: tuple[str, TheKeysError] | None = None
    for name, step in steps:
        began = anyio.current_time()
        try:
            await step()
        except TheKeysError as error:
            if isinstance(error, CoordinationError) and not done:
                raise
            failed = failed or (name, error)
            if name == "close" or (name == "open" and not error.may_have_executed):
                break
        else:
            done.append((name, anyio.current_time() - began))
    return DoorTrial(
        identifier=identifier,
        steps=tuple(done),
        failed=failed[0] if failed else None,
        error=failed[1] if failed else None,
    )
