"""The changes of a gateway's lockers that are news to one watcher. No waiting, no clock."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs
from attrs.validators import and_, ge, gt, instance_of, lt, optional

from thekeys_async.protocol.errors import TheKeysError
from thekeys_async.protocol.models import LockerReading, LockerStatus, check_identifier
from thekeys_async.streams.updates import STATUS, STATUS_ERROR, LockerUpdate, UpdateKind, differing

_seconds = and_(instance_of((int, float)), gt(0.0), lt(math.inf))


def _identifiers(lockers: Iterable[int] | None) -> frozenset[int] | None:
    if lockers is None:
        return None
    return frozenset(check_identifier(identifier) for identifier in lockers)


@attrs.frozen(kw_only=True)
class WatchOptions:
    """The options of a watcher; `AsyncGateway.watch` explains each."""

    interval: float = attrs.field(default=10.0, validator=_seconds)
    every_poll: bool = False
    min_rssi_change: int = attrs.field(default=1, validator=ge(0))
    min_battery_change: int = attrs.field(default=1, validator=ge(0))
    lockers: frozenset[int] | None = attrs.field(default=None, converter=_identifiers)
    follow_doors: bool = False
    door_interval: float = attrs.field(default=300.0, validator=_seconds)
    lost_after: int = attrs.field(default=3, validator=[instance_of(int), ge(1)])
    status_interval: float | None = attrs.field(default=None, validator=optional(_seconds))

    def includes(self, identifier: int) -> bool:
        """Tell whether the watcher is to hear of a locker."""
        return self.lockers is None or identifier in self.lockers

    def news(self, mark: LockerReading, reading: LockerReading) -> frozenset[str]:
        """Name the fields that are farther from a mark than noise is."""
        noise = set[str]()
        if _is_noise(mark.rssi, reading.rssi, self.min_rssi_change):
            noise.add("rssi")
        if _is_noise(mark.battery_mv, reading.battery_mv, self.min_battery_change):
            noise.add("battery_mv")
        return differing(mark, reading) - noise


def _is_noise(before: int | None, after: int | None, least: int) -> bool:
    """Tell whether a value has hardly moved; one that comes or goes always counts."""
    return before is not None and after is not None and abs(after - before) < least


@attrs.define
class _Tracked:
    """A locker that the watcher has been told of.

    Attributes:
        latest: The newest reading.
        told: The reading that it was last told.
        mark: The values that it was last told as changed, so that a slow drift adds up.
        missing: How many lists in a row it was missing from.
    """

    latest: LockerReading
    told: LockerReading
    mark: LockerReading
    missing: int = 0


@attrs.frozen
class Door:
    """The last read of a door.

    Attributes:
        status: The locker's last status.
        error: The error of the last read, if that failed.
    """

    status: LockerStatus | None = None
    error: TheKeysError | None = None


MOST_LOCKERS = 1000
"""The number of lockers of one gateway that a watcher follows. A real one sees a handful; one that lists ever new
identifiers costs no more memory than this."""


class ChangeTracker:
    """Turns lists of lockers into updates for one watcher."""

    def __init__(self, gateway: str, options: WatchOptions) -> None:
        self._gateway = gateway
        self._options = options
        self._tracked: dict[int, _Tracked] = {}
        self._awaited = dict.fromkeys(options.lockers or (), 0)
        self._doors: dict[int, Door] = {}

    def listed(self, readings: Mapping[int, LockerReading], at: datetime) -> list[LockerUpdate]:
        """Take a complete list of the lockers that the gateway sees."""
        updates = [
            update
            for identifier, reading in readings.items()
            if self._options.includes(identifier) and (update := self._seen(reading, at))
        ]
        return updates + self._lost(readings, at)

    def door(self, identifier: int, door: Door, at: datetime) -> list[LockerUpdate]:
        """Take the outcome of a door's read; a status in it is fresh if there is no error."""
        before = self._doors.get(identifier, Door())
        self._doors[identifier] = door
        changed = set[str]()
        if door.status and not door.error:
            changed.add(STATUS)
        if _told(before.error) != _told(door.error):
            changed.add(STATUS_ERROR)
        tracked = self._tracked.get(identifier)
        if not (tracked and changed):
            return []
        news = self._options.news(tracked.mark, tracked.latest)
        return [self._tell(tracked, tracked.latest, UpdateKind.CHANGED, news | changed, at)]

    def remember(self, identifier: int, door: Door) -> None:
        """Take a read of a door that was made for other watchers; it is not fresh."""
        self._doors[identifier] = door

    def _seen(self, reading: LockerReading, at: datetime) -> LockerUpdate | None:
        self._awaited.pop(reading.identifier, None)
        tracked = self._tracked.get(reading.identifier)
        if tracked is None and len(self._tracked) >= MOST_LOCKERS:
            return None
        if tracked is None:
            self._tracked[reading.identifier] = _Tracked(reading, reading, reading)
            return self._update(reading, None, UpdateKind.APPEARED, differing(None, reading), at)
        tracked.missing = 0
        tracked.latest = reading
        changed = self._options.news(tracked.mark, reading)
        if not changed and not self._options.every_poll:
            return None
        kind = UpdateKind.CHANGED if changed else UpdateKind.UNCHANGED
        return self._tell(tracked, reading, kind, changed, at)

    def _lost(self, readings: Mapping[int, LockerReading], at: datetime) -> list[LockerUpdate]:
        updates = list[LockerUpdate]()
        for identifier in [i for i in self._awaited if i not in readings]:
            self._awaited[identifier] += 1
            if self._awaited[identifier] >= self._options.lost_after:
                del self._awaited[identifier]
                updates.append(
                    LockerUpdate(
                        gateway=self._gateway, identifier=identifier, kind=UpdateKind.LOST, reading=None, at=at
                    )
                )
        for identifier, tracked in [(i, t) for i, t in self._tracked.items() if i not in readings]:
            tracked.missing += 1
            if tracked.missing >= self._options.lost_after:
                del self._tracked[identifier]
                updates.append(self._update(tracked.latest, tracked.told, UpdateKind.LOST, frozenset(), at))
        if len(self._doors) > MOST_LOCKERS:
            self._doors = {i: door for i, door in self._doors.items() if i in self._tracked}
        return updates

    def _tell(
        self, tracked: _Tracked, reading: LockerReading, kind: UpdateKind, changed: frozenset[str], at: datetime
    ) -> LockerUpdate:
        update = self._update(reading, tracked.told, kind, changed, at)
        tracked.told = reading
        if told := changed & differing(tracked.mark, reading):
            tracked.mark = attrs.evolve(tracked.mark, **{name: getattr(reading, name) for name in told})
        return update

    def _update(
        self,
        reading: LockerReading,
        previous: LockerReading | None,
        kind: UpdateKind,
        changed: frozenset[str],
        at: datetime,
    ) -> LockerUpdate:
        door = self._doors.get(reading.identifier, Door())
        return LockerUpdate(
            gateway=self._gateway,
            identifier=reading.identifier,
            kind=kind,
            reading=reading,
            previous=previous,
            changed=changed,
            status=door.status,
            status_error=door.error,
            at=at,
        )


def _told(error: TheKeysError | None) -> tuple[type[TheKeysError], str] | None:
    return (type(error), str(error)) if error else None
