"""The timestamps of signed requests: each newer than all before it, and never far ahead of the clock.

A gateway refuses a timestamp that is not newer than the last one (the vendor's page), and some refuse one that is
ahead of their own clock (one of the vendor's clients subtracts 10 s from its own).
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import attrs
from attrs.validators import ge, instance_of

_log = logging.getLogger("thekeys_async")

_JUMP_WITHOUT_A_LIMIT = 10.0
_SECONDS_TO_GROW_BY_ONE = 60.0
_ACCEPTED_LEAD_COUNTS_FOR = 600.0


def _check_finite(_instance: object, _attribute: object, seconds: float) -> None:
    if not math.isfinite(seconds):
        raise ValueError("the offset of a clock is a finite number of seconds")


@attrs.frozen
class Timestamps:
    """The relation of timestamps to the clock.

    Attributes:
        offset: Seconds added to the clock; negative for a gateway whose clock is behind.
        max_lead: Seconds by which a burst of requests may run ahead of the clock before it waits.
            ``math.inf`` for a gateway that does not check timestamps against a clock of its own.
    """

    offset: float = attrs.field(default=0, validator=[instance_of((int, float)), _check_finite])
    max_lead: float = attrs.field(default=10.0, validator=[instance_of((int, float)), ge(0)])


class TooFarAheadError(Exception):
    """The next timestamp would lead the clock too far; never seen by callers of the library."""


class OvertakenError(Exception):
    """Another event loop has taken a newer timestamp; never seen by callers of the library."""


@attrs.define
class Ledger:
    """The memory of this process of one gateway's timestamps, for all its event loops.

    Attributes:
        last: The last timestamp handed out, but for one that the gateway has refused: that one binds nobody.
        accepted: The newest timestamp that the gateway may have accepted.
        highest: The highest wall time seen, in seconds since 1970.
        quiet_until: When the gateway's last rest ends, by `time.monotonic`.
        lead: How far ahead of the clock a timestamp could be when the gateway last refused one for its lead.
        lead_refused_at: When that was, in the time that timestamps are made of.
        accepted_lead: The largest lead that it has accepted of late.
        accepted_lead_at: When that was, likewise.
    """

    last: int = 0
    accepted: int = 0
    highest: float = 0.0
    quiet_until: float = 0.0
    lead: float = math.inf
    lead_refused_at: float = 0.0
    accepted_lead: float = 0.0
    accepted_lead_at: float = 0.0
    lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)


@attrs.frozen
class Stamp:
    """A timestamp that was handed out.

    Attributes:
        value: Whole seconds since 1970.
        lead: Seconds that it is ahead of the clock; not positive if it is not.
        beyond: Whether it is farther ahead of the machine's clock as that is now than any lead allows: the clock was
            ahead once.
    """

    value: int
    lead: float
    beyond: bool = False


def _wall() -> float:
    return time.time()  # looked up late, so that tests can replace it


class Allocator:
    """Hands out the timestamps of one gateway, from a clock that never goes back.

    That clock is the highest wall time seen, advancing: after a step back it goes on from where it was. How far
    timestamps may lead it is learnt from the gateway: a refusal shrinks the lead to what was accepted before, and it
    grows again by a second a minute.
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

    def wait(self, *, careful: bool = False) -> float:
        """Return the seconds to wait before the next timestamp may be taken.

        Args:
            careful: Whether it leads by a second less than it may: the lead has grown since it was refused.
        """
        now = self.now()
        ahead = self._ledger.last + 1 - now
        lead = self._lead(now)
        excess = ahead - (max(0.0, lead - 1) if careful else lead)
        if excess <= 0:
            return 0.0
        if ahead <= self._settings.max_lead + 1:
            return excess
        self._warn_once(ahead - 1)
        return 0.0

    def take(self) -> Stamp:
        """Hand out the next timestamp. It is used up, whatever becomes of the request, unless the gateway refuses it.

        Raises:
            TooFarAheadError: Another event loop has used up the lead since `wait` was asked.
        """
        with self._ledger.lock:
            if self.wait() > 0:
                raise TooFarAheadError
            self._ledger.last = max(int(self.now()), self._ledger.last + 1)
            return self._stamp(self._ledger.last)

    @contextmanager
    def in_order(self, stamp: Stamp) -> Generator[None, None, None]:
        """Let no other event loop take a timestamp while a request with this one leaves.

        Raises:
            OvertakenError: One has taken a newer one since.
        """
        with self._ledger.lock:
            if self._ledger.last != stamp.value:
                raise OvertakenError
            yield

    def was_overtaken(self, stamp: Stamp) -> bool:
        """Tell whether another event loop has taken a newer timestamp, which may have come to the gateway first."""
        return self._ledger.last > stamp.value

    def accept(self, value: int) -> Stamp:
        """Take a timestamp that a coordinator has handed out."""
        with self._ledger.lock:
            self._ledger.last = max(self._ledger.last, value)
            stamp = self._stamp(value)
        if stamp.lead > self._settings.max_lead:
            self._warn_once(stamp.lead)
        return stamp

    def may_be_accepted(self, stamp: Stamp) -> None:
        """Note that a timestamp was sent, and not refused."""
        with self._ledger.lock:
            ledger, now = self._ledger, self.now()
            ledger.accepted = max(ledger.accepted, stamp.value)
            stale = now - ledger.accepted_lead_at > _ACCEPTED_LEAD_COUNTS_FOR
            if stamp.lead > 0 and (stale or stamp.lead >= ledger.accepted_lead):
                ledger.accepted_lead, ledger.accepted_lead_at = stamp.lead, now

    def refused(self, stamp: Stamp) -> None:
        """Note that the gateway has refused a timestamp, perhaps for being ahead: it binds nobody.

        A clock that was ahead once is forgotten, and the lead shrinks to what was accepted of late.
        """
        with self._ledger.lock:
            ledger, now = self._ledger, self.now()
            if ledger.last == stamp.value:
                ledger.last = ledger.accepted
            if stamp.beyond:
                self._anchor = ledger.highest = self._wall()
            elif stamp.lead > 0:
                known = now - ledger.accepted_lead_at <= _ACCEPTED_LEAD_COUNTS_FOR
                less = known and ledger.accepted_lead < stamp.lead
                # A second less than what was refused, too: else it has grown there again in no time.
                ledger.lead = max(0.0, min(ledger.accepted_lead, stamp.lead - 1)) if less else 0.0
                ledger.accepted_lead, ledger.lead_refused_at = ledger.lead, now

    def lead_was_not_refused(self) -> None:
        """Note that a timestamp with a smaller lead was refused, too: the reason is another one."""
        with self._ledger.lock:
            self._ledger.lead = math.inf

    def jump_ahead(self) -> None:
        """Make the next timestamp lead the clock as far as allowed: another client may be ahead of us.

        Where nothing limits the lead it jumps by 10 s.
        """
        with self._ledger.lock:
            now = self.now()
            lead = self._lead(now)
            ahead = now + (lead if math.isfinite(lead) else _JUMP_WITHOUT_A_LIMIT)
            self._ledger.last = max(self._ledger.last, int(ahead) - 1)

    @property
    def last(self) -> int:
        """The last timestamp that this process knows of."""
        return self._ledger.last

    @property
    def max_lead(self) -> float:
        """Seconds by which a timestamp may be ahead of the clock, whatever the gateway takes."""
        return self._settings.max_lead

    @property
    def lead(self) -> float:
        """Seconds by which a timestamp may be ahead of the clock, as far as the gateway is known to take it."""
        return self._lead(self.now())

    def now(self) -> float:
        """Return the time that timestamps are made of: it never goes back."""
        wall, elapsed = self._wall(), self._elapsed()
        steady = max(wall, self._anchor + elapsed - self._anchored_at)
        self._anchor, self._anchored_at = steady, elapsed
        self._ledger.highest = max(self._ledger.highest, steady)
        return steady + self._settings.offset

    def _lead(self, now: float) -> float:
        grown = max(0.0, now - self._ledger.lead_refused_at) / _SECONDS_TO_GROW_BY_ONE
        return min(self._settings.max_lead, self._ledger.lead + grown)

    def _stamp(self, value: int) -> Stamp:
        beyond = value - self._wall() - self._settings.offset > self._settings.max_lead + 1
        return Stamp(value, value - self.now(), beyond)

    def _warn_once(self, lead: float) -> None:
        # Farther ahead than this setting ever runs: another setting's or another program's doing. Waiting it out
        # could lock people out for hours, so it goes on from there.
        if not self._warned:
            self._warned = True
            _log.warning("the last timestamp is %.0f s ahead of the clock, beyond the allowed lead; going on", lead)
