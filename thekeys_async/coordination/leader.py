"""`LeaderLease`: one of several programs leads, the others stand by.

For a program that must run once only, and that another copy is to take over from when it dies: a bridge, a poller that
writes to a database. It says nothing about gateways: their turns are shared among all, also among standbys.
"""

import logging
import math
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import anyio

from thekeys_async._clocks import boot_time
from thekeys_async.coordination.base import LONGEST_SLEEP, NEXT_TRY, SAFE_PART, LeaseLostError
from thekeys_async.protocol.errors import CoordinationError

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

_log = logging.getLogger("thekeys_async")

_RENEWALS_IN_A_LEASE = 3
_TO_RELEASE = 1.0


class AwayError(Exception):
    """The shared state can't be reached just now; never seen by callers of the library."""


class LeaderRecord(Protocol):
    """The record of the leader, as one candidate sees it."""

    async def take(self) -> float:
        """Become the leader if nobody is; return 0 then, else the seconds until nobody may be.

        Raises:
            AwayError: The shared state can't be reached, which may pass.
            CoordinationError: It can't be used.
        """
        ...

    async def renew(self) -> bool:
        """Stay the leader for another lease; False if another one has taken over.

        Raises:
            AwayError: The shared state can't be reached, which may pass.
        """
        ...

    @property
    def intact(self) -> bool:
        """Whether the record is still there, as far as that can be told at once."""
        ...

    async def release(self) -> None:
        """Let others lead at once. Harmless if another one does, and if `take` is not known to have had an effect."""
        ...


class LeaderLease:
    """The right to lead, held by one program at a time among all that name it; `FileCoordinator.lead` makes it.

    ``async with`` waits until nobody else leads. The lease is renewed in the background as long as the block lasts.
    It is given back at once when the block ends, and passes on by itself, when the lease is over at the latest, if the
    program dies, is stopped (SIGSTOP, a debugger), sleeps with its machine, or loses the shared state.

    **A lease that is lost stays lost**, and the program that held it may be the last to hear of it. So look right
    before each act that only the leader may do, with no await in between: `check` or `lost` tell it by a clock that
    runs on while the program is stopped. Nothing can be known about a program that is stopped between that look and the
    act; keep the two together.

    Example:
        ```python
        async with coordinator.lead("reports") as lease:
            while not lease.lost:
                print("reporting")
                await anyio.sleep(1)
        ```
    """

    def __init__(self, record: LeaderRecord, name: str, lease: float) -> None:
        self._record = record
        self._name = name
        self._lease = lease
        self._tasks: TaskGroup | None = None
        self._valid_until = self._wall_until = -math.inf
        self._given_up = False
        self._over = anyio.Event()

    def __repr__(self) -> str:
        return f"<LeaderLease {self._name!r}{' lost' if self.lost else ''}>"

    async def __aenter__(self) -> Self:
        """Wait until this program leads. A cancelled wait leaves nothing behind.

        While the shared state is away it goes on waiting, and a WARNING says so once.

        Raises:
            CoordinationError: The shared state can't be used.
            RuntimeError: The coordinator was not entered, or the lease was held before.
        """
        if self._over.is_set() or self._valid_until > 0:
            raise RuntimeError("a lease can be entered once: make another one with lead()")
        try:
            await self._until_leading()
        except BaseException:
            await self._release()
            raise
        _log.debug("leading %r", self._name)
        tasks = await anyio.create_task_group().__aenter__()
        tasks.start_soon(self._keep)
        self._tasks = tasks
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back; a standby takes over."""
        tasks, self._tasks = self._tasks, None
        try:
            if tasks:
                tasks.cancel_scope.shield = True
                tasks.cancel_scope.cancel()
                await tasks.__aexit__(None, None, None)
        finally:
            self._given_up = True
            self._over.set()
            await self._release()

    @property
    def lost(self) -> bool:
        """Whether another program may lead by now. Once true it stays so, also after the block."""
        if not self._given_up:
            self._given_up = (
                boot_time() >= self._valid_until or time.time() >= self._wall_until or not self._record.intact
            )
        return self._given_up

    def check(self) -> None:
        """Check that this program still leads. To be called right before an act, with no await in between.

        Raises:
            LeaseLostError: It may not lead any more.
        """
        if self.lost:
            raise LeaseLostError(
                f"nothing was done: the lease to lead {self._name!r} was over; was the process stopped, or the shared "
                "state not to be reached?"
            )

    async def wait_lost(self) -> None:
        """Wait until the lease is lost, or given back."""
        await self._over.wait()

    async def _until_leading(self) -> None:
        warned = False
        while True:
            asked_at = (boot_time(), time.time())
            try:
                seconds = await self._record.take()
            except AwayError as error:
                if not warned:
                    _log.warning("waiting to lead %r: %s", self._name, error)
                warned, seconds = True, NEXT_TRY
            if seconds <= 0:
                self._extend(*asked_at)
                return
            await anyio.sleep(min(seconds, LONGEST_SLEEP))

    def _extend(self, boot: float, wall: float) -> None:
        # By two clocks: either may have stood still while the machine slept.
        self._valid_until, self._wall_until = (moment + self._lease * SAFE_PART for moment in (boot, wall))

    async def _keep(self) -> None:
        """Renew the lease until it is lost; then wake those who wait for that."""
        pause = self._lease / _RENEWALS_IN_A_LEASE
        while not self.lost:
            with anyio.move_on_after(self._valid_until - boot_time()):
                await anyio.sleep(pause)
                pause = await self._renew()
        _log.warning("the lease to lead %r is lost", self._name)
        self._over.set()

    async def _renew(self) -> float:
        """Try to renew; return the seconds until the next time."""
        asked_at = (boot_time(), time.time())
        try:
            if not await self._record.renew():
                self._given_up = True
            elif not self.lost:
                self._extend(*asked_at)
        except (AwayError, CoordinationError) as error:
            _log.debug("the lease to lead %r could not be renewed: %s", self._name, error)
            return min(NEXT_TRY, self._lease / 10)
        return self._lease / _RENEWALS_IN_A_LEASE

    async def _release(self) -> None:
        with anyio.move_on_after(_TO_RELEASE, shield=True), suppress(AwayError, CoordinationError):
            await self._record.release()


def check_arguments(name: str, lease: float) -> None:
    """Check the arguments of `lead`.

    Raises:
        ValueError: It makes no sense.
    """
    if not name:
        raise ValueError("what is to be led has a name")
    if not 0 < lease < math.inf:
        raise ValueError("a lease is a positive number of seconds")
