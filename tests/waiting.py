"""Waits for what no event tells, as long as a slow machine needs."""

from collections.abc import Callable

import anyio


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is so; a minute is the end of it."""
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - no event tells it
            await anyio.sleep(0.01)
