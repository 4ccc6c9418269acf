"""The turn that a lane has to share with other processes: who is next here gets it from the coordinator.

While a read waits for it, a command may come in this process: then the read's wait is cancelled, which leaves nothing
behind, and the command waits in its stead.
"""

import anyio

from thekeys_async.coordination.base import Claim, Coordinator, Lease, Pause, Wish
from thekeys_async.timestamps import Allocator, Stamp


class SharedTurn:
    """One gateway's turn among several processes, as one event loop sees it.

    Attributes:
        held: The turn, while it is here.
    """

    def __init__(self, coordinator: Coordinator, key: str, allocator: Allocator, *, rest: float) -> None:
        """Begin without the turn.

        Args:
            coordinator: Who hands it out.
            key: Which gateway.
            allocator: What kind of timestamps it needs.
            rest: Seconds of rest for the gateway if this process dies in its turn.
        """
        self.held: Lease | None = None
        self._coordinator = coordinator
        self._key = key
        self._allocator = allocator
        self._rest = rest
        self._waits: dict[object, anyio.CancelScope] = {}

    @property
    def failures(self) -> int:
        """How often in a row the gateway has failed, whoever asked it."""
        return self.held.failures if self.held else 0

    async def acquire(
        self, waiter: object, *, command: bool, signed: bool, catch_up: bool, since: float, until: float
    ) -> bool:
        """Wait for the turn.

        Args:
            waiter: Who waits.
            command: Whether it goes before reads.
            signed: Whether it needs a timestamp.
            catch_up: Whether it waits until the clock has passed the last timestamp.
            since: When its call began, in the event loop's time.
            until: When it gives up.

        Returns:
            Whether the turn is here now; if not, somebody else is next in this process.

        Raises:
            TurnTimeoutError: `until` has come.
            CoordinationError: The shared state can't be used.
        """
        stamps = self._allocator
        wish = Wish(stamps.now, stamps.last, stamps.max_lead, catch_up) if signed else None
        claim = Claim(command, anyio.current_time() - since, until, self._rest, wish)
        lease: Lease | None = None
        with anyio.CancelScope() as scope:
            self._waits[waiter] = scope
            try:
                lease = await self._coordinator.acquire(self._key, claim)
            finally:
                del self._waits[waiter]
        if lease and self.held:
            # Ours was lost, and its request is still under way: this event loop sends no second one.
            lease.release(Pause())
            return False
        self.held = self.held or lease
        return lease is not None

    def prefer(self, waiter: object) -> None:
        """End the waits of all others in this process."""
        for other, scope in self._waits.items():
            if other is not waiter:
                scope.cancel()

    def stamp(self, *, signed: bool) -> Stamp | None:
        """Check the turn right before the first byte, and get its timestamp if one is needed.

        Raises:
            LeaseLostError: The turn is lost, or the timestamp is too old.
        """
        if self.held is None:
            raise RuntimeError("a request without its turn")
        if signed:
            return self._allocator.accept(self.held.take_timestamp())
        self.held.check()
        return None

    def release(self, pause: Pause) -> None:
        """Give the turn back."""
        lease, self.held = self.held, None
        if lease:
            lease.release(pause)
