"""The state of the live table: the newest of each locker, lost gateways, what is wrong. No terminal, no clock.

It stands apart from the drawing because nothing here needs rich, and the two together are no longer read in one go.
"""

import enum
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from thekeys_async import DoorState, GatewayUpdate, LockerUpdate, Update, UpdateKind
from thekeys_async.cli.signal_strength import WEAK

_KEPT = 60
_MOST_ROWS = 1000  # of one gateway; as many as a watcher follows, of which the lost ones make room
_OF_THE_DOOR = frozenset({"status", "status_error"})


LOW_MV = 6800
"""Below this, in mV, a battery should be changed. A rule of thumb, about 22 % of the estimate; not the vendor's."""


class Health(enum.IntEnum):
    """The state of a door, the worst first."""

    LOST = 0
    STUCK = 1
    """Its bolt is jammed, or could not be read."""
    WEAK = 2
    LOW = 3
    WELL = 4


@attrs.frozen
class Counts:
    """The number of doors, and of those that are to be seen to.

    A door that several gateways see is counted once, and by what the best of them says.
    """

    doors: int
    open: int
    lost: int
    stuck: int
    weak: int
    low: int


def _signals() -> deque[int]:
    return deque(maxlen=_KEPT)


def is_low(millivolts: int | None) -> bool:
    """Tell whether a battery should be changed."""
    return millivolts is not None and millivolts < LOW_MV


@attrs.define
class Row:
    """A locker, seen through one gateway.

    Attributes:
        news: The newest of it.
        signals: Its RSSI in dBm at the last polls, the newest last.
    """

    news: LockerUpdate
    signals: deque[int] = attrs.field(factory=_signals)

    def age(self, now: datetime) -> float:
        """Say how many seconds ago the gateway said so."""
        return max(0.0, (now - self.news.at).total_seconds())


class Board:
    """Takes updates, and has a row for each locker of each gateway.

    Args:
        gateways: The names of the gateways that will tell something.
    """

    def __init__(self, gateways: Iterable[str]) -> None:
        self._rows: dict[str, dict[int, Row]] = {name: {} for name in gateways}
        self._lost: dict[str, GatewayUpdate] = {}

    @property
    def rows(self) -> Mapping[str, tuple[Row, ...]]:
        """The rows by gateway, in the order in which those were given; of a gateway, by the lockers' numbers."""
        return {name: tuple(rows[number] for number in sorted(rows)) for name, rows in self._rows.items()}

    @property
    def lost(self) -> Mapping[str, GatewayUpdate]:
        """The gateways that can't be reached now, and what was said of them."""
        return self._lost

    def health(self, gateway: str, row: Row) -> Health:
        """Tell what is wrong with a door, as one gateway sees it.

        Args:
            gateway: Its name.
            row: The door's.
        """
        news = row.news
        if gateway in self._lost or news.kind is UpdateKind.LOST:
            return Health.LOST
        if news.status_error is not None or (news.status is not None and news.status.state is DoorState.JAMMED):
            return Health.STUCK
        if news.reading is not None and news.reading.rssi is not None and news.reading.rssi < WEAK:
            return Health.WEAK
        return Health.LOW if news.reading is not None and is_low(news.reading.battery_mv) else Health.WELL

    def counts(self) -> Counts:
        """Count the doors."""
        best: dict[int, Health] = {}
        opened: set[int] = set()
        for name, rows in self._rows.items():
            for number, row in rows.items():
                best[number] = max(best.get(number, Health.LOST), self.health(name, row))
                if row.news.status is not None and row.news.status.state is DoorState.OPEN:
                    opened.add(number)
        found = list(best.values())
        return Counts(
            doors=len(found),
            open=len(opened),
            lost=found.count(Health.LOST),
            stuck=found.count(Health.STUCK),
            weak=found.count(Health.WEAK),
            low=found.count(Health.LOW),
        )

    def take(self, update: Update) -> None:
        """Take an update in."""
        if isinstance(update, LockerUpdate):
            self._take_locker(update)
        elif update.reachable:
            self._lost.pop(update.gateway, None)
        else:
            self._lost[update.gateway] = update

    def _take_locker(self, update: LockerUpdate) -> None:
        rows = self._rows.setdefault(update.gateway, {})
        if len(rows) >= _MOST_ROWS and update.identifier not in rows:
            for identifier in [number for number, row in rows.items() if row.news.kind is UpdateKind.LOST]:
                del rows[identifier]
        row = rows.setdefault(update.identifier, Row(update))
        row.news = update
        only_of_the_door = update.changed and update.changed <= _OF_THE_DOOR
        heard = None if update.reading is None else update.reading.rssi
        if update.kind is not UpdateKind.LOST and not only_of_the_door and heard is not None:
            row.signals.append(heard)
