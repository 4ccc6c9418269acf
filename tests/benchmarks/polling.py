"""What a poll costs: one client at one number of gateways, and all clients taking turns."""

import gc
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import attrs
import fresh
from asking import MOST_THREADS, Tasks, Threads, Way
from clients import Client, catalogue
from figures import Polled, middle
from resident import kibibytes
from responder import Hosts, allow_files

MARGIN = 500
"""Open files beyond one for each gateway."""
_POLLS_IN_A_ROUND = 500  # at least, if each way is measured for a second
_MOST_ROUNDS = 9


def compare(
    hosts: Hosts, sizes: Sequence[int], *, limit: float, seconds: float, turns: int
) -> dict[tuple[str, int], Polled | None]:
    """Let all clients take turns, each in a process of its own.

    Args:
        hosts: The canned gateways.
        sizes: How many of them are asked, ascending.
        limit: Seconds that a process may take; who needs more has not finished, and is not asked for more gateways.
        seconds: How long each way of asking is measured.
        turns: The most turns of one client.
    """
    polled: dict[tuple[str, int], Polled | None] = {}
    for size in sizes:
        seen: dict[str, list[Polled]] = {}
        for client in _in_turns(turns):
            if any(polled.get((client.label, smaller), True) is None for smaller in sizes):
                continue
            sys.stdout.write(f"{size} gateways, {client.label}: ")
            sys.stdout.flush()
            try:
                found = fresh.run("polling:measure", client.label, size, attrs.asdict(hosts), seconds, seconds=limit)
            except TimeoutError:
                sys.stdout.write(f"not finished in {limit:g} s\n")
                seen.pop(client.label, None)
                polled[client.label, size] = None
                continue
            seen.setdefault(client.label, []).append(Polled(**found))
            sys.stdout.write(f"{found['by_sixteen']:.3f} ms of CPU\n")
        polled |= {(label, size): middle(each) for label, each in seen.items()}
        polled |= {(label, size): None for label in catalogue() if (label, size) not in polled}
    return polled


def _in_turns(turns: int) -> list[Client]:
    return [client for turn in range(turns) for client in catalogue().values() if turn < client.turns]


def measure(label: str, count: int, hosts: dict[str, object], seconds: float) -> dict[str, float | None]:
    """Measure one client in this process."""
    allow_files(count + MARGIN)
    client = catalogue()[label]
    backend = "trio" if client.runs_on == "trio" else "asyncio"
    return attrs.asdict(anyio.run(_measure, client, Hosts(**hosts), count, seconds, backend=backend))


async def _measure(client: Client, hosts: Hosts, count: int, seconds: float) -> Polled:
    async with _opened(client, hosts, 1) as way:
        await way.by_sixteen()  # what is loaded at the first poll belongs to no gateway
    memory = kibibytes()
    async with _opened(client, hosts, count) as way:
        await way.by_sixteen()  # opens the connections
        memory = (kibibytes() - memory) / count
        took: list[float] = []

        async def by_sixteen() -> None:
            took.extend(await way.by_sixteen())

        sixteen = await _cpu_of(by_sixteen, count, seconds)
        bursts = client.runs_on != "threads" or count <= MOST_THREADS
        at_once = await _cpu_of(way.at_once, count, seconds) if bursts else None
    cuts = [1e3 * cut for cut in statistics.quantiles(took, n=100)]
    return Polled(at_once, sixteen, memory, cuts[49], cuts[98])


@asynccontextmanager
async def _opened(client: Client, hosts: Hosts, count: int) -> AsyncIterator[Way]:
    made = client.load()(hosts, count)
    if client.runs_on == "threads":
        with made as asks:
            yield Threads(asks)
    else:
        async with made as asks:
            yield Tasks(asks, on_trio=client.runs_on == "trio")


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
