"""One stream of polls for all the watchers of one gateway in one event loop.

The poller has no task of its own, as nobody would own it: each watcher comes when a poll is due, the first of them
polls for all, and when it leaves in the middle of that, the next one takes over.
"""

import logging
import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

import anyio
import attrs

from thekeys_async.calls.driver import Driver
from thekeys_async.calls.observing import PollEnded, outcome_of, tell
from thekeys_async.protocol.errors import (
    CoordinationError,
    GatewayBusyError,
    GatewayClosedError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.protocol.models import LockerReading
from thekeys_async.streams.doors import Doors, Follower
from thekeys_async.streams.locker_changes import Door
from thekeys_async.turns.shared import SharedGateway

_log = logging.getLogger("thekeys_async.streams")

_BUDGET = 60.0
_LONGEST_PAUSE = 60.0
_STATUS_WHILE_BUSY = 60.0
_MOST_DOUBLINGS = 16


class Subscriber(Follower, Protocol):
    """A watcher that a poller tells of its polls."""

    @property
    def interval(self) -> float:
        """Seconds between the polls that it asks for."""
        ...

    def listed(self, readings: Mapping[int, LockerReading], at: datetime) -> None:
        """Take a complete list of the lockers that the gateway sees."""
        ...

    def door_known(self, identifier: int, door: Door) -> None:
        """Take a read of a door that was made for other watchers."""
        ...

    @property
    def status_interval(self) -> float | None:
        """Seconds between requests for the gateway's own status; None to ask only when it is busy."""
        ...

    def lost(self, error: TheKeysError, at: datetime) -> None:
        """Take the news that the gateway can't be reached or asked."""
        ...

    def answered(self, at: datetime) -> None:
        """Take the news that the gateway answers; its status is known to all objects of it."""
        ...


@attrs.define
class Rhythm:
    """The times of the polls: at a fixed interval while all is well, and less and less often while not.

    Attributes:
        anchor: The last point in time of the rhythm.
        pause: Seconds from there to the next poll, where that is not the interval.
        failures: How many polls have failed in a row.
    """

    anchor: float
    pause: float | None = None
    failures: int = 0

    def due(self, interval: float) -> float:
        """Return the time of the next poll."""
        return self.anchor + (interval if self.pause is None else self.pause)

    def succeeded(self, due: float, now: float, interval: float) -> None:
        """Go on from the poll that was due; points in time that it has used up by itself are left out."""
        used_up = max(0, math.ceil((now - due) / interval) - 1)
        self.anchor, self.pause, self.failures = due + used_up * interval, None, 0

    def failed(self, now: float, interval: float, jitter: float) -> None:
        """Wait longer than the last time, 60 s at most, or the interval if that is longer."""
        self.failures += 1
        pause = jitter * min(_LONGEST_PAUSE, interval * 2 ** min(self.failures, _MOST_DOUBLINGS))
        self.anchor, self.pause = now, max(interval, pause)


class Poller:
    """Polls one gateway at one address as long as it has subscribers."""

    def __init__(self, shared: SharedGateway, address: str, delay: float) -> None:
        self._shared = shared
        self._address = address
        self._subscribers: dict[Subscriber, None] = {}
        self._doors: Doors | None = None
        self._rhythm = Rhythm(anyio.current_time(), delay)
        self._asked = False
        self._readings: dict[int, LockerReading] | None = None
        self._listed_at = datetime.now(UTC)
        self._error: TheKeysError | None = None
        self._lost_at = datetime.now(UTC)
        self._answered_at: datetime | None = None
        self._status_asked_at = -math.inf
        self._interval = _LONGEST_PAUSE
        self._poll_lock = anyio.Lock(fast_acquire=True)

    @classmethod
    def join(cls, shared: SharedGateway, address: str, subscriber: Subscriber, delay: float) -> "Poller":
        """Subscribe to the poller of a gateway; it tells the newest state at once.

        Args:
            shared: The way to the gateway.
            address: Where the subscriber looks for it; another address that is dead is no news here.
            subscriber: The subscriber.
            delay: Seconds until the first poll, if there was none yet.
        """
        poller = shared.pollers.get(address)
        if not isinstance(poller, Poller):
            poller = shared.pollers[address] = cls(shared, address, delay)
        poller._add(subscriber, delay)
        return poller

    def leave(self, subscriber: Subscriber) -> None:
        """Unsubscribe; after the last one, nothing is remembered."""
        self._subscribers.pop(subscriber, None)
        self._set_interval()
        if not self._subscribers and self._shared.pollers.get(self._address) is self:
            del self._shared.pollers[self._address]

    @property
    def doors(self) -> Doors:
        """The doors that they follow; there is nothing to remember before the first of them does."""
        if self._doors is None:
            self._doors = Doors(self._shared, self._subscribers)
        return self._doors

    @property
    def due(self) -> float:
        """The time of the next poll, in the event loop's time."""
        return self._rhythm.due(self._interval)

    async def poll(self, gateway: Driver) -> None:
        """Poll for all watchers, if that is still due once those that came before have polled, or have left."""
        async with self._poll_lock:
            if self.due <= anyio.current_time():
                await self._poll(gateway)

    def _set_interval(self) -> None:
        self._interval = min((subscriber.interval for subscriber in self._subscribers), default=_LONGEST_PAUSE)

    def _add(self, subscriber: Subscriber, delay: float) -> None:
        self._subscribers[subscriber] = None
        if not self._asked:
            self._rhythm.pause = min(self.due, anyio.current_time() + delay) - self._rhythm.anchor
        self._set_interval()
        if self._doors:
            for identifier, door in self._doors.known(subscriber).items():
                subscriber.door_known(identifier, door)
        if self._readings is not None:
            subscriber.listed(self._readings, self._listed_at)
        if self._error:
            subscriber.lost(self._error, self._lost_at)
        elif self._answered_at:
            subscriber.answered(self._answered_at)

    async def _poll(self, gateway: Driver) -> None:
        due = self.due
        failure: TheKeysError | None = None
        try:
            readings = await gateway.scan(_BUDGET, wait_if_busy=False)
        except GatewayClosedError:
            raise  # the watcher's own mistake, and no news of the gateway
        except RequestTimeoutError as waited:
            failure = waited
            _log.debug("%s: no poll, as our own side had too much to ask: %s", gateway.name, waited)
        except TheKeysError as error:
            failure = error.with_traceback(None)
            if not isinstance(error, GatewayBusyError):
                self._lost(gateway, failure)
        else:
            self._back(gateway)
            self._listed({reading.identifier: reading for reading in readings})
        if gateway.observer is not None:
            poll = PollEnded(gateway=gateway.name, outcome=outcome_of(failure), error=failure, at=datetime.now(UTC))
            tell(gateway.observer, poll)
        if failure is None or isinstance(failure, GatewayBusyError):
            self._back(gateway)
            await self._ask_for_status(gateway, busy=failure is not None)
            self._answered()
        self._asked = True
        now = anyio.current_time()
        if self._error:
            self._rhythm.failed(now, self._interval, random.uniform(0.75, 1))  # noqa: S311 - not a secret
        else:
            self._rhythm.succeeded(due, now, self._interval)

    def _listed(self, readings: dict[int, LockerReading]) -> None:
        self._readings, self._listed_at = readings, datetime.now(UTC)
        for subscriber in self._subscribers:
            subscriber.listed(readings, self._listed_at)
        if self._doors:
            self._doors.listed(readings)

    async def _ask_for_status(self, gateway: Driver, *, busy: bool) -> None:
        """Ask for the gateway's status, if that is due; all objects of the gateway share it."""
        asked_for = [seconds for subscriber in self._subscribers if (seconds := subscriber.status_interval)]
        if busy or self._hangs_perhaps():
            asked_for.append(_STATUS_WHILE_BUSY)
        now = anyio.current_time()
        if not asked_for or now - self._status_asked_at < min(asked_for):
            return
        try:
            await gateway.status(_BUDGET, wait_if_busy=False)
        except GatewayClosedError:
            raise
        except TheKeysError as error:
            _log.debug("%s: its status is not known: %s", gateway.name, error)
        self._status_asked_at = now  # not where this watcher leaves meanwhile: the next one asks in its place

    def _hangs_perhaps(self) -> bool:
        """Tell whether the gateway was synchronising when last asked: watchers wait for the news that this is over."""
        return self._shared.phase is not None and self._shared.phase.synchronizing

    def _back(self, gateway: Driver) -> None:
        """Tell that a gateway that was lost answers again, before its lockers are told."""
        if self._error:
            _log.info("%s: the gateway answers again", gateway.name)
            self._error = None
            self._answered()

    def _answered(self) -> None:
        self._answered_at = datetime.now(UTC)
        for subscriber in self._subscribers:
            subscriber.answered(self._answered_at)

    def _lost(self, gateway: Driver, error: TheKeysError) -> None:
        if not self._error:
            hindered = isinstance(error, CoordinationError)
            what = "the gateway can't be asked" if hindered else "the gateway is lost"
            _log.warning("%s: %s: %s", gateway.name, what, error)
            self._error, self._lost_at = error, datetime.now(UTC)
            if self._doors:
                self._doors.lost()
            for subscriber in self._subscribers:
                subscriber.lost(error, self._lost_at)

    def read_now(self, identifier: int) -> None:
        """Have a door read at once for those who follow it."""
        if self._doors:
            self._doors.read_now(identifier, (self._readings or {}).get(identifier))


def read_now(shared: SharedGateway, identifier: int) -> None:
    """Have a door read at once for all who follow it through a gateway in this event loop."""
    for poller in shared.pollers.values():
        if isinstance(poller, Poller):
            poller.read_now(identifier)
