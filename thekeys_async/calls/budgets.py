"""Time budgets: the end of a call, and the time until which a command may be sent."""

import math
import time
from typing import Final

import anyio
import attrs

from thekeys_async._clocks import boot_time
from thekeys_async.protocol.endpoints import Endpoint

_TO_HEAR_THE_ANSWER = 8.0
_LONGEST_LIGHT_READ = 5.0
_LONGEST_BLUETOOTH_READ = 15.0
_LONGEST_SYNCHRONIZATION = 300.0


def seconds_slept() -> float:
    """Return the seconds that this machine has slept since its start; 0 where the system does not tell (not Linux)."""
    return boot_time() - time.monotonic()


class Default:
    """The type of `DEFAULT`: "the gateway's own time budget", where None already means "no limit"."""

    def __repr__(self) -> str:
        return "the gateway's default"


DEFAULT: Final = Default()


def checked(timeout: float | None) -> float | None:
    """Check a time budget.

    Args:
        timeout: Seconds, or None for no limit.

    Raises:
        ValueError: It is not positive.
    """
    if timeout is not None and not timeout > 0:
        raise ValueError("a time budget is a positive number of seconds, or None for no limit")
    return timeout


@attrs.define  # not frozen, which costs three times as much: each call makes one
class Budget:
    """The time that one call has.

    Attributes:
        seconds: All of it, for messages.
        started: When the call began, in the event loop's time.
        deadline: When it ends.
        send_by: Until when its request may be sent: a command whose answer could not be awaited is not sent.
        slept: Seconds that the machine had slept before a command began; None for a read, which may come late.
        send_within: Seconds from its begin after which it is not sent any more, if its caller says so, for messages.
    """

    seconds: float
    started: float
    deadline: float
    send_by: float
    slept: float | None = None
    send_within: float | None = None

    @classmethod
    def start(cls, timeout: float | None, *, command: bool, send_within: float | None = None) -> "Budget":
        """Start the time of a call.

        Args:
            timeout: All of it, in seconds; None for no limit.
            command: Whether an answer that could not be awaited must not be caused.
            send_within: Seconds after which nothing is sent any more, where the caller says so.
        """
        seconds = math.inf if timeout is None else timeout
        now = anyio.current_time()
        reserve = min(seconds / 2, _TO_HEAR_THE_ANSWER) if command else 0.0
        to_send = seconds - reserve if send_within is None else min(seconds - reserve, send_within)
        return cls(seconds, now, now + seconds, now + to_send, seconds_slept() if command else None, send_within)

    def for_recovery(self, endpoint: Endpoint, now: float) -> "Budget":
        """Make the budget of a synchronisation inside a call's turn.

        On the way of a command it may take minutes. On the way of a read it may hold the turn no longer than a read
        may: a command may arrive, and a gateway that synchronises in earnest goes on without us, and is busy so long.

        Args:
            endpoint: The request.
            now: When the synchronisation begins, in the event loop's time.
        """
        ends = now + (_LONGEST_SYNCHRONIZATION if endpoint.command else _LONGEST_BLUETOOTH_READ)
        send_by = min(self.send_by, self.deadline - min(self.seconds / 2, _TO_HEAR_THE_ANSWER))
        return attrs.evolve(self, send_by=send_by, deadline=min(self.deadline, ends), slept=seconds_slept())

    @property
    def is_too_late(self) -> bool:
        """Whether nothing may be sent any more: the event loop's time stands still while the machine sleeps."""
        if self.slept is None:
            return False  # a read may come late; its attempt's own deadline sees to it that it hardly does
        return anyio.current_time() + seconds_slept() - self.slept >= self.send_by

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.deadline - anyio.current_time()

    @property
    def left_to_send(self) -> float:
        """Seconds until nothing may be sent any more."""
        return self.send_by - anyio.current_time()

    def attempt_ends(self, endpoint: Endpoint, began: float) -> float:
        """Return the end of an attempt that began then: a read that hangs must not hold the turn for long."""
        if endpoint.command:
            return self.deadline
        longest = _LONGEST_BLUETOOTH_READ if endpoint.bluetooth else _LONGEST_LIGHT_READ
        return min(self.deadline, began + longest)
