"""The published state of one lock: never more than is known of its bolt. Pure.

A command that nobody has answered leaves `None` and makes the lock unavailable until the bolt has been read: Home
Assistant before 2025.10 stays at *unlocking* with `None` alone (observed).
"""

import enum
from typing import Final

import attrs

from thekeys_async.bridge.messages import Action
from thekeys_async.protocol.models import DoorState

SETTLES: Final = 15.0
"""Seconds after a reply within which a bolt that is not at its goal may still be moving; about 5 s were observed."""

IN_DOUBT: Final = 60.0
"""Seconds for which a lock is unavailable after a command of unknown outcome, unless its bolt can be read before."""


class PublishedState(enum.StrEnum):
    """A value of a lock's state topic."""

    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    LOCKING = "LOCKING"
    UNLOCKING = "UNLOCKING"
    JAMMED = "JAMMED"
    UNKNOWN = "None"


_READ: Final = {
    DoorState.CLOSED: PublishedState.LOCKED,
    DoorState.OPEN: PublishedState.UNLOCKED,
    DoorState.JAMMED: PublishedState.JAMMED,
    DoorState.UNKNOWN: PublishedState.UNKNOWN,
}
_MOVING: Final = {Action.LOCK: PublishedState.LOCKING, Action.UNLOCK: PublishedState.UNLOCKING}
_GOAL: Final = {Action.LOCK: DoorState.CLOSED, Action.UNLOCK: DoorState.OPEN}


@attrs.define
class LockState:
    """One lock, as its commands and the reads of its bolt tell of it. All times are of one clock, in seconds.

    Attributes:
        read: The last read of the bolt; None before the first.
        read_at: When that was.
    """

    read: DoorState | None = None
    read_at: float | None = None
    _moving: Action | None = attrs.field(default=None, init=False)
    _before: DoorState | None = attrs.field(default=None, init=False)
    _replied_at: float | None = attrs.field(default=None, init=False)
    _doubt_until: float | None = attrs.field(default=None, init=False)
    _doubted_at: float = attrs.field(default=0.0, init=False)
    _doubt_before: float | None = attrs.field(default=None, init=False)
    _forgotten: bool = attrs.field(default=False, init=False)
    _moved_since_read: bool = attrs.field(default=False, init=False)

    @property
    def published(self) -> PublishedState:
        """The state to publish."""
        if self._moving is not None:
            return _MOVING.get(self._moving, self._as_read)
        return self._as_read

    @property
    def in_doubt(self) -> bool:
        """Whether a command may or may not have moved the bolt, and nobody has looked since."""
        return self._doubt_until is not None

    @property
    def is_moving(self) -> bool:
        """Whether a command of ours has been sent, and where the bolt ends is not known yet."""
        return self._moving is not None

    @property
    def awaits_read(self) -> bool:
        """Whether a read of the bolt would tell more than is known."""
        return self._replied_at is not None or self.in_doubt or self._forgotten

    def sent(self, action: Action) -> None:
        """Note that the bytes of a command leave."""
        if action in _GOAL:
            self._before = self.read
            self._moving, self._replied_at = action, None
        self._doubt_before, self._doubt_until = self._doubt_until, None

    def replied(self, action: Action, now: float) -> None:
        """Note that the gateway has confirmed the command; the bolt moves some seconds later."""
        if action in _GOAL:
            self._moving, self._replied_at = action, now
        else:
            self._moving, self._replied_at, self._forgotten = None, None, True
        self._moved_since_read = True
        self._doubt_until = self._doubt_before = None

    def failed(self, now: float, *, may_have_executed: bool) -> None:
        """Note that a command that was sent has failed: the bolt is where it was, or nobody knows where it is."""
        self._moving = self._replied_at = None
        if may_have_executed:
            self._doubt_until, self._doubted_at, self._forgotten = now + IN_DOUBT, now, True
            self._doubt_before = None
            return
        # What was not known before is not known now; and the one before may have moved the bolt since it was read.
        if self._doubt_until is None:
            self._doubt_until, self._doubt_before = self._doubt_before, None
        self._forgotten = self._forgotten or self._moved_since_read

    def was_read(self, state: DoorState, answered_at: float) -> bool:
        """Note that the bolt was read.

        A gateway does one thing at a time, so what was answered after a command ended was asked after it.

        Args:
            state: The state that was read.
            answered_at: When; what was answered before a command ended says nothing of that.

        Returns:
            Whether the bolt was to move, and has not.
        """
        if self.in_doubt and answered_at < self._doubted_at:
            return False
        self.read, self.read_at, self._forgotten, self._doubt_until = state, answered_at, False, None
        if self._moving is None or self._replied_at is None or answered_at < self._replied_at:
            self._moved_since_read = self._moved_since_read and self._moving is not None
            return False
        arrived = state is _GOAL[self._moving]
        jammed = state is DoorState.JAMMED and self._before is not DoorState.JAMMED
        late = answered_at - self._replied_at >= SETTLES
        if arrived or jammed or late:
            self._moving = self._replied_at = None
            self._moved_since_read = False
        return late and not arrived

    def passed(self, now: float) -> bool:
        """Note that time has passed: what nobody could read meanwhile is unknown now.

        Returns:
            Whether that changes what is published.
        """
        doubt_ends = self._doubt_until is not None and now >= self._doubt_until
        if doubt_ends:
            self._doubt_until = None
        unseen = self._replied_at is not None and now - self._replied_at >= 2 * SETTLES
        if unseen:
            self._moving = self._replied_at = None
            self._forgotten = True
        return doubt_ends or unseen

    def stopped(self) -> None:
        """Note that nobody will see where the bolt ends, if it moves."""
        if self._moving is not None:
            self._moving = self._replied_at = None
            self._forgotten = True

    @property
    def _as_read(self) -> PublishedState:
        return PublishedState.UNKNOWN if self.read is None or self._forgotten else _READ[self.read]
