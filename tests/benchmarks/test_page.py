"""The page of the benchmarks says what was measured, also what is not kept and who did not finish."""

import re
from itertools import groupby, pairwise
from pathlib import Path

import attrs
import chart
import page
import pytest
from clients.catalogue import AIOHTTP, FLOOR, OURS, OURS_ON_TRIO
from figures import Figures, Opened, Polled, Saturated, Started, Watched
from machine import Machine
from targets import judge

_SHARED = "httpx, one client"
_SIZES = (1, 100, 1000, 10_000)
_MACHINE = Machine("A processor", 2, "A system", "CPython 3.11", {"anyio": "4.11"}, "22 November 2026", "nox -s bench")
_DOCS = Path(__file__).parents[2] / "docs"


def _polled(cpu):
    return Polled(at_once=cpu, by_sixteen=cpu, memory=4.25, p50=2.0, p99=3.0)


@pytest.fixture
def figures():
    """Figures that keep everything, if only just."""
    cpu = {OURS: 0.2, AIOHTTP: 0.2, OURS_ON_TRIO: 0.25, FLOOR: 0.03}
    polled = {(label, size): _polled(ms) for size in _SIZES for label, ms in cpu.items()}
    polled |= {(_SHARED, size): _polled(4.0) if size < 1000 else None for size in _SIZES}
    return Figures(
        sizes=_SIZES,
        distinct=True,
        left_out=(),
        limit=60.0,
        polled=polled,
        watched={loop: Watched(10_000, 5.0, 0.99, 12.0, 249.0, 40.0, 29_700, 30_000) for loop in ("asyncio", "trio")},
        opened={loop: Opened(ours=1.2, bare=0.2) for loop in ("asyncio", "trio")},
        started=Started(ours=110.0, gateway=150.0, httpx=100.0, command=299.0),
        saturated={"asyncio": Saturated(0.97, 0.953, 0)},
        fleets={(loop, size): 0.1 if size == 100 else 0.12 for loop in ("asyncio", "trio") for size in (100, 1000)},
        beside={100: 0.85, 1000: 0.8},
    )


def _with_polled(figures, label, size, **changes):
    changed = attrs.evolve(figures.polled[label, size], **changes)
    return attrs.evolve(figures, polled={**figures.polled, (label, size): changed})


def _with_watched(figures, **changes):
    return attrs.evolve(figures, watched={**figures.watched, "trio": attrs.evolve(figures.watched["trio"], **changes)})


def _missed(figures):
    return [target.what for target in judge(figures) if target.kept is False]


def _written(figures):
    return page.write(figures, judge(figures), _MACHINE, turns=3, most_threads=1000)


def test_what_is_just_good_enough_is_kept(figures):
    assert {target.kept for target in judge(figures)} == {True}
    assert "All that was measured was kept" in _written(figures)


@pytest.mark.parametrize(
    ("spoil", "missed"),
    [
        (lambda f: _with_polled(f, OURS, 1000, by_sixteen=0.201), "CPU of a poll, 1000 gateways"),
        (lambda f: _with_polled(f, OURS, 1000, at_once=0.201), "CPU of a poll, 1000 gateways"),
        (
            lambda f: _with_polled(f, OURS_ON_TRIO, 10_000, by_sixteen=0.31),
            "CPU of a poll, thekeys-async, trio, 10 000",
        ),
        (lambda f: attrs.evolve(f, beside={100: 0.86, 1000: 0.8}), "CPU of a burst, both in one process"),
        (lambda f: attrs.evolve(f, fleets={**f.fleets, ("trio", 1000): 0.13}), "CPU of `fleet.lockers()`"),
        (lambda f: _with_watched(f, core=1.0), "10 000 gateways watched at 5 s, cores"),
        (lambda f: _with_watched(f, p99=250.0), "10 000 gateways watched at 5 s, p99 lateness"),
        (lambda f: _with_watched(f, memory=40.1), "10 000 gateways watched at 5 s, memory"),
        (lambda f: attrs.evolve(f, opened={"asyncio": Opened(ours=1.21, bare=0.2)}), "One open"),
        (lambda f: attrs.evolve(f, started=Started(111.0, 111.0, 100.0, 200.0)), "CPU of `import thekeys_async`"),
        (lambda f: attrs.evolve(f, started=Started(100.0, 100.0, 100.0, 300.0)), "CPU of `thekeys --help`"),
    ],
)
def test_what_is_not_kept_is_said(figures, spoil, missed):
    spoilt = spoil(figures)
    assert len(_missed(spoilt)) == 1
    assert _missed(spoilt)[0].startswith(missed)
    assert f"Not kept in this run: {missed}" in _written(spoilt)


def test_a_core_is_not_enough_for_who_does_not_keep_up(figures):
    assert [what.rpartition(", ")[2] for what in _missed(_with_watched(figures, news=29_000))] == [
        "share of the news that was taken",
        "cores",
    ]


def test_what_was_not_measured_is_neither_kept_nor_missed(figures):
    small = attrs.evolve(figures, sizes=(1, 100), left_out=(10_000,), polled={
        (label, size): polled for (label, size), polled in figures.polled.items() if size <= 100
    })  # fmt: skip
    kept = {target.what: target.kept for target in judge(small)}
    assert kept["CPU of a poll, 100 gateways, thekeys-async : aiohttp"] is True
    assert kept["CPU of a poll, 10 000 gateways, thekeys-async : aiohttp"] is None
    assert "Too few files may be open here for 10 000 gateways." in _written(small)


def test_who_did_not_finish_is_in_the_table(figures):
    text = _written(figures)
    at_1000, at_10000 = (text.partition(f"### {size} gateways")[2].partition("\n#")[0] for size in ("1000", "10 000"))
    assert f"| {_SHARED} | not finished in 60 s |" in at_1000
    assert f"| {_SHARED} | not finished in 60 s at 1000, not asked |" in at_10000


def test_what_a_client_cannot_do_is_left_empty(figures):
    text = _written(_with_polled(figures, AIOHTTP, 10_000, at_once=None))
    assert "| aiohttp | - | 0.20 | 4.2 | 2.0 | 3.0 | 1.0 |" in text.partition("### 10 000 gateways")[2]


def test_memory_is_not_told_of_a_few_gateways(figures):
    assert "| aiohttp | 0.20 | 0.20 | - |" in _written(figures).partition("### 1 gateway\n")[2]


def test_every_table_is_one(figures):
    for is_table, lines in groupby(_written(figures).splitlines(), lambda line: line.startswith("|")):
        if is_table:
            assert len({line.count("|") for line in lines}) == 1


def test_machine_versions_day_and_command_stand_beside_the_figures(figures):
    where = _written(figures).partition("## Where")[2]
    for fact in (*("A processor", "A system", "CPython 3.11", "4.11"), _MACHINE.day, "`nox -s bench`"):
        assert f" {fact} |" in where


def test_the_chart_has_every_client(figures, tmp_path):
    chart.draw(figures, tmp_path / "chart.svg")
    drawn = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    for label, _ in figures.polled:
        assert f">{label}" in drawn
    assert "did not finish" in drawn


def test_the_chart_is_told_in_words(figures):
    alternative = re.search(r"!\[(.+)\]\(benchmarks\.svg\)", _written(figures))[1]
    for label, _ in figures.polled:
        assert label in alternative
    assert f"{_SHARED} 4.0 ms at 100" in alternative


def test_labels_keep_their_distance_and_their_order():
    placed = chart.spread([0.1, 0.11, 0.12, 0.5], 0.05)
    assert placed == sorted(placed)
    assert all(after - before > 0.0499 for before, after in pairwise(placed))
    assert placed[3] == 0.5


def test_the_page_in_the_docs_is_of_a_full_run(figures):
    written = (_DOCS / "benchmarks.md").read_text(encoding="utf-8")
    for target in judge(figures):
        assert f"| {target.what} | {target.wanted} |" in written
    assert "| Command | `python tests/benchmarks/bench_gateways.py` |" in written
    assert (_DOCS / "benchmarks.svg").exists()
