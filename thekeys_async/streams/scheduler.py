"""The tasks of one watcher of one gateway or ten thousand: each poll is made when it is due, none waits for another.

One of them sleeps until the next poll is due. Before it polls, it sees to it that somebody else sleeps on. So there are
as many tasks as there are polls under way, and a few: a sleeping task for each gateway would keep Python's garbage
collector so busy at ten thousand that polls come late.
"""

import heapq
import itertools
import math
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

_MOST_SPARE = 8


class Polled(Protocol):
    """A source that is polled again and again."""

    @property
    def due(self) -> float:
        """The time of the next poll, in the event loop's time; infinite if there is to be none."""
        ...

    async def poll(self) -> None:
        """Poll, unless somebody else has just done so."""
        ...


class PollScheduler:
    """Polls what is due, as long as its tasks may run.

    Args:
        tasks: The owner of the tasks.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self.tasks = tasks
        self._waiting: list[tuple[float, int, Polled]] = []
        self._number = itertools.count()
        self._sleeps = anyio.Lock()
        self._spare = 0
        self._sleep_scope = anyio.CancelScope()
        self._over = False
        self._dropped = 0

    def end(self) -> None:
        """Let all its tasks come to their end; polls under way are for others to cancel."""
        self._over = True
        self._sleep_scope.cancel()

    def add(self, polled: Polled) -> None:
        """Poll it when it is due, from now on."""
        if not self._spare:
            self._start_worker()
        self._schedule(polled)

    def drop(self) -> None:
        """Forget the one that is polled no more from now on; its `due` says so."""
        self._dropped += 1
        if 2 * self._dropped > len(self._waiting):
            self._waiting = [entry for entry in self._waiting if entry[-1].due < math.inf]
            heapq.heapify(self._waiting)
            self._dropped = 0

    def _schedule(self, polled: Polled) -> None:
        if (due := polled.due) < math.inf:
            heapq.heappush(self._waiting, (due, next(self._number), polled))
            if self._waiting[0][-1] is polled:
                self._sleep_scope.cancel()

    def _start_worker(self) -> None:
        self._spare += 1
        self.tasks.start_soon(self._work)

    async def _work(self) -> None:
        """Wait for a due poll, poll, and begin again, as long as this worker is needed."""
        # Leaving the watcher ends all workers. A cancellation from outside reaches the consumer, and must not reach
        # tasks here when they are about to be shielded from it, which would confuse the event loops.
        with anyio.CancelScope(shield=True):
            while polled := await self._next_due():
                await polled.poll()
                self._schedule(polled)
                # A burst of polls leaves many workers behind: a few stay for the next one, the others end.
                if self._spare >= _MOST_SPARE:
                    return
                self._spare += 1

    async def _next_due(self) -> Polled | None:
        """Wait for the next due poll under the lock, then let another worker wait."""
        async with self._sleeps:
            polled = await self._sleep_until_due()
        self._spare -= 1
        # This poll may take a minute: the next one is not to wait for it.
        if polled and not self._spare:
            self._start_worker()
        return polled

    async def _sleep_until_due(self) -> Polled | None:
        """Sleep until the next poll is due; None if there are to be no more."""
        while not self._over:
            now = anyio.current_time()
            if self._waiting and self._waiting[0][0] <= now:
                return heapq.heappop(self._waiting)[-1]
            with anyio.CancelScope() as self._sleep_scope:
                await (anyio.sleep(self._waiting[0][0] - now) if self._waiting else anyio.sleep_forever())
        return None
