"""The bridge's heartbeat through the broker: it shows whether messages come without delay. Pure.

That nothing is overdue shows nothing: a process that was stopped, or a machine that slept, finds the echoes and the
commands of back then in its socket, one after the other. What counts is when the newest echo was *sent*.
"""

import secrets
from typing import Final

import attrs

HEARTBEAT: Final = 1.0
"""Seconds from beat to beat."""

FRESH: Final = 3.0
"""The greatest age of the newest echo, in seconds, at which a command counts."""

_MOST_ON_THE_WAY: Final = 32


@attrs.frozen
class Moment:
    """One point in time, by two clocks.

    Attributes:
        wall: Seconds since 1970; may be wrong, and may jump.
        boot: Seconds of a clock that never goes back, and runs on while the machine sleeps.
    """

    wall: float
    boot: float


class Heartbeat:
    """The nonces that the bridge sends to itself, and when the newest that has come back was sent."""

    def __init__(self) -> None:
        self._sent: dict[str, float] = {}
        self.newest_sent: float | None = None
        """The time when the newest echo of this connection was sent, by the clock of `Moment.boot`."""
        self.seconds: float | None = None
        """The seconds that the newest echo was on the way."""

    def connected(self) -> None:
        """Begin anew: what was sent on another connection says nothing of this one."""
        self._sent.clear()
        self.newest_sent = self.seconds = None

    def beat(self, now: Moment) -> str:
        """Make the nonce to send now; it can't be guessed by whoever else may publish."""
        nonce = secrets.token_hex(16)
        self._sent[nonce] = now.boot
        if len(self._sent) > _MOST_ON_THE_WAY:
            del self._sent[next(iter(self._sent))]
        return nonce

    def echoed(self, nonce: str, now: Moment) -> bool:
        """Take what has come on the echo's topic.

        Returns:
            Whether it was one of ours, on the way for the first time.
        """
        sent = self._sent.pop(nonce, None)
        if sent is None:
            return False
        if self.newest_sent is None or sent > self.newest_sent:
            self.newest_sent, self.seconds = sent, now.boot - sent
        return True

    def is_fresh(self, now: Moment) -> bool:
        """Tell whether a command that is read now has come without delay."""
        return self.newest_sent is not None and now.boot - self.newest_sent < FRESH
