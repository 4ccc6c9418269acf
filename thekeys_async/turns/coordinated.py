"""The turn that a gateway's users share with other processes, through a coordinator.

The first command and the first read of this process wait among those of the others, also while this process has the
turn: so a command is seen by all before the next read is served anywhere, and a read is not forgotten. A call that is
the first no longer, because an older one tries again, is cancelled there, which leaves nothing behind.
"""

from collections.abc import Collection

import anyio

from thekeys_async.coordination.base import (
    FAR_AHEAD,
    Claim,
    Coordinator,
    Lease,
    LeaseLostError,
    Pause,
    Trouble,
    TurnTimeoutError,
    Wish,
)
from thekeys_async.protocol.errors import CoordinationError
from thekeys_async.turns.timestamps import Allocator, Stamp

_STILL_AT_WORK = 0.5


class CoordinatedTurn:
    """One gateway's turn among several processes, as one event loop sees it.

    Attributes:
        held: The turn, while it is here.
        trouble: The trouble with the state shared with the others, if there is any.
    """

    def __init__(self, coordinator: Coordinator, key: str, allocator: Allocator, *, rest: float) -> None:
        """Begin without the turn.

        Args:
            coordinator: The coordinator that hands it out.
            key: The gateway.
            allocator: The allocator of the gateway's timestamps.
            rest: Seconds of rest for the gateway if this process dies in its turn.
        """
        self.held: Lease | None = None
        self.trouble = Trouble()
        self._coordinator = coordinator
        self._key = key
        self._allocator = allocator
        self._rest = rest
        self._waits: dict[object, anyio.CancelScope] = {}

    @property
    def failures(self) -> int:
        """The number of times in a row that the gateway has failed, whoever asked it."""
        return self.held.failures if self.held else 0

    async def acquire(self, waiter: object, *, command: bool, signed: bool, since: float, until: float) -> bool:
        """Wait for the turn.

        Args:
            waiter: The waiter.
            command: Whether it goes before reads.
            signed: Whether it needs a timestamp.
            since: When its call began, in the event loop's time.
            until: When it gives up.

        Returns:
            Whether the turn is here now; if not, somebody else is the first in this process.

        Raises:
            TurnTimeoutError: `until` has come.
            CoordinationError: The shared state can't be used.
        """
        stamps = self._allocator
        wish = Wish(stamps.now, stamps.last, stamps.max_lead, stamps.lead) if signed else None
        claim = Claim(command, anyio.current_time() - since, until, self._rest, wish, self.trouble)
        lease: Lease | None = None
        with anyio.CancelScope() as scope:
            # An older call of this process may take this one's place: `keep` cancels the wait, and nobody has the turn.
            self._waits[waiter] = scope
            try:
                lease = await self._coordinator.acquire(self._key, claim)
                self.trouble.clear()
            except TurnTimeoutError:
                # The others had the turn all the time: whoever queues behind this one has no trouble to tell of.
                self.trouble.clear()
                raise
            except CoordinationError as error:
                self.trouble.note(str(error))
                raise
            finally:
                del self._waits[waiter]
        if lease and self.held:
            # Our turn was lost, and its request is still under way: this event loop sends no second one.
            lease.release(Pause(_STILL_AT_WORK, _STILL_AT_WORK, lease.failures))
            return False
        self.held = self.held or lease
        return lease is not None

    def keep(self, waiters: Collection[object]) -> None:
        """Cancel the waits of all but these."""
        for waiter, scope in self._waits.items():
            if waiter not in waiters:
                scope.cancel()

    def stamp(self, *, signed: bool) -> Stamp | None:
        """Check the turn right before the first byte, and get its timestamp if one is needed.

        Raises:
            LeaseLostError: The turn is lost, or the timestamp is too old.
        """
        if self.held is None:
            raise RuntimeError("a request without its turn")
        if not signed:
            self.held.check()
            return None
        value = self.held.take_timestamp()
        if self._allocator.last - FAR_AHEAD < value <= self._allocator.last:
            raise LeaseLostError("nothing was sent: meanwhile a newer timestamp has been used here")
        return self._allocator.accept(value)

    def release(self, pause: Pause, *, refused: bool = False) -> None:
        """Give the turn back."""
        lease, self.held = self.held, None
        if lease:
            lease.release(pause, refused=refused)
