"""A stream of updates: an async context manager that owns what runs, and an iterator that only takes.

It is no async generator, because a generator that is left in the middle would leave its tasks behind.
"""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Protocol

import anyio

from thekeys_async.streams.buffer import UpdateBuffer
from thekeys_async.streams.scheduler import PollScheduler
from thekeys_async.streams.updates import Update


class Source(Protocol):
    """A source of updates: fills a buffer, in tasks that are not its own."""

    def begin(self, buffer: UpdateBuffer, scheduler: PollScheduler) -> None:
        """Begin to fill the buffer."""
        ...

    def end(self) -> None:
        """Stop filling the buffer."""
        ...


class Updates(AsyncIterator[Update]):
    """The iterator that `AsyncGateway.watch` hands out, for ``async for``. It ends with the block."""

    def __init__(self, buffer: UpdateBuffer) -> None:
        self._buffer = buffer

    async def __anext__(self) -> Update:
        """Wait for the next update."""
        return await self._buffer.take()


class Watcher:
    """A stream, not begun yet: use it as ``async with ... as updates:``.

    When the block is left, however that happens, everything has ended; an exception from the block comes out as
    itself, not inside a group. It can be entered again after that.

    Args:
        make_source: Makes what fills the consumer's buffer.
    """

    def __init__(self, make_source: Callable[[], Source]) -> None:
        self._make_source = make_source
        self._running: tuple[PollScheduler, Source, UpdateBuffer] | None = None

    async def __aenter__(self) -> Updates:
        """Begin.

        Raises:
            RuntimeError: It runs already, or what it watches is closed.
        """
        if self._running:
            raise RuntimeError("this watcher runs already; call watch() again for another one")
        buffer, source, scheduler = UpdateBuffer(), self._make_source(), PollScheduler(anyio.create_task_group())
        await scheduler.tasks.__aenter__()
        try:
            source.begin(buffer, scheduler)
        except BaseException:
            source.end()
            await _close(scheduler)
            raise
        self._running = scheduler, source, buffer
        return Updates(buffer)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything that runs."""
        if self._running:
            (scheduler, source, buffer), self._running = self._running, None
            source.end()
            buffer.close()
            await _close(scheduler)


async def _close(scheduler: PollScheduler) -> None:
    # Told of the consumer's exception, the task group would wrap it, or lose it under a cancellation from outside; so
    # it would if it was cancelled itself while it waits. Its tasks have been told to end.
    scheduler.end()
    scheduler.tasks.cancel_scope.shield = True
    await scheduler.tasks.__aexit__(None, None, None)
