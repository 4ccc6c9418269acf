"""`Fleet`: many gateways at once, by name."""

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from thekeys_async.calls.budgets import DEFAULT, Default, checked
from thekeys_async.calls.observing import Observer
from thekeys_async.config.file import load_config
from thekeys_async.coordination.base import Coordinator
from thekeys_async.fleets.asking import AT_ONCE, FleetResult, ask_all, checked_count, countdown
from thekeys_async.fleets.failover import Route
from thekeys_async.fleets.watching import FleetSubscription
from thekeys_async.gateway import AsyncGateway, driver_of
from thekeys_async.locker import AsyncLocker
from thekeys_async.protocol.models import GatewayStatus, LockerReading
from thekeys_async.streams.locker_changes import WatchOptions
from thekeys_async.streams.watcher import Watcher
from thekeys_async.turns.pacing import Pacing
from thekeys_async.turns.timestamps import Timestamps

if TYPE_CHECKING:
    from thekeys_async.calls.recorder import Recorder
    from thekeys_async.cloud import Cloud
    from thekeys_async.fleets.from_cloud import AwaitableContext

_T = TypeVar("_T")


class Fleet(Mapping[str, AsyncGateway]):
    """Gateways by name; use it as ``async with Fleet({...}) as fleet:``, which opens and closes them.

    Args:
        gateways: Each an `AsyncGateway`, which then goes by the name it has here, or just its host.
        timeout: The time budget in seconds of a call to a gateway made from a host, and to a locker of the fleet,
            where the call gives none.
        coordinator: Shares turns and timestamps with other processes or machines, for gateways made from hosts.
        max_concurrency: How many gateways are asked at once by `lockers`, `status` and `each`; 100 if not given.
        observer: Called with a plain value at each wait, request, call and poll of all gateways without their own.
        record: Takes down every exchange of all gateways without their own; see `AsyncGateway`.

    Raises:
        ValueError: An argument makes no sense.
    """

    def __init__(
        self,
        gateways: Mapping[str, AsyncGateway | str] | None = None,
        *,
        timeout: float | None = 30.0,
        coordinator: Coordinator | None = None,
        max_concurrency: int | None = None,
        observer: Observer | None = None,
        record: "Recorder | None" = None,
    ) -> None:
        self._observer = observer
        self._recorder = record
        self._timeout = checked(timeout)
        self._coordinator = coordinator
        self._max_concurrency = checked_count(max_concurrency) or AT_ONCE
        self._gateways: dict[str, AsyncGateway] = {}
        self._watching: set[FleetSubscription] = set()
        self._open = False
        self._names: Mapping[str, int] = {}
        self._own_coordinator: Coordinator | None = None
        for name, gateway in (gateways or {}).items():
            self._gateways[name] = self._named(name, gateway)

    @classmethod
    def from_cloud(
        cls,
        cloud: "Cloud",
        *,
        share_name: str,
        seen_within: timedelta = timedelta(minutes=10),
        allow_public: bool = False,
        timeout: float | None = 30.0,
        pacing: Pacing = Pacing(),  # noqa: B008 - frozen
        timestamps: Timestamps = Timestamps(),  # noqa: B008 - frozen
        coordinator: Coordinator | None = None,
        max_concurrency: int | None = None,
        observer: Observer | None = None,
    ) -> "AwaitableContext[Self]":
        """Make a fleet of an account: ``async with Fleet.from_cloud(cloud, share_name="home") as fleet: ...``.

        It has the gateways that reported to the cloud lately, under the names that their owner gave them, and a share
        code for each of their lockers. Shares that are not there are created; such a one works at its gateway after
        the next synchronisation. One that somebody switched off, or that has run out, is left as it is, and a warning
        says that its locker has no code. ``await`` in the place of ``async with`` makes the fleet without opening it.

        Args:
            cloud: The account.
            share_name: The name of the shares; whoever uses the same name has the same codes.
            seen_within: The time within which a gateway must have reported.
            allow_public: Whether to take a gateway wherever the cloud says that it is. If not, one at a public
                address, at a name or with a port is skipped, with a warning: signed requests would go there.
            timeout: As for `Fleet`, and so the others.
            pacing: The rest of each gateway after a reply.
            timestamps: The relation of timestamps to the clock.
            coordinator: Shares turns and timestamps with other processes or machines.
            max_concurrency: How many gateways are asked at once.
            observer: As for `Fleet`.

        Raises:
            CloudError: The cloud could not be asked, or a share could not be created; this may be repeated.
        """
        from thekeys_async.fleets.from_cloud import AwaitableContext, gateways_of  # noqa: PLC0415 - the cloud's client loads httpx

        async def fetch() -> Self:
            settings = {"timeout": timeout, "pacing": pacing, "timestamps": timestamps, "coordinator": coordinator}
            gateways = await gateways_of(
                cloud, share_name=share_name, seen_within=seen_within, allow_public=allow_public, **settings
            )
            return cls(
                gateways, timeout=timeout, coordinator=coordinator, max_concurrency=max_concurrency, observer=observer
            )

        return AwaitableContext(fetch)

    @classmethod
    def from_config(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = 30.0,
        pacing: Pacing = Pacing(),  # noqa: B008 - frozen
        timestamps: Timestamps = Timestamps(),  # noqa: B008 - frozen
        max_concurrency: int | None = None,
        observer: Observer | None = None,
    ) -> Self:
        """Make a fleet of the command's configuration file: ``async with Fleet.from_config() as fleet: ...``.

        It has the file's gateways, their share codes, and for `locker` the names of the lockers. It shares turns and
        timestamps with the command `thekeys`, through what `Config.coordinator` chooses.

        Args:
            path: The file; else what THEKEYS_CONFIG names, else the file that `thekeys setup` writes.
            timeout: As for `Fleet`, and so `max_concurrency`.
            pacing: The rest of each gateway after a reply.
            timestamps: The relation of timestamps to the clock.
            max_concurrency: How many gateways are asked at once.
            observer: As for `Fleet`.

        Raises:
            ConfigurationError: There is no file, it makes no sense, or others could read or change it.
            CoordinationError: A Redis is named, and the client for it is not installed.
        """
        config = load_config(path)
        coordinator = config.coordinator()
        gateways = {
            name: AsyncGateway(
                gateway.host,
                share_codes=config.share_codes(name),
                timeout=timeout,
                coordinator=coordinator,
                pacing=pacing,
                timestamps=timestamps,
            )
            for name, gateway in config.gateways.items()
        }
        fleet = cls(
            gateways, timeout=timeout, coordinator=coordinator, max_concurrency=max_concurrency, observer=observer
        )
        fleet._names = {name: locker.identifier for name, locker in config.lockers.items()}
        fleet._own_coordinator = coordinator
        return fleet

    @property
    def locker_names(self) -> Mapping[str, int]:
        """The lockers' numbers by the names of the configuration file; empty unless made by `from_config`."""
        return self._names

    def __repr__(self) -> str:
        return f"<Fleet of {len(self)}>"

    def __getitem__(self, name: str) -> AsyncGateway:
        return self._gateways[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._gateways)

    def __len__(self) -> int:
        return len(self._gateways)

    async def __aenter__(self) -> Self:
        """Open all gateways.

        Raises:
            ValueError: One of them is in use with other settings.
            CoordinationError: The state that `from_config` shares can't be used.
        """
        if self._own_coordinator:
            await self._own_coordinator.__aenter__()
        try:
            for gateway in self.values():
                await gateway.__aenter__()
        except BaseException:
            await self.aclose()
            raise
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all gateways, also if one of them can't be closed well. Watchers that still run are told."""
        self._open = False
        for subscription in tuple(self._watching):
            subscription.close()
        async with AsyncExitStack() as stack:
            if self._own_coordinator:
                stack.push_async_exit(self._own_coordinator)
            for gateway in self.values():
                stack.push_async_callback(gateway.aclose)

    async def add(self, name: str, gateway: AsyncGateway | str) -> AsyncGateway:
        """Add a gateway, or one made from its host; watchers that run watch it too.

        Raises:
            ValueError: The name is taken, or the gateway is in use with other settings.
        """
        if name in self:
            raise ValueError(f"the fleet has a gateway {name!r} already")
        added = self._named(name, gateway)
        if self._open:
            await added.__aenter__()
        self._gateways[name] = added
        for subscription in tuple(self._watching):
            subscription.add(name, added)
        return added

    async def remove(self, name: str) -> None:
        """Take a gateway out, and close it; watchers hear no more of it.

        Raises:
            KeyError: There is none of this name.
        """
        gateway = self._gateways.pop(name)
        for subscription in tuple(self._watching):
            subscription.remove(name)
        await gateway.aclose()

    async def each(
        self, function: Callable[[AsyncGateway], Awaitable[_T]], *, max_concurrency: int | None = None
    ) -> FleetResult[_T]:
        """Run an async function on every gateway, concurrently. An error of one does not touch the others.

        The result comes with the last answer: a dead gateway holds up no other, but costs all the time that the
        function gives it, and keeps one of the places for so long.

        Args:
            function: Called with each `AsyncGateway`.
            max_concurrency: How many at once; what the fleet was given, or 100, if not given here.
        """
        at_once = checked_count(max_concurrency) or self._max_concurrency
        return await ask_all(dict(self), function, at_once)

    async def lockers(
        self, *, timeout: float | Default | None = DEFAULT, max_concurrency: int | None = None
    ) -> FleetResult[tuple[LockerReading, ...]]:
        """List the lockers that each gateway sees.

        A dead gateway costs the whole time budget, 30 s if nothing else is said: it is asked again until then, as it
        may be restarting. A list takes a tenth of a second, so a ``timeout`` of 5 s suits a fleet of live gateways.

        Args:
            timeout: Seconds for all together; if not given, each gateway has its own time budget.
            max_concurrency: As for `each`.
        """
        left = countdown(timeout)
        return await self.each(lambda gateway: gateway.lockers(timeout=left()), max_concurrency=max_concurrency)

    async def status(
        self, *, timeout: float | Default | None = DEFAULT, max_concurrency: int | None = None
    ) -> FleetResult[GatewayStatus]:
        """Ask each gateway for its status. Arguments, and what a dead gateway costs, as for `lockers`."""
        left = countdown(timeout)
        return await self.each(lambda gateway: gateway.status(timeout=left()), max_concurrency=max_concurrency)

    def locker(self, identifier: int | str) -> AsyncLocker:
        """Get a locker, to be driven through the gateway that sees it best.

        That is, of the gateways with a share code for it, the one with the strongest signal in a recent list; those
        without one are asked first. When it was not reached, or refused with nothing done, the next one is asked:
        never after a request whose outcome is unknown. The time budget covers all of that. A dead gateway costs such a
        call 3 s at most to look for the locker, and that once a minute; one that dies between costs 16 s.

        Args:
            identifier: The locker's number; or its name, where the fleet was made by `from_config`.

        Raises:
            KeyError: The configuration file has no locker of this name.
        """
        identifier = self._number(identifier) if isinstance(identifier, str) else identifier
        codes = (driver_of(gateway).share_code(identifier) for gateway in self.values())
        return AsyncLocker(
            Route(self, identifier, self._timeout), identifier, next((code for code in codes if code), None)
        )

    def watch(
        self,
        interval: float = 10.0,
        *,
        every_poll: bool = False,
        min_rssi_change: int = 1,
        min_battery_change: int = 1,
        lockers: Iterable[int] | None = None,
        follow_doors: bool = False,
        door_interval: float = 300.0,
        lost_after: int = 3,
        status_interval: float | None = None,
    ) -> Watcher:
        """Follow all lockers of all gateways in one iterator; arguments as for `AsyncGateway.watch`.

        Polls are spread over the interval, so that a thousand gateways are not asked at once: the first news of one
        may take that long. Gateways may be added and removed meanwhile. A dead gateway delays nobody's news: it is told
        of once, and asked less and less often, once a minute at least.
        """
        options = WatchOptions(
            interval=interval,
            every_poll=every_poll,
            min_rssi_change=min_rssi_change,
            min_battery_change=min_battery_change,
            lockers=lockers,
            follow_doors=follow_doors,
            door_interval=door_interval,
            lost_after=lost_after,
            status_interval=status_interval,
        )
        return Watcher(lambda: FleetSubscription(self, options, self._watching))

    def _number(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(f"no locker of this name; there are: {', '.join(self._names) or 'none'}")
        return self._names[name]

    def _named(self, name: str, gateway: AsyncGateway | str) -> AsyncGateway:
        if isinstance(gateway, str):
            gateway = AsyncGateway(gateway, timeout=self._timeout, coordinator=self._coordinator)
        gateway.name = name
        driver = driver_of(gateway)
        driver.observer = self._observer if driver.observer is None else driver.observer
        driver.recorder = self._recorder if driver.recorder is None else driver.recorder
        return gateway
