"""Which timestamp the next signed request carries: newer than all before it, and never far ahead of the clock.

A gateway refuses a timestamp that is not newer than the last one (the vendor's page), and some refuse one that is
ahead of their own clock (one of the vendor's clients subtracts 10 s from its own).
"""

import logging
import math
import threading
import time
from collections.abc import Callable

import anyio
import attrs
from attrs.validators import ge, instance_of

_log = logging.getLogger("thekeys_async")

_FARTHEST_JUMP = 10.0


def _check_finite(_instance: object, _attribute: object, seconds: float) -> None:
    if not math.isfinite(seconds):
        raise ValueError("the offset of a clock is a finite number of seconds")


@attrs.frozen
class Timestamps:
    """How timestamps relate to the clock.

    Attributes:
        offset: Seconds added to the clock; negative for a gateway whose clock is behind.
        max_lead: Seconds by which a burst of requests may run ahead of the clock before it waits.
            ``math.inf`` for a gateway that does not check timestamps against a clock of its own.
    """

    offset: float = attrs.field(default=0, validator=[instance_of((int, float)), _check_finite])
    max_lead: float = attrs.field(default=10.0, validator=[instance_of((int, float)), ge(0)])


class TooFarAheadError(Exception):
    """The next timestamp would lead the clock too far; never seen by callers of the library."""


@attrs.define
class Ledger:
    """What this process remembers of one gateway, whichever event loop asks.

    Attributes:
        last: The last timestamp handed out.
        highest: The highest wall time seen, in seconds since 1970.
        quiet_until: When the gateway's last rest ends, by `time.monotonic`.
    """

    last: int = 0
    highest: float = 0.0
    quiet_until: float = 0.0
    lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)


@attrs.frozen
class Stamp:
    """A timestamp that was handed out.

    Attributes:
        value: Whole seconds since 1970.
        lead: Seconds that it is ahead of the clock; not positive if it is not.
    """

    value: int
    lead: float


def _wall() -> float:
    return time.time()  # looked up late, so that tests can replace it


class Allocator:
    """Hands out the timestamps of one gateway, from a clock that never goes back.

    That clock is the highest wall time seen, advancing: after a step back it goes on from where it was.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Timestamps,
        *,
        wall: Callable[[], float] = _wall,
        elapsed: Callable[[], float] = anyio.current_time,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._wall = wall
        self._elapsed = elapsed
        self._anchor = ledger.highest
        self._anchored_at = elapsed()
        self._warned = False

    def wait(self, *, catch_up: bool = False) -> float:
        """Say how many seconds to wait before the next timestamp may be taken.

        Args:
            catch_up: Wait until the clock has passed the last timestamp, instead of using the lead.
        """
        now = self.now()
        last = self._ledger.last
        if catch_up:
            return max(0.0, last + 1 - now)
        excess = last + 1 - now - self._settings.max_lead
        if excess <= 0:
            return 0.0
        if excess <= 1:
            return excess
        self._warn_once(last - now)
        return 0.0

    def take(self) -> Stamp:
        """Hand out the next timestamp. It is used up, whatever becomes of the request.

        Raises:
            TooFarAheadError: Another event loop has used up the lead since `wait` was asked.
        """
        with self._ledger.lock:
            now = self.now()
            if 0 < self._ledger.last + 1 - now - self._settings.max_lead <= 1:
                raise TooFarAheadError
            self._ledger.last = max(int(now), self._ledger.last + 1)
            return Stamp(self._ledger.last, self._ledger.last - now)

    def accept(self, value: int) -> Stamp:
        """Take a timestamp that a coordinator has handed out."""
        with self._ledger.lock:
            self._ledger.last = max(self._ledger.last, value)
            stamp = Stamp(value, value - self.now())
        if stamp.lead > self._settings.max_lead:
            self._warn_once(stamp.lead)
        return stamp

    def jump_ahead(self) -> None:
        """Make the next timestamp lead the clock as far as allowed: another client may be ahead of us."""
        with self._ledger.lock:
            ahead = self.now() + min(self._settings.max_lead, _FARTHEST_JUMP)
            self._ledger.last = max(self._ledger.last, int(ahead) - 1)

    @property
    def last(self) -> int:
        """The last timestamp that this process knows of."""
        return self._ledger.last

    @property
    def max_lead(self) -> float:
        """Seconds by which a timestamp may be ahead of the clock."""
        return self._settings.max_lead

    def now(self) -> float:
        """Tell the time that timestamps are made of: it never goes back."""
        wall, elapsed = self._wall(), self._elapsed()
        steady = max(wall, self._anchor + elapsed - self._anchored_at)
        self._anchor, self._anchored_at = steady, elapsed
        self._ledger.highest = max(self._ledger.highest, steady)
        return steady + self._settings.offset

    def _warn_once(self, lead: float) -> None:
        # Farther ahead than this setting ever runs: another setting's or another program's doing. Waiting it out
        # could lock people out for hours, so it goes on from there.
        if not self._warned:
            self._warned = True
            _log.warning("the last timestamp is %.0f s ahead of the clock, beyond the allowed lead; going on", lead)
