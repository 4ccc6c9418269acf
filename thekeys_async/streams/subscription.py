"""One watcher at one gateway: it takes part in the polls, and puts the news into its consumer's buffer."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from thekeys_async.calls.driver import Driver
from thekeys_async.protocol.errors import TheKeysError
from thekeys_async.protocol.models import LockerReading
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.streams.buffer import UpdateBuffer
from thekeys_async.streams.gateway_changes import GatewayTracker
from thekeys_async.streams.locker_changes import ChangeTracker, Door, WatchOptions
from thekeys_async.streams.poller import Poller
from thekeys_async.streams.scheduler import PollScheduler

if TYPE_CHECKING:
    from thekeys_async.turns.shared import SharedGateway

_log = logging.getLogger("thekeys_async.streams")


class Subscription:
    """From `begin` to `end`, one watcher at one gateway.

    Args:
        driver: Makes the calls, and has the share codes.
        options: The options of the watcher.
        delay: Seconds until the first poll, if nobody else watches yet.
    """

    def __init__(self, driver: Driver, options: WatchOptions, *, delay: float = 0.0) -> None:
        self._driver = driver
        self._name = driver.name
        self._options = options
        self._delay = delay
        self._tracker = ChangeTracker(self._name, options)
        self._gateway = GatewayTracker(self._name)
        self._warned = False
        self._sees_none = False
        self._buffer: UpdateBuffer  # given by `begin`
        self._scheduler: PollScheduler  # too
        self._scopes = set[anyio.CancelScope]()
        self._shared: SharedGateway | None = None
        self._poller: Poller | None = None

    @property
    def interval(self) -> float:
        """See `thekeys_async.streams.poller.Subscriber`."""
        return self._options.interval

    @property
    def status_interval(self) -> float | None:
        """See `thekeys_async.streams.poller.Subscriber`."""
        return self._options.status_interval

    @property
    def door_interval(self) -> float:
        """See `thekeys_async.streams.doors.Follower`."""
        return self._options.door_interval

    @property
    def due(self) -> float:
        """See `thekeys_async.streams.scheduler.Polled`."""
        return self._poller.due if self._poller else math.inf

    def begin(self, buffer: UpdateBuffer, scheduler: PollScheduler) -> None:
        """Subscribe to the gateway's polls."""
        self._buffer, self._scheduler = buffer, scheduler
        self._shared = self._driver.shared()
        self._shared.enter()
        self._poller = poller = Poller.join(self._shared, str(self._driver.address), self, self._delay)
        scheduler.add(self)
        if self._options.follow_doors:
            scheduler.tasks.start_soon(self._do, poller.doors.serve)

    async def poll(self) -> None:
        """See `thekeys_async.streams.scheduler.Polled`."""
        if self._poller:
            await self._do(self._poller.poll)

    def end(self) -> None:
        """Unsubscribe. A poll that is under way for the others is taken over by one of them."""
        if self._poller and self._shared:
            self._poller.leave(self)
            self._poller = None
            self._shared.leave()
            self._scheduler.drop()
        for scope in self._scopes:
            scope.cancel()

    def code(self, identifier: int) -> ShareCode | None:
        """See `thekeys_async.streams.doors.Follower`."""
        if not (self._options.follow_doors and self._options.includes(identifier)):
            return None
        return self._driver.share_code(identifier)

    def listed(self, readings: Mapping[int, LockerReading], at: datetime) -> None:
        """See `thekeys_async.streams.poller.Subscriber`."""
        self._warn_of_skipped(readings)
        self._sees_none = not readings
        for update in self._tracker.listed(readings, at):
            self._buffer.put(update, passing=self._options.lockers is None)

    def door_read(self, identifier: int, door: Door, at: datetime) -> None:
        """See `thekeys_async.streams.doors.Follower`."""
        for update in self._tracker.door(identifier, door, at):
            self._buffer.put(update)

    def door_known(self, identifier: int, door: Door) -> None:
        """See `thekeys_async.streams.poller.Subscriber`."""
        self._tracker.remember(identifier, door)

    def lost(self, error: TheKeysError, at: datetime) -> None:
        """See `thekeys_async.streams.poller.Subscriber`."""
        if self._shared:
            self._buffer.put(self._gateway.lost(error, self._shared.phase, self._shared.version, at))

    def answered(self, at: datetime) -> None:
        """See `thekeys_async.streams.poller.Subscriber`."""
        if not self._shared:
            return
        # Where there are lockers to tell of, that is how a watcher hears first that the gateway answers.
        is_news = self._options.status_interval is not None or (self._sees_none and self._options.lockers is None)
        if update := self._gateway.answered(self._shared.phase, self._shared.version, at, first_is_news=is_news):
            self._buffer.put(update)

    @property
    def _takes_part(self) -> bool:
        return self._poller is not None

    async def _do(self, task: Callable[[Driver], Awaitable[None]]) -> None:
        """Do something until that is done, or this watcher leaves."""
        if not self._takes_part:
            return
        with anyio.CancelScope(shield=True) as scope:  # as in `PollScheduler`
            self._scopes.add(scope)
            try:
                await task(self._driver)
            except Exception as failure:  # noqa: BLE001 - the consumer gets it as itself, not in a group
                if self._takes_part:  # else it has ended meanwhile: its gateway may have left the fleet, and be closed
                    self._buffer.fail(failure)
                    self.end()
            finally:
                self._scopes.remove(scope)

    def _warn_of_skipped(self, readings: Mapping[int, LockerReading]) -> None:
        if self._warned or not self._options.follow_doors:
            return
        skipped = [i for i in readings if self._options.includes(i) and not self._driver.share_code(i)]
        if skipped:
            self._warned = True
            which = ", ".join(map(str, sorted(skipped)))
            _log.warning("%s: doors that can't be followed, for want of a share code: %s", self._name, which)
