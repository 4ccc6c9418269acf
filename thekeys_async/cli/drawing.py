"""The picture: signal above, battery below. Importing this loads matplotlib.

A colour is a locker, a line style a gateway. So the signal has a line for each of the two, and the battery one for each
locker, whichever gateway has told it.
"""

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

from thekeys_async.cli.output import battery
from thekeys_async.cli.recording import Point, Recording, Series, smoothed, summarised
from thekeys_async.protocol.thresholds import GOOD, LOW_MV, WEAK

Axes: TypeAlias = Any
library: Any = mpl  # its own types know no dates on an axis, and are unknown in part
dates: Any = mpl_dates

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#4D4D4D")  # colour-blind safe
_STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (9, 3)), (0, (4, 1)))
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
    lockers = dict.fromkeys(series.identifier for series in recording.series.values())
    colours = {identifier: _COLOURS[number % len(_COLOURS)] for number, identifier in enumerate(lockers)}
    styles = {gateway: _STYLES[number % len(_STYLES)] for number, gateway in enumerate(recording.gateways)}
    for series in recording.series.values():
        _draw_signal(series, end, signal, colours[series.identifier], styles[series.gateway])
    for gateway in recording.never_heard:
        signal.plot([], [], color="#4D4D4D", linestyle=styles[gateway], label=_plain(f"{gateway} was never heard"))
    for identifier, colour in colours.items():
        _draw_battery(recording.battery(identifier), end, battery, colour)
    _finish_signal(signal, recording)
    _finish_battery(battery, recording)
    _finish_time(battery, recording.start, end)
    figure.suptitle("Bluetooth signal and battery of each locker, as each gateway sees it", fontsize=14)
    handles, labels = signal.get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) <= _LABEL_FITS_TWICE else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    with library.rc_context({"svg.fonttype": "none"}):  # words stay words, that can be searched
        figure.savefig(picture, dpi=150)


def _draw_signal(series: Series, end: datetime, signal: Axes, colour: str, style: Any) -> None:
    """Draw what was read as a thin line, and where it lies as a thick one."""
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


def _draw_battery(points: Sequence[Point], end: datetime, battery: Axes, colour: str) -> None:
    known = [*points, Point(end, battery_mv=points[-1].battery_mv)]
    battery.step([p.at for p in known], [p.battery_mv for p in known], where="post", color=colour, linewidth=1.6)


def _label(series: Series, samples: Sequence[Point]) -> str:
    summary, millivolts = summarised(samples), round(series.battery_mv)
    return _plain(
        f"Locker {series.locker} at {series.gateway}: median {_minus(summary.median)} dBm, {battery(millivolts)}"
    )


def _plain(words: str) -> str:
    """Escape what matplotlib would read as mathematics."""
    return words.replace("$", r"\$")


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
    """Set a scale with the low battery on it, on which a flat battery looks flat, however few millivolts it lost."""
    known = [p.battery_mv for series in recording.series.values() for p in series.points if not math.isnan(p.rssi)]
    least, most = min(*known, LOW_MV), max(*known, LOW_MV)
    room = max(_LEAST_MV - (most - least), 0) / 2 + (most - least) * 0.05 + 10
    axes.set_ylim(least - room, most + room)
    axes.axhline(LOW_MV, color="#D62728", linestyle=(0, (1, 2)), linewidth=1.2)
    _say(axes, LOW_MV, f"low, below {LOW_MV} mV: change the battery", "#A01818")
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
