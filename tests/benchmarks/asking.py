"""The two ways in which many gateways are asked: all at once, and sixteen at a time; by tasks and by threads."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import anyio

WORKERS = 16
MOST_THREADS = 1000


class Way(Protocol):
    """Asks every gateway once."""

    async def at_once(self) -> None:
        """Ask all of them in one burst."""
        ...

    async def by_sixteen(self) -> list[float]:
        """Let 16 workers walk through them; returns how many seconds each answer took."""
        ...


class Tasks:
    """In tasks of this event loop, started in the way that costs the loop least."""

    def __init__(self, asks: Sequence[Callable[[], Awaitable[object]]], *, on_trio: bool) -> None:
        self._asks = asks
        self._together = _on_trio if on_trio else _on_asyncio

    async def at_once(self) -> None:
        """See `Way.at_once`."""
        await self._together(self._asks)

    async def by_sixteen(self) -> list[float]:
        """See `Way.by_sixteen`."""
        took: list[float] = []
        left = iter(self._asks)

        async def work() -> None:
            for ask in left:
                begun = time.perf_counter()
                await ask()
                took.append(time.perf_counter() - begun)

        await self._together([work] * min(WORKERS, len(self._asks)))
        return took


class Threads:
    """In threads. They block this event loop, in which nothing else runs."""

    def __init__(self, asks: Sequence[Callable[[], object]]) -> None:
        self._asks = asks
        self._burst = ThreadPoolExecutor(min(MOST_THREADS, len(asks)))
        self._workers = ThreadPoolExecutor(WORKERS)

    async def at_once(self) -> None:
        """See `Way.at_once`."""
        for _ in self._burst.map(lambda ask: ask(), self._asks):
            pass

    async def by_sixteen(self) -> list[float]:
        """See `Way.by_sixteen`."""
        left = iter(self._asks)
        return [*itertools.chain(*self._workers.map(self._work, [left] * min(WORKERS, len(self._asks))))]

    @staticmethod
    def _work(left: Iterator[Callable[[], object]]) -> list[float]:
        took: list[float] = []
        for ask in left:
            begun = time.perf_counter()
            ask()
            took.append(time.perf_counter() - begun)
        return took


async def _on_asyncio(jobs: Sequence[Callable[[], Awaitable[object]]]) -> None:
    await asyncio.gather(*[job() for job in jobs])


async def _on_trio(jobs: Sequence[Callable[[], Awaitable[object]]]) -> None:
    async with anyio.create_task_group() as group:  # there as thin as trio's own
        for job in jobs:
            group.start_soon(job)
