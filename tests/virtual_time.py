"""Virtual time on both event loops: where everybody waits, the clock jumps to the first who is due.

No test waits for a clock then, and no budget is too small for a slow machine. It fits where all that takes part runs in
the test's own event loop, over real sockets, too; not where threads or other processes do: time flies past them.
"""

import asyncio
import selectors
import socket
import time
from collections.abc import Callable

import attrs
import trio.testing

# Real seconds without an event after which nothing is under way between two sockets of this process either.
_ON_THE_WAY = 0.01


class _JumpingSelector(selectors.DefaultSelector):
    """Where a selector would wait, time jumps instead."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.now = 0.0
        self._patience = patience

    def select(self, timeout: float | None = None) -> list:
        if timeout is None:
            return super().select()
        events = super().select(min(timeout, self._patience))
        if not events and timeout > 0:
            self.now += max(timeout, 1e-9)  # what is due within the clock's resolution must become due, too
        return events


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, selector: _JumpingSelector) -> None:
        super().__init__(selector)
        self._jumping = selector

    def time(self) -> float:
        return self._jumping.now

    async def getaddrinfo(self, *arguments: object, **options: object) -> list:
        """Look names up here: asyncio would in a thread, numbers too, and trio does not."""
        return socket.getaddrinfo(*arguments, **options)


@attrs.frozen
class VirtualTime:
    """The time of one test.

    Attributes:
        backend: What the fixture `anyio_backend` returns.
        now: Tells the seconds since the test began.
    """

    backend: tuple[str, dict]
    now: Callable[[], float]

    @classmethod
    def of(cls, backend: str, *, sockets: bool) -> "VirtualTime":
        """Make the time of a test.

        Args:
            backend: "asyncio" or "trio".
            sockets: Whether it uses sockets: before each jump, what is on its way is waited for.
        """
        patience = _ON_THE_WAY if sockets else 0.0
        if backend == "trio":
            clock = trio.testing.MockClock(autojump_threshold=patience)
            return cls((backend, {"clock": clock}), clock.current_time)
        selector = _JumpingSelector(patience)
        return cls((backend, {"loop_factory": lambda: _VirtualLoop(selector)}), lambda: selector.now)

    def wall_clock(self) -> Callable[[], float]:
        """Make a `time.time` that goes on with it."""
        started = time.time()
        return lambda: started + self.now()
