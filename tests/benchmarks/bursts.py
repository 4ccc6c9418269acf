"""Two looks at many gateways asked at once: what a fleet's own call costs, and a burst in one process with aiohttp."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import attrs
import fresh
from clients import ours, through_aiohttp
from responder import Hosts, allow_connections

from thekeys_async import AsyncGateway, Fleet, Pacing

_BACKENDS = ("asyncio", "trio")
_ROUNDS = 9
_POLLS_IN_A_ROUND = 2000


def fleet_calls(hosts: Hosts, sizes: Sequence[int]) -> dict[tuple[str, int], float]:
    """Measure `fleet.lockers()` as it comes, each in a process of its own.

    Returns:
        Milliseconds of CPU for each gateway, by event loop and number of gateways.
    """
    cases = [(backend, size) for backend in _BACKENDS for size in sizes]
    return {case: fresh.run("bursts:measure_fleet", *case, attrs.asdict(hosts)) for case in cases}


def beside_aiohttp(hosts: Hosts, sizes: Sequence[int]) -> dict[int, float]:
    """Let both clients take turns in one process, every gateway asked at once.

    Returns:
        CPU of thekeys-async : aiohttp, by the number of gateways.
    """
    return {size: fresh.run("bursts:measure_beside", size, attrs.asdict(hosts)) for size in sizes}


def measure_fleet(backend: str, count: int, hosts: dict[str, Any]) -> float:
    """Measure one fleet's call in this process."""
    allow_connections(count)
    return anyio.run(_fleet, count, Hosts(**hosts), backend=backend)


def measure_beside(count: int, hosts: dict[str, Any]) -> float:
    """Measure both clients in this process."""
    allow_connections(2 * count)
    return asyncio.run(_beside(count, Hosts(**hosts)))


async def _fleet(count: int, hosts: Hosts) -> float:
    gateways = {
        str(n): AsyncGateway(hosts.address(n), pacing=Pacing(0, 0), key=None if hosts.distinct else f"gateway {n}")
        for n in range(count)
    }
    async with Fleet(gateways) as fleet:
        return await _quietest(fleet.lockers, count)


async def _beside(count: int, hosts: Hosts) -> float:
    async with ours.gateways(hosts, count) as our_asks, through_aiohttp.session(hosts, count) as their_asks:
        taken = {"ours": float("inf"), "theirs": float("inf")}
        for _ in range(_ROUNDS):
            for who, asks in (("ours", our_asks), ("theirs", their_asks)):
                taken[who] = min(taken[who], await _quietest(_burst_of(asks), count, rounds=1))
        return taken["ours"] / taken["theirs"]


def _burst_of(asks: Sequence[Callable[[], Awaitable[object]]]) -> Callable[[], Awaitable[object]]:
    async def burst() -> None:
        await asyncio.gather(*[ask() for ask in asks])

    return burst


async def _quietest(poll_all: Callable[[], Awaitable[object]], count: int, rounds: int = _ROUNDS) -> float:
    """Milliseconds of CPU of one poll: the quietest of several rounds, after one that opens the connections."""
    await poll_all()
    repeats = max(1, _POLLS_IN_A_ROUND // count)
    took: list[float] = []
    for _ in range(rounds):
        gc.collect()
        begun = time.process_time()
        for _ in range(repeats):
            await poll_all()
        took.append(1e3 * (time.process_time() - begun) / (repeats * count))
    return min(took)
