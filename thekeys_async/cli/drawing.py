"""The picture: signal above, battery below, one line for each locker and gateway. Importing this loads matplotlib."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib import dates as mpl_dates
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thekeys_async import battery_percent
from thekeys_async.cli.recording import Point, Recording, Series, smoothed, summarised
from thekeys_async.cli.signal_strength import GOOD, WEAK

Axes: TypeAlias = Any
library: Any = mpl  # its own types know no dates on an axis, and are unknown in part
dates: Any = mpl_dates

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#4D4D4D")  # colour-blind safe
_STYLES = ("-", "--", ":", "-.")
_REACH = 12
_LABEL_FITS_TWICE = 68
_FAINTEST, _STRONGEST = -92, -58
_LEAST_MV = 60
_SHORTEST = timedelta(seconds=10)


def draw(recording: Recording, picture: Path) -> None:
    """Draw a recording that has at least one series, as the name's ending says.

    Raises:
        OSError: The picture can't be written.
    """
    figure: Any = Figure(figsize=(11, 7 + 0.25 * math.ceil(len(recording.series) / 2)), layout="constrained")
    signal, battery = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    end = max(recording.end, recording.start + _SHORTEST)
    for number, series in enumerate(recording.series.values()):
        colour = _COLOURS[number % len(_COLOURS)]
        style = _STYLES[number // len(_COLOURS) % len(_STYLES)]
        _draw_series(series, end, (signal, battery), colour, style)
    _finish_signal(signal, recording)
    _finish_battery(battery, recording)
    _finish_time(battery, recording.start, end)
    figure.suptitle("Bluetooth signal and battery of each locker, as each gateway sees it", fontsize=14)
    handles, labels = signal.get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) <= _LABEL_FITS_TWICE else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    with library.rc_context({"svg.fonttype": "none"}):  # words stay words, that can be searched
        figure.savefig(picture, dpi=150)


def _draw_series(series: Series, end: datetime, axes: Sequence[Axes], colour: str, style: str) -> None:
    """Draw what was read as a thin line, and for the signal where it lies as a thick one."""
    signal, battery = axes
    points = [*series.points, Point(end, series.points[-1].rssi, series.points[-1].battery_mv)]
    times = [point.at for point in points]
    samples = series.sampled(end)
    signal.step(times, [p.rssi for p in points], where="post", color=colour, alpha=0.3, linewidth=0.8)
    signal.plot(
        [sample.at for sample in samples],
        smoothed([sample.rssi for sample in samples], _REACH),
        color=colour,
        linestyle=style,
        linewidth=2.2,
        label=_label(series, samples),
    )
    lost = [(point.at, before.rssi) for before, point in pairwise(points) if math.isnan(point.rssi)]
    signal.plot([at for at, _ in lost], [rssi for _, rssi in lost], "x", color=colour, markersize=8, markeredgewidth=2)
    battery.step(times, [p.battery_mv for p in points], where="post", color=colour, linestyle=style, linewidth=1.6)


def _label(series: Series, samples: Sequence[Point]) -> str:
    summary, millivolts = summarised(samples), round(series.battery_mv)
    return (
        f"Locker {series.locker} at {series.gateway}: median {_minus(summary.median)} dBm, "
        f"{millivolts} mV (about {battery_percent(millivolts)} %)"
    ).replace("$", r"\$")


def _minus(number: float) -> str:
    return f"{number:.0f}".replace("-", "\N{MINUS SIGN}")


def _finish_signal(axes: Axes, recording: Recording) -> None:
    """Set the scale, so that pictures can be compared, and show what is weak."""
    known = [p.rssi for series in recording.series.values() for p in series.points if not math.isnan(p.rssi)]
    low, high = min(*known, _FAINTEST) - 3, max(*known, _STRONGEST) + 3
    axes.set_ylim(low, high)
    axes.axhspan(low, WEAK, color="#D62728", alpha=0.12, linewidth=0)
    axes.axhline(GOOD, color="#2CA02C", linestyle=(0, (1, 2)), linewidth=1.2)
    _say(axes, low + 0.8, f"weak, below {_minus(WEAK)} dBm: commands are likely to fail", "#A01818")
    _say(axes, GOOD + 0.5, f"good, from {_minus(GOOD)} dBm on", "#1E7A1E")
    if any(math.isnan(point.rssi) for series in recording.series.values() for point in series.points):
        axes.plot(
            [], [], "x", color="#4D4D4D", markersize=8, markeredgewidth=2, label="lost: no news until the line goes on"
        )
    axes.set_ylabel("RSSI (dBm), nearer to 0 is better")
    axes.grid(alpha=0.25)


def _say(axes: Axes, height: float, words: str, colour: str) -> None:
    box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5}
    where = axes.get_yaxis_transform()
    axes.text(0.993, height, words, ha="right", va="bottom", color=colour, fontsize=9, transform=where, bbox=box)


def _finish_battery(axes: Axes, recording: Recording) -> None:
    """Set a scale on which a flat battery looks flat, however few millivolts it lost."""
    known = [p.battery_mv for series in recording.series.values() for p in series.points if not math.isnan(p.rssi)]
    room = max(_LEAST_MV - (max(known) - min(known)), 0) / 2 + 10
    axes.set_ylim(min(known) - room, max(known) + room)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel("Battery (mV)")
    axes.grid(alpha=0.25)


def _finish_time(axes: Axes, start: datetime, end: datetime) -> None:
    locator = dates.AutoDateLocator(tz=end.tzinfo)
    axes.set_xlim(start, end)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=end.tzinfo))
    axes.set_xlabel(f"Time ({end.tzname()})")
