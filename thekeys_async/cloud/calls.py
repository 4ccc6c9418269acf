"""Calls of the cloud: their time budget, their errors, single flight, and many at once.

A `Call` is one call of the user's. `SingleFlight` lets callers who want the same thing at once share one piece of work;
`gather_limited` asks about several things at once.
"""

import copy
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Generic, TypeVar

import anyio
import attrs

from thekeys_async.cloud.errors import CloudError, CloudUnreachableError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_R = TypeVar("_R")

_AT_ONCE = 8


@attrs.frozen
class Clock:
    """A clock, and the sleep that goes by it.

    Attributes:
        monotonic: Seconds that never go back; what a token's life is counted in.
        sleep: Waits some seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


@attrs.define
class CloudCall:
    """The state of one call of the user's while it is under way.

    Attributes:
        effect: The call's effect, for the warning when it is cancelled.
        may_have_executed: Whether something that it sent may have done that.
    """

    effect: str = "a share may have been created, changed or deleted"
    may_have_executed: bool = False

    @contextmanager
    def within(self, timeout: float | None) -> Generator[None]:
        """Hold the call to its time budget, and mark its errors with what may have happened.

        Raises:
            CloudUnreachableError: The time is up.
        """
        try:
            with anyio.move_on_after(timeout) as scope, self.marked():
                yield
        except anyio.get_cancelled_exc_class():
            if self.may_have_executed:
                _log.warning("a call to the cloud was cancelled: %s", self.effect)
            raise
        if scope.cancelled_caught:
            raise CloudUnreachableError(
                f"the cloud did not answer within {timeout} s", may_have_executed=self.may_have_executed
            )

    @contextmanager
    def marked(self) -> Generator[None]:
        """Mark errors with what may have happened."""
        try:
            yield
        except CloudError as error:
            error.may_have_executed |= self.may_have_executed
            raise


class SingleFlight(Generic[_T]):
    """Work that callers share while it is under way, and that is done anew afterwards.

    It is done by the first caller, in its own task; if that one is cancelled, the next does it. An error goes to
    all who waited for it, each with an exception of its own.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._done = 0
        self._outcome: tuple[_T] | CloudError | None = None

    async def join(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do the work, or wait for the caller who does it.

        Raises:
            CloudError: What the work raised.
        """
        before = self._done
        async with self._lock:
            if self._done == before or self._outcome is None:
                return await self._do(work)
            outcome = self._outcome
        if isinstance(outcome, CloudError):
            raise copy.copy(outcome)
        return outcome[0]

    async def _do(self, work: Callable[[], Awaitable[_T]]) -> _T:
        try:
            value = await work()
        except CloudError as error:
            self._outcome = copy.copy(error)
            self._done += 1
            raise
        self._outcome = (value,)
        self._done += 1
        return value


async def gather_limited(ask: Callable[[_T], Awaitable[_R]], items: Iterable[_T]) -> list[_R]:
    """Ask about each item, a few at a time; the answers come in the items' order.

    Raises:
        CloudError: The first one that was met, as itself and not in a group; the others are given up.
        ValueError: In the same way.
    """
    results: dict[int, _R] = {}
    failures: list[CloudError | ValueError] = []
    limit = anyio.CapacityLimiter(_AT_ONCE)

    async def one(number: int, item: _T) -> None:
        async with limit:
            try:
                results[number] = await ask(item)
            except (CloudError, ValueError) as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for number, item in enumerate(items):
            tasks.start_soon(one, number, item)
    if failures:
        raise failures[0]
    return [results[number] for number in sorted(results)]
