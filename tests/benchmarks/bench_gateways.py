"""Measures thekeys-async beside other clients, from one gateway to 10 000, and writes docs/benchmarks.md and its chart.

With `--quick` it goes through everything in seconds, to see that it works, and writes nothing that stays.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import attrs
import chart
import page
from asking import MOST_THREADS
from bursts import beside_aiohttp, fleet_calls
from comparing import compare
from figures import Figures
from machine import this_machine
from opening import open_doors
from responder import most_connections, responder
from saturating import saturate
from starting import start
from targets import judge
from watching import watch

_DOCS = Path(__file__).parents[2] / "docs"
_MOST_BESIDE = 1000  # two connections for each gateway


@attrs.frozen
class Edition:
    """How thorough a run is.

    Attributes:
        sizes: How many gateways are polled, ascending; the most of them are watched, too.
        limit: Seconds that one client may take for one size.
        seconds: How long each way of polling is measured.
        turns: How many processes the clients have that are compared most closely.
        interval: Seconds from poll to poll.
        opens: How often a door is opened.
        starts: How often things are imported.
        saturated: Seconds that 50 callers call.
    """

    sizes: tuple[int, ...] = (1, 10, 100, 1000, 10_000)
    limit: float = 60.0
    seconds: float = 0.5
    turns: int = 3
    interval: float = 5.0
    opens: int = 500
    starts: int = 15
    saturated: float = 3.0


_QUICK = Edition(sizes=(1, 20), seconds=0.05, turns=1, interval=0.5, opens=20, starts=1, saturated=0.5)


def _run(edition: Edition) -> Figures:
    """Measure everything, one part after the other."""
    sizes = [size for size in edition.sizes if size <= most_connections()]
    with responder(sizes[-1]) as hosts:
        polled = compare(hosts, sizes, limit=edition.limit, seconds=edition.seconds, turns=edition.turns)
        _say("bursts")
        few = [size for size in (100, 1000, sizes[-1]) if size <= sizes[-1]] or [sizes[-1]]
        fleets = fleet_calls(hosts, few)
        beside = beside_aiohttp(hosts, [size for size in few if size <= _MOST_BESIDE])
        _say("watching")
        watched = watch(hosts, sizes[-1], edition.interval, rounds=3)
        _say("opening")
        opened = open_doors(hosts, edition.opens)
    _say("starting")
    started = start(edition.starts)
    _say("50 callers")
    return Figures(
        sizes=sizes,
        distinct=hosts.distinct,
        left_out=[size for size in edition.sizes if size not in sizes],
        limit=edition.limit,
        polled=polled,
        watched=watched,
        opened=opened,
        started=started,
        saturated=saturate(edition.saturated),
        fleets=fleets,
        beside=beside,
    )


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _write(figures: Figures, edition: Edition, folder: Path) -> str:
    text = page.write(figures, judge(figures), this_machine(), turns=edition.turns, most_threads=MOST_THREADS)
    (folder / "benchmarks.md").write_text(text, encoding="utf-8")
    chart.draw(figures, folder / "benchmarks.svg")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small edition, to see that it works")
    quick = parser.parse_args().quick
    edition = _QUICK if quick else Edition()
    figures = _run(edition)
    if quick:
        with tempfile.TemporaryDirectory() as folder:
            _say(_write(figures, edition, Path(folder)))
        return
    _say(_write(figures, edition, _DOCS))
    missed = [target.what for target in judge(figures) if target.kept is False]
    if missed:
        _say(f"not kept: {'; '.join(missed)}")  # and said on the page; machines are noisy, so it is no failure


if __name__ == "__main__":
    main()
