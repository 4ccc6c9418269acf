"""The protocol of a coordinator, and its values: turns and timestamps that several processes share.

A coordinator hands out the turn of a gateway to one caller at a time, whichever process asks, commands before reads,
and with it a timestamp that is newer than all before. What the gateway needs between two requests (its rest, its
backoff) is left with the coordinator at the end of a turn, and kept by whoever comes next.

Nobody holds the turn while waiting: `Coordinator.acquire` waits for the others, for the gateway's rest and for the
timestamps' lead, and only then takes it.
"""

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import anyio
import attrs

from thekeys_async._clocks import boot_time
from thekeys_async.protocol.errors import CoordinationError

COMMANDS_IN_A_ROW = 8
"""The number of commands in a row, of all processes together, after which a waiting read is served."""

OLDEST_TIMESTAMP = 10.0
"""Seconds after which a timestamp that was handed out is not sent any more. A connection takes 5 s at most, so that
only a process that was stopped, or a machine that slept, comes to this."""

LONGEST_SLEEP = 0.25
"""Seconds after which every waiter looks again, whatever it waits for: the others change what is next."""

FAR_AHEAD = 86_400
"""Seconds: a last timestamp that leads the clock by more is nobody's lead. To go on from there would make the gateway
refuse everybody else for as long. So the clock's own time is tried, and what is to be done is said if that fails."""

TRIED_JUST_NOW = 60.0
"""Seconds for which the gateway's refusal of the clock's own time counts."""

SAFE_PART = 0.9
"""The part of a lease for which its holder believes in it."""

NEXT_TRY = 0.25
"""Seconds until shared state that could not be reached is tried again."""

SLOW = 0.5
"""Seconds after which a disk or a server that does not answer is more than a delay."""

_QUICKEST_LOOK = 0.001
_SLOWEST_LOOK = 0.025
_LOOK_BEHIND = 0.01


class LeaseLostError(CoordinationError):
    """The turn, or its timestamp, was too old right before the first byte; nothing was sent."""


class TurnTimeoutError(Exception):
    """The turn did not come in time, though nothing was wrong; never seen by callers of the library."""


@attrs.frozen
class Wish:
    """The kind of timestamp that is wanted.

    Attributes:
        clock: Tells the time, in seconds since 1970. It never goes back; asked again at each attempt.
        newer_than: The timestamp is newer than this one, whatever the coordinator remembers.
        max_lead: Seconds by which it may be ahead of the clock. A last timestamp more than 1 s beyond is another
            setting's or another program's doing, and is not waited for.
        lead: Seconds by which it may be ahead as far as the gateway is known to take it. What would be beyond is
            waited for.
    """

    clock: Callable[[], float]
    newer_than: int
    max_lead: float
    lead: float = math.inf


@attrs.define(eq=False)
class Trouble:
    """A reason why the shared state can't be used, as far as is known while somebody waits for it.

    Only the first caller of each kind asks a coordinator; those who queue behind it in its process, and run out of
    time first, say what it has met.
    """

    _text: str | None = None
    _counts_at: float = 0.0

    @property
    def text(self) -> str | None:
        """The reason, as a sentence for a `CoordinationError`; None if there is none, or not for long enough."""
        return self._text if anyio.current_time() >= self._counts_at else None

    def note(self, text: str, *, after: float = 0.0) -> None:
        """Note that something is wrong.

        Args:
            text: The trouble, as a sentence.
            after: Seconds for which it may be a mere delay.
        """
        if text != self._text or not after:
            self._text, self._counts_at = text, anyio.current_time() + after

    def clear(self) -> None:
        """Note that the shared state can be used."""
        self._text = None


@attrs.frozen
class Claim:
    """A caller's claim to the turn of a gateway.

    Attributes:
        command: Whether it goes before reads.
        waited: Seconds since the call began; a call keeps its place when it claims the turn again.
        until: When it gives up, in the event loop's time.
        rest: Seconds of rest that the gateway gets if the caller's process dies in its turn.
        wish: The kind of timestamp that is wanted, if any.
        trouble: Told by the coordinator, while the caller waits, whether the shared state can be used.
    """

    command: bool
    waited: float
    until: float
    rest: float = 0.0
    wish: Wish | None = None
    trouble: Trouble = attrs.field(factory=Trouble, eq=False)


@attrs.frozen
class Pause:
    """The pause that the gateway needs after a turn.

    Attributes:
        quiet: Seconds in which nobody may ask it.
        retry: Seconds until those may ask it who were already waiting, and all reads: its backoff. A command that
            comes later waits for `quiet` only.
        failures: How many times in a row it was busy or could not be reached.
    """

    quiet: float = 0.0
    retry: float = 0.0
    failures: int = 0


class Lease(Protocol):
    """The turn of one gateway, held."""

    @property
    def failures(self) -> int:
        """The number of times in a row that the gateway was busy or could not be reached before this turn."""
        ...

    def check(self) -> None:
        """Check that the turn is still held. To be called right before the first byte, with no await in between.

        Raises:
            LeaseLostError: It is not, or that can't be known any more.
        """
        ...

    def take_timestamp(self) -> int:
        """Get the timestamp that came with the turn, in whole seconds since 1970; the turn is checked too.

        Raises:
            LeaseLostError: The turn is not held any more, or the timestamp is too old.
        """
        ...

    def release(self, pause: Pause, *, refused: bool = False) -> None:
        """Give the turn back, at once or in the background; never fails, and is harmless if the turn was lost.

        Args:
            pause: The pause that the gateway needs now.
            refused: Whether the gateway has refused the timestamp: then that one binds nobody.
        """
        ...


class Coordinator(Protocol):
    """Shares the turns and timestamps of gateways; an async context manager, entered in a parent of all its users."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def acquire(self, key: str, claim: Claim) -> Lease:
        """Wait for the turn of a gateway. A caller that is cancelled leaves nothing behind.

        Args:
            key: The gateway.
            claim: The caller's claim.

        Raises:
            TurnTimeoutError: The turn did not come in time.
            CoordinationError: The shared state can't be used, or could not be until the time was over.
        """
        ...


@attrs.frozen
class Freshness:
    """The age of a timestamp, by two clocks: either may have stood still while the process did not run."""

    boot: float = attrs.field(factory=boot_time)
    wall: float = attrs.field(factory=lambda: time.time())  # noqa: PLW0108 - looked up late, as `check` does

    def check(self) -> None:
        """Check that it is not too old to be sent.

        Raises:
            LeaseLostError: It is.
        """
        age = max(boot_time() - self.boot, time.time() - self.wall)
        if age > OLDEST_TIMESTAMP:
            raise LeaseLostError(
                f"the timestamp was {age:.0f} s old before anything was sent: was the process stopped?"
            )


def look_again_after(ahead: int, waited: float) -> float:
    """Return the seconds after which a waiter looks again.

    The next one looks often at first and then at a tenth of the time it has waited, so that what it loses is small
    beside the turn that it waits for. Those behind it only have to notice that they have become the next.

    Args:
        ahead: How many are ahead of it, the holder not counted.
        waited: Seconds for which it has been the next.
    """
    if ahead:
        return min(LONGEST_SLEEP, _LOOK_BEHIND * ahead)
    return min(_SLOWEST_LOOK, max(_QUICKEST_LOOK, waited / 10))


def far_ahead(where: str, seconds: float) -> str:
    """Write the advice for a last timestamp that is far ahead while the gateway refuses the clock's own time."""
    return (
        f"nothing was done: {where} is {seconds / 86_400:.0f} days ahead of the clock, and the gateway refuses the "
        "clock's own time. Put this machine's clock right; if it is right, and the share code too, remove that"
    )
