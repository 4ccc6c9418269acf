"""What a poll costs: one client at one number of gateways, in this process."""

import gc
import importlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import attrs
from asking import MOST_THREADS, Tasks, Threads, Way
from figures import Polled
from resident import kibibytes
from responder import Hosts, allow_connections

_POLLS_IN_A_ROUND = 500  # at least, if each way is measured for a second
_MOST_ROUNDS = 9


def measure(target: str, runs_on: str, count: int, hosts: dict[str, Any], seconds: float) -> dict[str, float | None]:
    """Measure one client.

    Args:
        target: ``"module:function"`` of its context manager.
        runs_on: ``"asyncio"``, ``"trio"`` or ``"threads"``.
        count: How many gateways are asked.
        hosts: What `Hosts` is made of.
        seconds: How long each way of asking is measured.

    Returns:
        What `Polled` is made of.
    """
    allow_connections(count)
    backend = "trio" if runs_on == "trio" else "asyncio"
    module, _, function = target.partition(":")
    client = getattr(importlib.import_module(module), function)
    opened = partial(_opened, client, runs_on, Hosts(**hosts))
    bursts = runs_on != "threads" or count <= MOST_THREADS
    return attrs.asdict(anyio.run(_measure, opened, count, seconds, bursts, backend=backend))


async def _measure(
    opened: Callable[[int], AbstractAsyncContextManager[Way]], count: int, seconds: float, bursts: bool
) -> Polled:
    async with opened(1) as way:
        await way.by_sixteen()  # what is loaded at the first poll belongs to no gateway
    memory = kibibytes()
    async with opened(count) as way:
        await way.by_sixteen()  # opens the connections
        memory = (kibibytes() - memory) / count
        took: list[float] = []

        async def by_sixteen() -> None:
            took.extend(await way.by_sixteen())

        sixteen = await _cpu_of(by_sixteen, count, seconds)
        at_once = await _cpu_of(way.at_once, count, seconds) if bursts else None
    cuts = [1e3 * cut for cut in statistics.quantiles(took, n=100)]
    return Polled(at_once, sixteen, memory, cuts[49], cuts[98])


@asynccontextmanager
async def _opened(client: Any, runs_on: str, hosts: Hosts, count: int) -> AsyncIterator[Way]:
    made = client(hosts, count)
    if runs_on == "threads":
        with made as asks:
            yield Threads(asks)
    else:
        async with made as asks:
            yield Tasks(asks, on_trio=runs_on == "trio")


async def _cpu_of(poll_all: Callable[[], Awaitable[None]], count: int, seconds: float) -> float:
    """Milliseconds of CPU, user and system, of one poll: the quietest of as many rounds as there is time for."""
    rounds: list[float] = []
    repeats = max(1, int(seconds * _POLLS_IN_A_ROUND) // count)
    ends = time.perf_counter() + seconds
    while not rounds or (len(rounds) < _MOST_ROUNDS and time.perf_counter() < ends):
        gc.collect()
        begun = time.process_time()
        for _ in range(repeats):
            await poll_all()
        rounds.append(1e3 * (time.process_time() - begun) / (repeats * count))
    return min(rounds)
