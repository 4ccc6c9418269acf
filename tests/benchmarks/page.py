"""Writes docs/benchmarks.md out of figures. It measures nothing and reads nothing."""

from collections.abc import Iterable, Sequence

from clients.catalogue import AIOHTTP, FLOOR
from digits import grouped, significant
from figures import Figures
from machine import Machine
from targets import Target

_NOTHING = "-"
_SHOWS_MEMORY = 100
_DISTINCT = "Each is a host of its own in 127.0.0.0/8."
_SHARED = "This system lets them share one address only."
_HEAD = """\
# Benchmarks

`nox -s bench` writes this page and its chart in one run; [how](#how-it-is-measured) and [where](#where) are at its end.
Compare figures with each other, not with those of another machine: the ratios are what is promised.
"""
_HOW = """\
## How it is measured

- One process answers for all gateways, always with the same bytes and at once. {addresses}
- Each client polls from a fresh process for each number of gateways. thekeys-async and aiohttp take turns, with {turns}
  processes each for every number; their figures are medians of these.
- A poll is GET /lockers on a kept connection and `json.loads`. thekeys-async does all that it does for a door, too: the
  queue, retries, the time budget, readings with types. `Pacing(0, 0)`: the gateways need no rest.
- **the-keyspy** has no call for the list of lockers: its poll is GET /status. It opens a connection for each request.
- **httpx** is used in three ways: one `AsyncClient` for all gateways, one for each, one `AsyncHTTPTransport` for each.
  None has limits, and all share one TLS context. **requests** has a session for each gateway.
- CPU is the user and system time of the client's process for one poll: the quietest of several rounds, after one that
  opens the connections, because what others do on a machine can only add to it.
- "All at once": every gateway is asked in one burst of tasks, or by as many threads, up to {most_threads}. "Sixteen at
  a time": 16 workers walk through them. p50 and p99 are the time from asking to the answer in that walk; it has the
  other 15 in it.
- Memory is what the process has grown by for each gateway, from before the clients are made to after the first poll. It
  is shown from {shows_memory} gateways on.
- A client that has not finished in {limit:g} s is not asked for more gateways.
- Watching is measured after the first interval, by the one who takes the news: lateness is against the most punctual
  news of the same gateway.
- An open and the bare socket take turns. Each takes a fresh connection, as a command always does.
- Imports take turns in fresh processes: the median CPU of the import alone, with compiled files there already. That of
  `thekeys --help` is the whole process's.
"""


def write(figures: Figures, targets: Sequence[Target], machine: Machine, *, turns: int, most_threads: int) -> str:
    """Write the page.

    Args:
        figures: Of one run.
        targets: How they compare with what was promised.
        machine: Where it was run.
        turns: How many processes measured the clients that are compared most closely.
        most_threads: The most threads that asked at once.
    """
    how = _HOW.format(
        addresses=_DISTINCT if figures.distinct else _SHARED,
        turns=turns,
        most_threads=most_threads,
        shows_memory=_SHOWS_MEMORY,
        limit=figures.limit,
    )
    parts = [_HEAD, _promised(targets), _polled(figures), _bursts(figures)]
    parts += [_watched(figures), _opened(figures), _started(figures)]
    return "\n".join([*parts, _saturated(figures), how, _where(machine)])


def alternative(figures: Figures) -> str:
    """Say in words what the chart shows."""
    last = {label: (size, polled) for (label, size), polled in figures.polled.items() if polled}
    dear = sorted(last.items(), key=lambda item: -item[1][1].by_sixteen)
    ends = [f"{label} {significant(polled.by_sixteen)} ms at {grouped(size)}" for label, (size, polled) in dear]
    return f"CPU of one poll by number of gateways, both logarithmic, sixteen asked at a time. {'; '.join(ends)}."


def _promised(targets: Sequence[Target]) -> str:
    words = {True: "kept", False: "**not kept**", None: "not measured"}
    rows = [
        (target.what, target.wanted, "; ".join(f"{seen} {case}".strip() for case, seen in target.seen.items()), word)
        for target, word in ((target, words[target.kept]) for target in targets)
    ]
    missed = [target.what for target in targets if target.kept is False]
    verdict = f"Not kept in this run: {'; '.join(missed)}." if missed else "All that was measured was kept in this run."
    return f"## What it must show\n\n{_table(('', 'must be', 'measured', ''), rows)}\n{verdict}\n"


def _polled(figures: Figures) -> str:
    chart = f"## What a poll costs\n\n![{alternative(figures)}](benchmarks.svg)\n"
    notes = [
        f"Bare sockets are the floor; {AIOHTTP} is what the last column divides by, sixteen being asked at a time."
    ]
    few, many = figures.cpu(FLOOR, 100), figures.cpu(FLOOR, figures.sizes[-1])
    if all((*few, *many)):
        burst, walk = (significant(much / little) for much, little in zip(many, few, strict=True))
        notes.append(
            f"At {grouped(figures.sizes[-1])} gateways the floor itself costs {burst} times (all at once) and {walk} "
            "times (sixteen at a time) what it costs at 100."
        )
    if figures.left_out:
        notes.append(f"Too few files may be open here for {', '.join(map(grouped, figures.left_out))} gateways.")
    return "\n".join([chart, " ".join(notes) + "\n", *(_polled_at(figures, size) for size in figures.sizes)])


def _polled_at(figures: Figures, size: int) -> str:
    head = ("client", "ms of CPU, all at once", "sixteen at a time", "KiB a gateway", "p50 ms", "p99 ms", ": aiohttp")
    base = figures.cpu(AIOHTTP, size)[1]
    rows = [_polled_row(figures, label, size, base) for label, each in figures.polled if each == size]
    return f"### {grouped(size)} gateway{'s' if size > 1 else ''}\n\n{_table(head, rows)}"


def _polled_row(figures: Figures, label: str, size: int, base: float | None) -> Sequence[str]:
    polled = figures.polled[label, size]
    if polled is None:
        return (label, _unfinished(figures, label, size), *[_NOTHING] * 5)
    cells = (
        polled.at_once,
        polled.by_sixteen,
        polled.memory if size >= _SHOWS_MEMORY else None,
        polled.p50,
        polled.p99,
    )
    return (label, *map(_cell, cells), _cell(polled.by_sixteen / base if base else None))


def _unfinished(figures: Figures, label: str, size: int) -> str:
    first = next(each for each in figures.sizes if figures.polled[label, each] is None)
    here = f"not finished in {figures.limit:g} s"
    return here if first == size else f"{here} at {grouped(first)}, not asked"


def _watched(figures: Figures) -> str:
    head = (
        "event loop",
        "gateways",
        "every",
        "cores",
        "p50 lateness, ms",
        "p99 lateness, ms",
        "KiB a gateway",
        "news taken",
    )
    rows = [
        (
            *(loop, grouped(seen.gateways), f"{seen.interval:g} s"),
            *map(_cell, (seen.core, seen.p50, seen.p99, seen.memory)),
            f"{grouped(seen.news)} of {grouped(seen.polls)}",
        )
        for loop, seen in figures.watched.items()
    ]
    return f"## Watching\n\nOne process, one `fleet.watch(every_poll=True)`.\n\n{_table(head, rows)}"


def _bursts(figures: Figures) -> str:
    head = ("event loop", "gateways", "`fleet.lockers()`, ms of CPU for each")
    rows = [(loop, grouped(size), _cell(ms)) for (loop, size), ms in figures.fleets.items()]
    beside = [(grouped(size), _cell(ratio)) for size, ratio in figures.beside.items()]
    return (
        "## Many at once\n\n"
        "A fleet asks a hundred gateways at once where nobody says otherwise.\n\n"
        f"{_table(head, rows)}\n"
        "All asked in one burst, the two clients taking turns in one process:\n\n"
        f"{_table(('gateways', 'CPU, thekeys-async : aiohttp'), beside)}"
    )


def _opened(figures: Figures) -> str:
    head = ("event loop", "`door.open()`, ms", "bare socket, ms", "difference, ms")
    rows = [(loop, *map(_cell, (seen.ours, seen.bare, seen.ours - seen.bare))) for loop, seen in figures.opened.items()]
    return f"## One open\n\nOn an idle gateway that answers at once.\n\n{_table(head, rows)}"


def _started(figures: Figures) -> str:
    started = figures.started
    named = {
        "import thekeys_async": started.ours,
        "from thekeys_async import AsyncGateway": started.gateway,
        "import httpx": started.httpx,
        "thekeys --help": started.command,
    }
    rows = [(f"`{what}`", _cell(seen)) for what, seen in named.items()]
    return f"## Starting\n\n{_table(('', 'ms of CPU'), rows)}"


def _saturated(figures: Figures) -> str:
    words = (
        "The share of the time in which a simulated gateway (Bluetooth 50 ms, no rest) is at work, by its own record."
    )
    head = ("event loop", "gateway in the same process", "gateway in a process of its own", "requests that met another")
    rows = [
        (loop, f"{seen.near:.0%}", f"{seen.far:.0%}", str(seen.overlaps)) for loop, seen in figures.saturated.items()
    ]
    return f"## 50 callers at one gateway\n\n{words}\n\n{_table(head, rows)}"


def _where(machine: Machine) -> str:
    facts = {"Processor": machine.processor, "Cores": str(machine.cores), "System": machine.system}
    facts |= {"Python": machine.python, **machine.versions, "Day": machine.day, "Command": f"`{machine.command}`"}
    return f"## Where\n\n{_table(('', ''), facts.items())}"


def _cell(value: float | None) -> str:
    return _NOTHING if value is None else significant(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
