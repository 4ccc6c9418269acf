"""The calls under way through one `AsyncGateway`, so that it can be closed."""

import anyio

from thekeys_async.turns.queue import Turns, Waiter


class OpenCalls:
    """The calls under way through one object: once it is closed, none of them sends anything more.

    Attributes:
        closed: Whether the object is closed.
    """

    def __init__(self) -> None:
        self.closed = False
        self._waiting: dict[Waiter, Turns] = {}
        self._over: anyio.Event | None = None

    def add(self, waiter: Waiter, turns: Turns) -> None:
        """Add a call."""
        self._waiting[waiter] = turns

    def remove(self, waiter: Waiter) -> None:
        """Remove a call that has ended."""
        del self._waiting[waiter]
        if self._over and not self._waiting:
            self._over.set()

    def close(self) -> None:
        """Dismiss all calls that are not on the wire, and take no more."""
        self.closed = True
        for waiter, turns in list(self._waiting.items()):
            turns.dismiss(waiter)

    async def wait_until_over(self) -> None:
        """Wait for the calls that are on the wire."""
        if self._waiting:
            self._over = self._over or anyio.Event()
            await self._over.wait()
