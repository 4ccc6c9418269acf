"""What a full run must show, and whether it did."""

from collections.abc import Callable, Mapping

import attrs
from clients.catalogue import AIOHTTP, OURS, OURS_ON_TRIO
from digits import grouped, significant
from figures import Figures

_WAYS = ("all at once", "sixteen at a time")
_FEW, _MANY = 100, 10_000


@attrs.frozen
class Target:
    """One line of the table.

    Attributes:
        what: What is looked at.
        wanted: What it must be.
        seen: What it was, by the case it was measured in.
        kept: Whether that is as it must be in every case; None if it was not measured.
    """

    what: str
    wanted: str
    seen: Mapping[str, str]
    kept: bool | None


def judge(figures: Figures) -> list[Target]:
    """Hold a run against everything that was promised."""
    return [*_polling(figures), *_watching(figures), *_starting(figures)]


def _polling(figures: Figures) -> list[Target]:
    against = [
        _at_most(
            f"CPU of a poll, {grouped(size)} gateways, thekeys-async : aiohttp",
            1.0,
            _ratios(figures, (OURS, size), (AIOHTTP, size)),
        )
        for size in (_FEW, 1000, _MANY)
    ]
    return [*against, *_beside(figures), *(_flat(figures, label) for label in (OURS, OURS_ON_TRIO)), *_fleets(figures)]


def _beside(figures: Figures) -> list[Target]:
    what = "CPU of a burst, both in one process, thekeys-async : aiohttp"
    return [_at_most(what, 0.85, {f"at {grouped(size)}": ratio for size, ratio in figures.beside.items()})]


def _flat(figures: Figures, label: str) -> Target:
    """Judge sixteen at a time; what a caller asks in one burst of his own is on the page."""
    ratios = _ratios(figures, (label, _MANY), (label, _FEW))
    what = f"CPU of a poll, {label}, 10 000 gateways : 100"
    return _at_most(what, 1.2, {way: ratio for way, ratio in ratios.items() if way != _WAYS[0]})


def _fleets(figures: Figures) -> list[Target]:
    few = {loop: ms for (loop, size), ms in figures.fleets.items() if size == _FEW}
    targets = []
    for many in sorted({size for _, size in figures.fleets if few} - {_FEW}):
        ratios = {loop: figures.fleets[loop, many] / ms for loop, ms in few.items()}
        what = f"CPU of `fleet.lockers()` for each gateway, {grouped(many)} gateways : 100"
        targets.append(_at_most(what, 1.2, ratios))
    return targets


def _watching(figures: Figures) -> list[Target]:
    watched = figures.watched
    some = next(iter(watched.values()))
    what = f"{grouped(some.gateways)} gateways watched at {some.interval:g} s"
    taken = {loop: each.news / each.polls for loop, each in watched.items()}
    keeps_up = _judged(
        f"{what}, share of the news that was taken", "at least 0.99", taken, "", lambda share: share >= 0.99
    )
    cores = _below(f"{what}, cores", 1.0, "", {loop: each.core for loop, each in watched.items()})
    return [
        keeps_up,
        attrs.evolve(cores, kept=cores.kept and keeps_up.kept),  # who can't keep up has no more than one core to use
        _below(f"{what}, p99 lateness", 250, " ms", {loop: each.p99 for loop, each in watched.items()}),
        _at_most(f"{what}, memory a gateway", 40, {loop: each.memory for loop, each in watched.items()}, " KiB"),
    ]


def _starting(figures: Figures) -> list[Target]:
    started = figures.started
    over = {loop: each.ours - each.bare for loop, each in figures.opened.items()}
    return [
        _at_most("One open on an idle gateway, over a bare socket's round trip", 1.0, over, " ms"),
        _at_most("CPU of `import thekeys_async` : `import httpx`", 1.1, {"": started.ours / started.httpx}),
        _below("CPU of `thekeys --help`", 0.3, " s", {"": started.command / 1e3}),
    ]


def _ratios(figures: Figures, one: tuple[str, int], other: tuple[str, int]) -> dict[str, float | None]:
    pairs = zip(_WAYS, figures.cpu(*one), figures.cpu(*other), strict=True)
    return {way: mine / theirs if mine and theirs else None for way, mine, theirs in pairs}


def _at_most(what: str, limit: float, seen: Mapping[str, float | None], unit: str = "") -> Target:
    return _judged(what, f"at most {limit:g}{unit}", seen, unit, lambda value: value <= limit)


def _below(what: str, limit: float, unit: str, seen: Mapping[str, float | None]) -> Target:
    return _judged(what, f"below {limit:g}{unit}", seen, unit, lambda value: value < limit)


def _judged(
    what: str, wanted: str, seen: Mapping[str, float | None], unit: str, right: Callable[[float], bool]
) -> Target:
    known = {case: value for case, value in seen.items() if value is not None}
    kept = all(map(right, known.values())) if len(known) == len(seen) else None
    # One digit more than elsewhere: 1.04 must not read as 1.0.
    return Target(what, wanted, {case: significant(value, 3) + unit for case, value in known.items()}, kept)
