"""Draws docs/benchmarks.svg: the CPU of a poll against the number of gateways, one line for each client.

Nothing is painted behind it, and every colour stands out from white as from a dark page.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
from clients.catalogue import AIOHTTP, FLOOR, OURS, OURS_ON_TRIO
from digits import grouped
from figures import Figures
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

_GREY = "#7d8590"
_COLOURS = {OURS: "#e8590c", OURS_ON_TRIO: "#e8590c", AIOHTTP: "#2b7de9", FLOOR: _GREY}
_OTHER_COLOURS = ("#9c6ade", "#d6479a", "#c0392b", "#1f9d8f", "#a07d1c", "#5b9a2f")
_STYLES = {OURS_ON_TRIO: "--"}
_SIZE = (8.0, 5.0)
_APART = 0.045  # of the height: the least between two labels
_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "thekeys-async",
    "text.color": _GREY,
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _GREY),
}


def draw(figures: Figures, path: Path) -> None:
    """Draw it into a file."""
    lines = _lines(figures)
    others = [label for label in lines if label not in _COLOURS]
    colours = _COLOURS | dict(zip(others, cycle(_OTHER_COLOURS), strict=False))
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="gateways", ylabel="ms of CPU a poll, sixteen at a time")
        axes.set_xticks(figures.sizes, [*map(grouped, figures.sizes)])
        axes.tick_params(which="minor", bottom=False)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.yaxis.set_major_formatter("{x:.2g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, axis="y", alpha=0.25, color=_GREY)
        for label, points in lines.items():
            style = _STYLES.get(label, "-")
            axes.plot(*zip(*points, strict=True), style, color=colours[label], linewidth=2, marker="o", markersize=4)
        _name(axes, lines, colours)
        figure.savefig(path, transparent=True, metadata={"Date": None})


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Move places, given in ascending order, no further than needed for each to be that far from the next."""
    placed = list(wanted)
    for _ in range(100):
        for one in range(len(placed) - 1):
            lacking = apart - (placed[one + 1] - placed[one])
            if lacking > 0:
                placed[one] -= lacking / 2
                placed[one + 1] += lacking / 2
    return placed


def _lines(figures: Figures) -> dict[str, list[tuple[int, float]]]:
    lines: dict[str, list[tuple[int, float]]] = {}
    for (label, size), polled in figures.polled.items():
        if polled:
            lines.setdefault(label, []).append((size, polled.by_sixteen))
    return lines


def _name(axes: Axes, lines: Mapping[str, Sequence[tuple[int, float]]], colours: Mapping[str, str]) -> None:
    """Write each line's name at its end; where it ends early, beside its last point."""
    low, high = map(math.log10, axes.get_ylim())
    last = max(size for points in lines.values() for size, _ in points)
    ends = {label: points[-1] for label, points in lines.items()}
    whole = sorted((label for label, (size, _) in ends.items() if size == last), key=lambda label: ends[label][1])
    heights = [(math.log10(ends[label][1]) - low) / (high - low) for label in whole]
    for label, height in zip(whole, spread(heights, _APART), strict=True):
        axes.text(1.02, height, label, color=colours[label], transform=axes.transAxes, va="center")
    for label in lines.keys() - set(whole):
        words = f"{label}: did not finish"
        axes.annotate(words, ends[label], (8, 0), textcoords="offset points", color=colours[label])
