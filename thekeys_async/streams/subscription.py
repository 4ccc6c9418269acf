"""One watcher's place at one gateway: it takes part in the polls, and puts what is news into its consumer's box."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol

import anyio

from thekeys_async.protocol.errors import CoordinationError, TheKeysError
from thekeys_async.protocol.models import LockerReading
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.streams.buffer import Box
from thekeys_async.streams.changes import Door, Tracker, Wishes
from thekeys_async.streams.poller import Poller, Scans
from thekeys_async.streams.scheduler import Rounds
from thekeys_async.streams.updates import GatewayUpdate
from thekeys_async.turns.shared import Lane

_log = logging.getLogger("thekeys_async.streams")


class Gateway(Scans, Protocol):
    """What is needed of a gateway to watch it."""

    @property
    def address(self) -> str:
        """Where the object looks for the gateway."""
        ...

    def lane(self) -> Lane:
        """Get what all objects of the gateway share."""
        ...

    def share_code(self, identifier: int) -> ShareCode | None:
        """Get the share code that it was given for a locker."""
        ...


class Following:
    """From `begin` to `end`, one watcher at one gateway.

    Args:
        gateway: Whom to ask, with its own share codes.
        wishes: What is news.
        delay: Seconds until the first poll, if nobody else watches yet.
    """

    def __init__(self, gateway: Gateway, wishes: Wishes, *, delay: float = 0.0) -> None:
        self._gateway = gateway
        self._name = gateway.name
        self._wishes = wishes
        self._delay = delay
        self._tracker = Tracker(self._name, wishes)
        self._warned = False
        self._box: Box  # given by `begin`
        self._rounds: Rounds  # too
        self._scopes = set[anyio.CancelScope]()
        self._lane: Lane | None = None
        self._poller: Poller | None = None

    @property
    def interval(self) -> float:
        """See `thekeys_async.streams.poller.Listener`."""
        return self._wishes.interval

    @property
    def door_interval(self) -> float:
        """See `thekeys_async.streams.doors.Follower`."""
        return self._wishes.door_interval

    @property
    def due(self) -> float:
        """See `thekeys_async.streams.scheduler.Polled`."""
        return self._poller.due if self._poller else math.inf

    def begin(self, box: Box, rounds: Rounds) -> None:
        """Take part in the gateway's polls."""
        self._box, self._rounds = box, rounds
        self._lane = self._gateway.lane()
        self._lane.enter()
        self._poller = poller = Poller.join(self._lane, self._gateway.address, self, self._delay)
        rounds.add(self)
        if self._wishes.follow_doors:
            rounds.tasks.start_soon(self._do, poller.doors.serve)

    async def poll(self) -> None:
        """See `thekeys_async.streams.scheduler.Polled`."""
        if self._poller:
            await self._do(self._poller.poll)

    def end(self) -> None:
        """Take part no more. What is under way for the others is taken over by one of them."""
        if self._poller and self._lane:
            self._poller.leave(self)
            self._poller = None
            self._lane.leave()
            self._rounds.drop()
        for scope in self._scopes:
            scope.cancel()

    def code(self, identifier: int) -> ShareCode | None:
        """See `thekeys_async.streams.doors.Follower`."""
        if not (self._wishes.follow_doors and self._wishes.includes(identifier)):
            return None
        return self._gateway.share_code(identifier)

    def listed(self, readings: Mapping[int, LockerReading], at: datetime) -> None:
        """See `thekeys_async.streams.poller.Listener`."""
        self._warn_of_skipped(readings)
        for update in self._tracker.listed(readings, at):
            self._box.put(update, passing=self._wishes.lockers is None)

    def door_read(self, identifier: int, door: Door, at: datetime) -> None:
        """See `thekeys_async.streams.doors.Follower`."""
        for update in self._tracker.door(identifier, door, at):
            self._box.put(update)

    def door_known(self, identifier: int, door: Door) -> None:
        """See `thekeys_async.streams.poller.Listener`."""
        self._tracker.remember(identifier, door)

    def reachable(self, error: TheKeysError | None, at: datetime) -> None:
        """See `thekeys_async.streams.poller.Listener`."""
        phase = self._lane.phase if self._lane else None
        # What is shared with other processes can't be used: that says nothing against the gateway.
        reachable = error is None or isinstance(error, CoordinationError)
        self._box.put(GatewayUpdate(gateway=self._name, reachable=reachable, error=error, phase=phase, at=at))

    async def _do(self, task: Callable[[Gateway], Awaitable[None]]) -> None:
        """Do something until that is done, or this watcher leaves."""
        if not self._poller:
            return
        with anyio.CancelScope(shield=True) as scope:  # as in `Rounds`
            self._scopes.add(scope)
            try:
                await task(self._gateway)
            except Exception as failure:  # noqa: BLE001 - the consumer gets it as itself, not in a group
                self._box.fail(failure)
                self.end()
            finally:
                self._scopes.remove(scope)

    def _warn_of_skipped(self, readings: Mapping[int, LockerReading]) -> None:
        if self._warned or not self._wishes.follow_doors:
            return
        skipped = [i for i in readings if self._wishes.includes(i) and not self._gateway.share_code(i)]
        if skipped:
            self._warned = True
            which = ", ".join(map(str, sorted(skipped)))
            _log.warning("%s: doors that can't be followed, for want of a share code: %s", self._name, which)
