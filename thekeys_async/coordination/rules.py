"""The order of the waiters of all processes, and when they may go. Redis has the same rules in its script."""

from collections.abc import Sequence

import attrs

from thekeys_async.coordination.base import COMMANDS_IN_A_ROW, FAR_AHEAD, Claim, Pause, Wish


@attrs.frozen(order=True)
class Place:
    """A waiter's place: places compare as they are served, but for the streak.

    Attributes:
        kind: 0 for a command, 1 for a read.
        since: When its call began, in seconds of the time that all share.
        token: Tells it from all others.
    """

    kind: int
    since: float
    token: str

    @property
    def command(self) -> bool:
        """Whether it is a command."""
        return self.kind == 0


@attrs.frozen
class Record:
    """The state of a gateway between two turns; times are seconds of the time that all share.

    Attributes:
        at: When this was written.
        pause: The pause that the gateway needed then.
        streak: How many commands in a row have overtaken a read.
        orphan: None after a turn that was given back. Else the turn is held, or its holder has died, and the gateway
            needs this many seconds of rest.
        before: The last timestamp before that of the last turn with one.
        refused: That turn's timestamp, if the gateway has refused it: then `before` is the last one.
    """

    at: float = 0.0
    pause: Pause = attrs.field(factory=Pause)
    streak: int = 0
    orphan: float | None = None
    before: int = 0
    refused: int | None = None

    def ready_at(self, waiting: Sequence[Place], now: float) -> float:
        """Return the time from which on the gateway may be asked.

        A time of writing that lies ahead is another boot's, and says nothing about this one.
        """
        if self.at > now:
            return now
        fresh = any(place.command and place.since > self.at for place in waiting)
        return self.at + (self.pause.quiet if fresh else max(self.pause.quiet, self.pause.retry))

    def taken(self, place: Place, waiting: Sequence[Place], claim: Claim) -> "Record":
        """Return the record to keep while the turn is held."""
        overtaken = place.command and any(not other.command for other in waiting)
        failures = self.pause.failures
        if place.command and place.since > self.at:
            failures = min(failures, 1)
        return attrs.evolve(
            self,
            streak=self.streak + 1 if overtaken else 0,
            pause=attrs.evolve(self.pause, failures=failures),
            orphan=claim.rest,
        )

    def orphaned(self, now: float) -> "Record":
        """Return the record to keep when the holder is found dead: the rest begins now."""
        quiet = max(self.at + self.pause.quiet - now, self.orphan or 0.0)
        return attrs.evolve(self, at=now, pause=attrs.evolve(self.pause, quiet=quiet, retry=quiet), orphan=None)


def next_timestamp(last: int, wish: Wish) -> tuple[int, float]:
    """Choose the timestamp after `last`.

    Args:
        last: The last one that was handed out.
        wish: The kind of timestamp that is wanted.

    Returns:
        The timestamp, and how many seconds to wait before it may be taken; then ask again.
    """
    clock = wish.clock()
    last = max((each for each in (last, wish.newer_than) if each + 1 - clock <= FAR_AHEAD), default=0)
    ahead = last + 1 - clock
    excess = ahead - min(wish.lead, wish.max_lead)
    return max(int(clock), last + 1), excess if excess > 0 and ahead <= wish.max_lead + 1 else 0.0


def in_order(places: Sequence[Place], streak: int) -> list[Place]:
    """Put the places in the order in which they are served: commands first, but not for ever."""
    ordered = sorted(places)
    if streak >= COMMANDS_IN_A_ROW:
        first_read = next((place for place in ordered if not place.command), None)
        if first_read:
            ordered.remove(first_read)
            ordered.insert(0, first_read)
    return ordered


def turns_until(place: Place, ahead: int, waiting: Sequence[Place], streak: int) -> int:
    """Return the most turns before a waiter is the next: the oldest read need not wait for all commands."""
    if ahead and not place.command and place == min(other for other in waiting if not other.command):
        return min(ahead, max(1, COMMANDS_IN_A_ROW - streak))
    return ahead
