"""What the live table knows: the newest of each locker, and which gateways are lost. No terminal, no clock."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from thekeys_async import GatewayUpdate, LockerUpdate, Update, UpdateKind

_KEPT = 60
_OF_THE_DOOR = frozenset({"status", "status_error"})


def _signals() -> deque[int]:
    return deque(maxlen=_KEPT)


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
        row = rows.setdefault(update.identifier, Row(update))
        row.news = update
        only_of_the_door = update.changed and update.changed <= _OF_THE_DOOR
        heard = None if update.reading is None else update.reading.rssi
        if update.kind is not UpdateKind.LOST and not only_of_the_door and heard is not None:
            row.signals.append(heard)
