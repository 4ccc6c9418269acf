"""The same question about several things at once."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from thekeys_async.cloud.errors import CloudError

_T = TypeVar("_T")
_R = TypeVar("_R")

_AT_ONCE = 8


async def for_each(ask: Callable[[_T], Awaitable[_R]], items: Iterable[_T]) -> list[_R]:
    """Ask about each item, a few at a time; the answers come in the items' order.

    Raises:
        CloudError: The first one that was met, as itself and not in a group; the others are given up.
        ValueError: In the same way.
    """
    results: dict[int, _R] = {}
    failures: list[CloudError | ValueError] = []
    limit = anyio.CapacityLimiter(_AT_ONCE)

    async def one(number: int, item: _T) -> None:
        async with limit:
            try:
                results[number] = await ask(item)
            except (CloudError, ValueError) as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for number, item in enumerate(items):
            tasks.start_soon(one, number, item)
    if failures:
        raise failures[0]
    return [results[number] for number in sorted(results)]
