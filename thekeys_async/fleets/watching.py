"""The streams of many gateways as one: their polls are spread over the interval, and all fill one buffer."""

from collections.abc import Mapping

from thekeys_async.gateway import AsyncGateway, driver_of
from thekeys_async.streams.buffer import UpdateBuffer
from thekeys_async.streams.locker_changes import WatchOptions
from thekeys_async.streams.scheduler import PollScheduler
from thekeys_async.streams.subscription import Subscription

_GOLDEN = (5**0.5 - 1) / 2  # its multiples, without their whole part, are spread evenly however many there are


class FleetSubscription:
    """One watcher at all gateways of a fleet.

    Args:
        gateways: Those that are there when it begins, by name.
        options: The options of the watcher.
        running: Holds it while it runs, so that gateways can be added and removed.
    """

    def __init__(
        self, gateways: Mapping[str, AsyncGateway], options: WatchOptions, running: "set[FleetSubscription]"
    ) -> None:
        self._gateways = gateways
        self._options = options
        self._running = running
        self._following: dict[str, Subscription] = {}
        self._added = 0
        self._fills: tuple[UpdateBuffer, PollScheduler] | None = None

    def begin(self, buffer: UpdateBuffer, scheduler: PollScheduler) -> None:
        """See `thekeys_async.streams.watcher.Source`."""
        self._fills = buffer, scheduler
        self._running.add(self)
        for name, gateway in self._gateways.items():
            self.add(name, gateway)

    def end(self) -> None:
        """See `thekeys_async.streams.watcher.Source`."""
        self._running.discard(self)
        self._fills = None
        while self._following:
            self._following.popitem()[1].end()

    def add(self, name: str, gateway: AsyncGateway) -> None:
        """Watch another gateway."""
        if self._fills:
            delay = self._added * _GOLDEN % 1 * self._options.interval
            self._added += 1
            self._following[name] = Subscription(driver_of(gateway), self._options, delay=delay)
            self._following[name].begin(*self._fills)

    def remove(self, name: str) -> None:
        """Stop watching a gateway; its updates that wait are dropped."""
        if self._fills:
            self._following.pop(name).end()
            self._fills[0].forget(name)

    def close(self) -> None:
        """Tell the consumer that there is nothing left to watch."""
        if self._fills:
            self._fills[0].fail(RuntimeError("the fleet is closed"))
        self.end()
