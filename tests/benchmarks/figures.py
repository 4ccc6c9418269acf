"""What was measured, as values: what the parts hand over and the page and the chart are made of."""

from collections.abc import Mapping, Sequence
from statistics import median

import attrs


@attrs.frozen
class Polled:
    """What one poll of one client costs, at one number of gateways.

    Attributes:
        at_once: Milliseconds of CPU, all gateways being asked in one burst; None if it can't be done.
        by_sixteen: Milliseconds of CPU, sixteen being asked at a time.
        memory: KiB a gateway.
        p50: Milliseconds until the answer, sixteen being asked at a time.
        p99: The same, for the slowest in a hundred.
    """

    at_once: float | None
    by_sixteen: float
    memory: float
    p50: float
    p99: float


@attrs.frozen
class Watched:
    """What it is to watch many gateways from one process.

    Attributes:
        gateways: How many.
        interval: Seconds between two polls of one.
        core: Share of a core.
        p50: Milliseconds by which a poll's news came later than the gateway's own rhythm.
        p99: The same, for the latest in a hundred.
        memory: KiB a gateway.
        news: Of how many polls the news was taken.
        polls: How many there should have been.
    """

    gateways: int
    interval: float
    core: float
    p50: float
    p99: float
    memory: float
    news: int
    polls: int


@attrs.frozen
class Opened:
    """One open on an idle gateway, in milliseconds.

    Attributes:
        ours: `door.open()`, the median.
        bare: A bare socket's round trip with the same kind of request, the median.
    """

    ours: float
    bare: float


@attrs.frozen
class Started:
    """What it costs to begin, in milliseconds of CPU.

    Attributes:
        ours: `import thekeys_async`, which loads values and errors.
        gateway: `import thekeys_async.gateway`, which loads what drives a gateway.
        httpx: `import httpx`.
        command: `thekeys --help`, interpreter and all.
    """

    ours: float
    gateway: float
    httpx: float
    command: float


@attrs.frozen
class Saturated:
    """How well 50 callers use one simulated gateway: the share of the time in which it is at work.

    Attributes:
        near: The gateway being in the same process.
        far: The gateway being in a process of its own.
        overlaps: How many requests met another one there.
    """

    near: float
    far: float
    overlaps: int


@attrs.frozen
class Figures:
    """All of one run.

    Attributes:
        sizes: The numbers of gateways, ascending.
        distinct: Whether each gateway had an address of its own.
        left_out: Numbers of gateways for which too few files may be open here.
        limit: Seconds that a client had for a size.
        polled: By client and number of gateways; None if the client did not finish.
        watched: By event loop, and so the others.
        fleets: Milliseconds of CPU for each gateway of `fleet.lockers()`, by event loop and number of gateways.
        beside: CPU of thekeys-async : aiohttp, both in one process, by number of gateways.
    """

    sizes: Sequence[int]
    distinct: bool
    left_out: Sequence[int]
    limit: float
    polled: Mapping[tuple[str, int], Polled | None]
    watched: Mapping[str, Watched]
    opened: Mapping[str, Opened]
    started: Started
    saturated: Mapping[str, Saturated]
    fleets: Mapping[tuple[str, int], float]
    beside: Mapping[int, float]

    def cpu(self, client: str, size: int) -> tuple[float | None, float | None]:
        """Milliseconds of CPU a poll, all at once and sixteen at a time; None for what is not known."""
        polled = self.polled.get((client, size))
        return (polled.at_once, polled.by_sixteen) if polled else (None, None)


def middle(turns: Sequence[Polled]) -> Polled:
    """Make one of several turns: of each figure the median."""
    bursts = [turn.at_once for turn in turns if turn.at_once is not None]
    return Polled(
        at_once=median(bursts) if bursts else None,
        **{name: median(getattr(turn, name) for turn in turns) for name in ("by_sixteen", "memory", "p50", "p99")},
    )
