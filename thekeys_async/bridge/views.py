"""The known state of one locker and of one gateway, and the moves of a bolt. Pure."""

import math
from typing import Final, Literal

import attrs

from thekeys_async.bridge.discovery import BridgedLocker
from thekeys_async.bridge.lock_state import LockState, PublishedState
from thekeys_async.protocol.errors import (
    InvalidHmacError,
    InvalidKeyError,
    LockerIncompatibleError,
    NotSharedError,
    TheKeysError,
)
from thekeys_async.protocol.models import DoorState, LockerReading, LockerStatus

RSSI_EVERY: Final = 60.0
"""Seconds between two publications of a signal that has moved by less than `RSSI_STEP`."""

RSSI_STEP: Final = 3

OWN_MOVE: Final = 60.0
"""Seconds after a command within which a growing log may be its doing."""

_FOR_GOOD: Final = (InvalidHmacError, InvalidKeyError, LockerIncompatibleError, NotSharedError)

_KNOWN: Final = {
    PublishedState.LOCKED: DoorState.CLOSED,
    PublishedState.UNLOCKED: DoorState.OPEN,
    PublishedState.JAMMED: DoorState.JAMMED,
}

By = Literal["bridge", "other"]


@attrs.frozen
class Event:
    """A move of a bolt, or one that failed.

    Attributes:
        identifier: The locker.
        what: ``moved`` or ``did not move``.
        by: The cause: the bridge or somebody else.
        count: The number of moves, where several came at once.
    """

    identifier: int
    what: Literal["moved", "did not move"]
    by: By
    count: int = 1


@attrs.define
class LockView:
    """The known state of one locker. Nothing of it is secret.

    Attributes:
        locker: The locker, as it is published.
        state: Its bolt and its commands.
        reading: The last reading of its gateway's scan.
        status: Its last status.
        error: The error of the last read of its bolt, if that failed.
        lost: Whether its gateway's scan no longer sees it.
        read_at: When its bolt was last read, in seconds since 1970.
        rssi: The signal that was published last.
    """

    locker: BridgedLocker
    state: LockState = attrs.field(factory=LockState)
    reading: LockerReading | None = None
    status: LockerStatus | None = None
    error: TheKeysError | None = None
    lost: bool = False
    read_at: float | None = None
    rssi: int | None = None
    _rssi_at: float = attrs.field(default=-math.inf, init=False)
    _log: int | None = attrs.field(default=None, init=False)
    _own_moves: int = attrs.field(default=0, init=False)
    _own_until: float = attrs.field(default=-math.inf, init=False)

    @property
    def available(self) -> bool:
        """Whether what is published of it holds."""
        return not (self.lost or self.state.in_doubt or isinstance(self.error, _FOR_GOOD))

    @property
    def known(self) -> DoorState:
        """The bolt's state, never more than is known: unknown while a command moves it or is in doubt."""
        return _KNOWN.get(self.state.published, DoorState.UNKNOWN)

    def moved_by_us(self, now: float) -> None:
        """Note that a command of ours may have turned the bolt."""
        self._own_moves, self._own_until = self._own_moves + 1, now + OWN_MOVE

    def not_moved_by_us(self) -> None:
        """Note that the newest command of ours has not turned the bolt."""
        self._own_moves = max(0, self._own_moves - 1)

    def thin_out_signal(self, now: float) -> None:
        """Take the newest signal over if it is time for that, or it has moved far."""
        newest = None if self.reading is None else self.reading.rssi
        if newest == self.rssi:
            return
        far = newest is None or self.rssi is None or abs(newest - self.rssi) >= RSSI_STEP
        if far or now - self._rssi_at >= RSSI_EVERY:
            self.rssi, self._rssi_at = newest, now

    def moves(self, log: int | None, now: float) -> dict[By, int]:
        """Count the moves that a log tells, and whose they were."""
        before, self._log = self._log, log if log is not None else self._log
        if log is None or before is None or log <= before:
            return {}
        return self._whose(log - before, now)

    def state_changed(self, now: float) -> dict[By, int]:
        """Say whose move it was that changed the bolt's state, where no log tells."""
        return {} if self._log is not None else self._whose(1, now)

    def _whose(self, count: int, now: float) -> dict[By, int]:
        if now > self._own_until:
            self._own_moves = 0
        ours = min(count, self._own_moves)
        self._own_moves -= ours
        found: dict[By, int] = {"bridge": ours, "other": count - ours}
        return {by: number for by, number in found.items() if number}


@attrs.define
class GatewayView:
    """The known state of one gateway.

    Attributes:
        name: The gateway's name.
        reachable: Whether it answers; None before anything is known.
        error: The reason why it does not answer.
        phase: Its phase, in its own words.
        version: Its firmware.
        answered_at: When it was last known to answer.
    """

    name: str
    reachable: bool | None = None
    error: TheKeysError | None = None
    phase: str | None = None
    version: int | None = None
    answered_at: float | None = None
