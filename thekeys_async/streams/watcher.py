"""A stream of updates: an async context manager that owns what runs, and an iterator that only takes.

It is no async generator, because a generator that is left in the middle would leave its tasks behind.
"""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Protocol

import anyio

from thekeys_async.streams.buffer import Box
from thekeys_async.streams.scheduler import Rounds
from thekeys_async.streams.updates import Update


class Source(Protocol):
    """What fills a box, in tasks that are not its own."""

    def begin(self, box: Box, rounds: Rounds) -> None:
        """Begin to fill the box."""
        ...

    def end(self) -> None:
        """Fill it no more."""
        ...


class Updates(AsyncIterator[Update]):
    """What `AsyncGateway.watch` hands out: iterate over it with ``async for``. It ends with the block."""

    def __init__(self, box: Box) -> None:
        self._box = box

    async def __anext__(self) -> Update:
        """Wait for the next update."""
        return await self._box.take()


class Watcher:
    """A stream, not begun yet: use it as ``async with ... as updates:``.

    When the block is left, however that happens, everything has ended; an exception from the block comes out as
    itself, not inside a group. It can be entered again after that.

    Args:
        make_source: Makes what fills the consumer's box.
    """

    def __init__(self, make_source: Callable[[], Source]) -> None:
        self._make_source = make_source
        self._running: tuple[Rounds, Source, Box] | None = None

    async def __aenter__(self) -> Updates:
        """Begin.

        Raises:
            RuntimeError: It runs already, or what it watches is closed.
        """
        if self._running:
            raise RuntimeError("this watcher runs already; call watch() again for another one")
        box, source, rounds = Box(), self._make_source(), Rounds(anyio.create_task_group())
        await rounds.tasks.__aenter__()
        try:
            source.begin(box, rounds)
        except BaseException:
            source.end()
            await _close(rounds)
            raise
        self._running = rounds, source, box
        return Updates(box)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything that runs."""
        if self._running:
            (rounds, source, box), self._running = self._running, None
            source.end()
            box.close()
            await _close(rounds)


async def _close(rounds: Rounds) -> None:
    # Told of the consumer's exception, the task group would wrap it, or lose it under a cancellation from outside; so
    # it would if it was cancelled itself while it waits. Its tasks have been told to end.
    rounds.end()
    rounds.tasks.cancel_scope.shield = True
    await rounds.tasks.__aexit__(None, None, None)
