"""Many callers want the same thing at once: one does it, and the others get what came of it."""

import copy
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from thekeys_async.cloud.errors import CloudError

_T = TypeVar("_T")


class Flight(Generic[_T]):
    """A piece of work that callers share while it is under way, and do anew afterwards.

    It is done by the first caller, in its own task; if that one is cancelled, the next does it. An error goes to
    all who waited for it, each with an exception of its own.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._landed = 0
        self._outcome: tuple[_T] | CloudError | None = None

    async def join(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do the work, or wait for who is doing it.

        Raises:
            CloudError: What the work raised.
        """
        before = self._landed
        async with self._lock:
            if self._landed == before or self._outcome is None:
                return await self._fly(work)
            outcome = self._outcome
        if isinstance(outcome, CloudError):
            raise copy.copy(outcome)
        return outcome[0]

    async def _fly(self, work: Callable[[], Awaitable[_T]]) -> _T:
        try:
            value = await work()
        except CloudError as error:
            self._outcome = copy.copy(error)
            self._landed += 1
            raise
        self._outcome = (value,)
        self._landed += 1
        return value
