"""The buffer of updates for one consumer, who may be slow: one place for each locker, so it stays small."""

from collections import OrderedDict

import anyio
import anyio.lowlevel

from thekeys_async.streams.updates import LockerUpdate, Update, UpdateKind, fold

_TAKEN_IN_A_ROW = 32


class UpdateBuffer:
    """Keeps updates until the consumer takes them; those about the same locker or gateway become one."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, int | None], Update] = OrderedDict()
        self._wakeup = anyio.Event()
        self._failure: Exception | None = None
        self._closed = False
        self._taken = 0

    def put(self, update: Update, *, passing: bool = False) -> None:
        """Add an update. It takes the place of an older one about the same locker or gateway.

        Args:
            update: The update.
            passing: Whether a locker that came and went before the consumer looked is no news.
        """
        key = (update.gateway, update.identifier if isinstance(update, LockerUpdate) else None)
        older = self._waiting.get(key)
        if passing and _came_and_went(older, update):
            del self._waiting[key]
            return
        self._waiting[key] = fold(older, update) if older else update
        self._wakeup.set()

    def __len__(self) -> int:
        """Count the updates that wait."""
        return len(self._waiting)

    def fail(self, failure: Exception) -> None:
        """Raise an exception in the consumer once it has taken the updates that wait."""
        self._failure = self._failure or failure
        self._wakeup.set()

    def forget(self, gateway: str) -> None:
        """Drop the updates of one gateway."""
        for key in [key for key in self._waiting if key[0] == gateway]:
            del self._waiting[key]

    def close(self) -> None:
        """End the iteration."""
        self._waiting.clear()
        self._closed = True
        self._wakeup.set()

    async def take(self) -> Update:
        """Wait for the next update; whoever is cancelled while waiting has taken none.

        Raises:
            StopAsyncIteration: The box is closed.
            Exception: What `fail` was given.
        """
        if self._waiting:
            await self._let_others_run()
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            if self._failure:
                raise self._failure
            if self._wakeup.is_set():
                self._wakeup = anyio.Event()
            await self._wakeup.wait()
        return self._waiting.popitem(last=False)[1]

    async def _let_others_run(self) -> None:
        """Yield to the event loop every so many updates: at each one, a consumer of thousands would fall behind."""
        self._taken += 1
        if self._taken % _TAKEN_IN_A_ROW:
            await anyio.lowlevel.checkpoint_if_cancelled()
        else:
            await anyio.lowlevel.checkpoint()


def _came_and_went(older: Update | None, newer: Update) -> bool:
    """Tell whether a locker was lost that the consumer has never heard of."""
    return (
        isinstance(older, LockerUpdate)
        and isinstance(newer, LockerUpdate)
        and older.kind is UpdateKind.APPEARED
        and older.previous is None
        and newer.kind is UpdateKind.LOST
    )
