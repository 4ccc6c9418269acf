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

Arrivals = dict[str, list[tuple[int, float]]]
_BACKENDS = ("asyncio", "trio")
_WARM_UP = 2  # intervals


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
    arrivals: Arrivals = defaultdict(list)
    async with fleet, fleet.watch(interval, every_poll=True) as updates:
        await _take(updates, arrivals, interval * _WARM_UP)  # opens the connections
        known, begun = _count(arrivals), anyio.current_time()
        cpu = time.process_time()
        await _take(updates, arrivals, interval * rounds)
        cpu = time.process_time() - cpu
        ended = anyio.current_time()
        memory = (kibibytes() - memory) / count
    late = [*lateness(arrivals, interval, begun, ended), *[ended - begun] * (count - len(arrivals))]
    cuts = [1e3 * cut for cut in statistics.quantiles(late, n=100)]
    return Watched(
        gateways=count,
        interval=interval,
        core=cpu / (ended - begun),
        p50=cuts[49],
        p99=cuts[98],
        memory=memory,
        news=_count(arrivals) - known,
        polls=count * rounds,
    )


async def _take(updates: Updates, arrivals: Arrivals, seconds: float) -> None:
    """Take the news for some time: of each gateway, which poll it was and when it was in our hands."""
    with anyio.move_on_after(seconds):
        async for update in updates:
            if isinstance(update, LockerUpdate):
                seen = arrivals[update.gateway]
                number = seen[-1][0] + 1 + update.missed if seen else update.missed
                seen.append((number, anyio.current_time()))


def _count(arrivals: Arrivals) -> int:
    return sum(map(len, arrivals.values()))


def lateness(arrivals: Arrivals, interval: float, begun: float, ended: float) -> list[float]:
    """By how many seconds polls' news came later than the rhythm that the most punctual one of their gateway sets.

    Args:
        arrivals: Of each gateway, the number and the time of all news.
        interval: Seconds between two polls.
        begun: News that came before this is not looked at.
        ended: News that had not come until then, and should have, is as late as it was then.
    """
    late: list[float] = []
    for seen in arrivals.values():
        rhythm = min(at - number * interval for number, at in seen)
        late += [at - number * interval - rhythm for number, at in seen if at >= begun]
        overdue = ended - (seen[-1][0] + 1) * interval - rhythm
        if overdue > 0:
            late.append(overdue)
    return late
