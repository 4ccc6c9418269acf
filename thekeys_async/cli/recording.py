"""A recording by `thekeys watch --json`, read back: each locker's signal and battery over time. All pure.

A reading holds until the next one. Where nothing was known - the gateway or the locker was lost, or nobody watched - is
a gap.
"""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import attrs

from thekeys_async.protocol.thresholds import WEAK

_SAMPLES = 600


@attrs.frozen
class Point:
    """A reading, and the moment from which it holds.

    Attributes:
        at: The moment.
        rssi: In dBm; NaN in a gap.
        battery_mv: In mV; NaN in a gap.
    """

    at: datetime
    rssi: float = math.nan
    battery_mv: float = math.nan


@attrs.define
class Series:
    """A locker as one gateway saw it.

    Attributes:
        gateway: The gateway's name.
        identifier: The locker's number.
        name: The locker's name in the configuration file, or None.
        points: The readings, the oldest first.
    """

    gateway: str
    identifier: int
    name: str | None = None
    points: list[Point] = attrs.field(factory=list[Point])
    _held: Point | None = None

    @property
    def locker(self) -> str:
        """The locker's name, or its number."""
        return self.name or str(self.identifier)

    @property
    def battery_mv(self) -> float:
        """The battery that was heard of last, in mV."""
        return next(point.battery_mv for point in reversed(self.points) if not math.isnan(point.battery_mv))

    def heard(self, point: Point) -> None:
        """Note a reading."""
        self._held = point
        self.points.append(point)

    def lose(self, at: datetime) -> None:
        """Begin a gap."""
        if self.points and not math.isnan(self.points[-1].rssi):
            self.points.append(Point(at))

    def resume(self, at: datetime) -> None:
        """End a gap in which nothing has changed: a gateway that is back only tells what has."""
        if self._held and self.points and math.isnan(self.points[-1].rssi):
            self.points.append(attrs.evolve(self._held, at=at))

    def forget(self) -> None:
        """Drop the reading that `resume` would go on with: the locker itself was lost."""
        self._held = None

    def sampled(self, until: datetime, count: int = _SAMPLES) -> list[Point]:
        """Ask at regular moments what was known then.

        Args:
            until: The last of the moments; the first is that of the first point.
            count: How many.
        """
        start, samples, index = self.points[0].at, list[Point](), 0
        for number in range(count):
            at = start + (until - start) * (number / (count - 1))
            while index + 1 < len(self.points) and self.points[index + 1].at <= at:
                index += 1
            samples.append(attrs.evolve(self.points[index], at=at))
        return samples


@attrs.frozen
class Summary:
    """The summary of one locker at one gateway.

    Attributes:
        median: Of its RSSI over time, in dBm.
        weakest: The lowest RSSI, in dBm.
        weak: The part of the time, 0 to 1, in which the signal was weak or there was none.
    """

    median: float
    weakest: float
    weak: float


@attrs.define
class Recording:
    """A whole file.

    Attributes:
        series: By gateway and locker, in the order of the first news.
        until: The moment of the last line; None if there is no line.
        left_out: How many lines made no sense; the last one may be cut off.
        gateways: Every gateway that is named, in the order of the first news.
    """

    series: dict[tuple[str, int], Series] = attrs.field(factory=dict[tuple[str, int], Series])
    until: datetime | None = None
    left_out: int = 0
    gateways: dict[str, None] = attrs.field(factory=dict[str, None])

    @property
    def never_heard(self) -> list[str]:
        """The gateways of which there is no reading at all."""
        heard = {series.gateway for series in self.series.values()}
        return [name for name in self.gateways if name not in heard]

    def battery(self, identifier: int) -> list[Point]:
        """Tell what was known of a locker's battery, whichever gateway said so; a gap is where none heard it.

        Args:
            identifier: The locker.
        """
        told = [
            (point.at, number, point)
            for number, series in enumerate(self.series.values())
            if series.identifier == identifier
            for point in series.points
        ]
        hearing: set[int] = set()
        points: list[Point] = []
        for at, number, point in sorted(told, key=lambda each: each[0]):
            (hearing.discard if math.isnan(point.rssi) else hearing.add)(number)
            if not math.isnan(point.battery_mv) or not hearing:
                points.append(Point(at, battery_mv=point.battery_mv if hearing else math.nan))
        return points

    @property
    def start(self) -> datetime:
        """The first moment of which anything is known."""
        return min(series.points[0].at for series in self.series.values())

    @property
    def end(self) -> datetime:
        """The last moment of which anything is known."""
        return self.until or self.start

    def take(self, at: datetime, line: dict[str, Any]) -> None:
        """Take a line in; lines come in the order of time.

        Raises:
            ValueError: It makes no sense.
        """
        if line["update"] == "gateway":
            self.gateways[str(line["gateway"])] = None
            for series in self.series.values():
                if series.gateway == line["gateway"]:
                    (series.resume if line["reachable"] else series.lose)(at)
        elif line["update"] == "locker":
            self._take_locker(at, line)
        else:
            raise ValueError(line["update"])
        self.until = at

    def _take_locker(self, at: datetime, line: dict[str, Any]) -> None:
        key = str(line["gateway"]), int(line["identifier"])
        self.gateways[key[0]] = None
        if line["kind"] == "lost":
            if key in self.series:
                self.series[key].lose(at)
                self.series[key].forget()
            return
        series = self.series.get(key) or Series(*key)
        before = series.points[-1] if series.points else Point(at)
        point = Point(at, _told(line["rssi"], before.rssi), _told(line["battery_mv"], before.battery_mv))
        self.series[key] = series
        if line["kind"] == "appeared" and self.until is not None:
            series.lose(self.until)  # nobody watched since then
        series.name = line.get("name") or series.name
        series.heard(point)


def _told(value: float | None, before: float) -> float:
    """Read a number of a line; where the locker sent nothing that makes sense, the number before it goes on."""
    if not math.isfinite(number := before if value is None else float(value)):
        raise ValueError("not a reading")
    return number


def read(lines: Iterable[str]) -> Recording:
    """Read the lines of a file, or of several one after the other."""
    recording, understood = Recording(), list[tuple[datetime, dict[str, Any]]]()
    for line in filter(str.strip, lines):
        try:
            value: Any = json.loads(line)
            understood.append((datetime.fromisoformat(value["at"]).astimezone(), value))
        except (ValueError, TypeError, KeyError, OverflowError):
            recording.left_out += 1
    for at, value in sorted(understood, key=lambda pair: pair[0]):
        try:
            recording.take(at, value)
        except (ValueError, TypeError, KeyError, OverflowError):
            recording.left_out += 1
    return recording


def summarised(samples: Sequence[Point]) -> Summary:
    """Summarise samples that are regular in time, at least one of which is in no gap."""
    known = [sample.rssi for sample in samples if not math.isnan(sample.rssi)]
    return Summary(
        median=statistics.median(known),
        weakest=min(known),
        weak=1 - sum(rssi >= WEAK for rssi in known) / len(samples),
    )


def smoothed(values: Sequence[float], reach: int) -> list[float]:
    """Take the mean of each value and its neighbours, so that a line shows where a noisy signal lies.

    Args:
        values: NaN where nothing is known, which stays so.
        reach: How many neighbours on each side.
    """
    return [
        value
        if math.isnan(value)
        else statistics.fmean(v for v in values[max(0, i - reach) : i + reach + 1] if not math.isnan(v))
        for i, value in enumerate(values)
    ]
