"""What it is to watch many gateways from one process, in its steady state, as the one who takes the news sees it."""

import statistics
import time
from collections import defaultdict
from typing import Any

import anyio
import attrs
import fresh
from figures import Watched
from resident import kibibytes
from responder import Hosts, allow_connections

from thekeys_async import AsyncGateway, Fleet, LockerUpdate, Updates

_Arrivals = dict[str, list[tuple[int, float]]]
_BACKENDS = ("asyncio", "trio")


def watch(hosts: Hosts, count: int, interval: float, rounds: int) -> dict[str, Watched]:
    """Watch so many gateways, on each event loop in a process of its own, for so many intervals."""
    arguments = (attrs.asdict(hosts), count, interval, rounds)
    return {backend: Watched(**fresh.run("watching:measure", backend, *arguments)) for backend in _BACKENDS}


def measure(backend: str, hosts: dict[str, Any], count: int, interval: float, rounds: int) -> dict[str, float]:
    """Watch them in this process."""
    allow_connections(count)
    return attrs.asdict(anyio.run(_measure, Hosts(**hosts), count, interval, rounds, backend=backend))


async def _measure(hosts: Hosts, count: int, interval: float, rounds: int) -> Watched:
    memory = kibibytes()
    keys = [None if hosts.distinct else f"gateway {n}" for n in range(count)]
    fleet = Fleet({f"g{n}": AsyncGateway(hosts.address(n), key=keys[n]) for n in range(count)})
    async with fleet, fleet.watch(interval, every_poll=True) as updates:
        await _arrivals(updates, interval * 1.5)  # the first interval opens the connections
        cpu, wall = time.process_time(), time.perf_counter()
        arrivals = await _arrivals(updates, interval * rounds)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        memory = (kibibytes() - memory) / count
    if len(arrivals) < count:
        raise RuntimeError(f"only {len(arrivals)} of {count} gateways were heard of")
    cuts = statistics.quantiles(lateness(arrivals, interval), n=100)
    polls = sum(map(len, arrivals.values()))
    return Watched(count, interval, cpu / wall, 1e3 * cuts[49], 1e3 * cuts[98], memory, polls)


async def _arrivals(updates: Updates, seconds: float) -> _Arrivals:
    """Take the news for some time: of each gateway, which poll it was and when it was in our hands."""
    arrivals: _Arrivals = defaultdict(list)
    with anyio.move_on_after(seconds):
        async for update in updates:
            assert isinstance(update, LockerUpdate), update  # nobody is lost here
            seen = arrivals[update.gateway]
            number = seen[-1][0] + 1 + update.missed if seen else 0
            seen.append((number, anyio.current_time()))
    return arrivals


def lateness(arrivals: _Arrivals, interval: float) -> list[float]:
    """Seconds by which each poll's news came later than the rhythm that the most punctual of its gateway sets."""
    late: list[float] = []
    for seen in arrivals.values():
        offsets = [at - number * interval for number, at in seen]
        late += [offset - min(offsets) for offset in offsets]
    return late
