"""One process: the bridge, its web server and systemd; and with standbys, the wait until nobody else leads."""

import logging
from collections.abc import Mapping
from typing import Final

import anyio

from thekeys_async.bridge.application import Bridge
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.errors import SupersededError
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.plan import BridgePlan
from thekeys_async.bridge.session import VERSION
from thekeys_async.bridge.systemd import ALIVE, READY, STOPPING, notify
from thekeys_async.bridge.web import STANDS_STILL, Web
from thekeys_async.coordination import Coordinator, FileCoordinator, LeaderLease, RedisCoordinator
from thekeys_async.protocol.errors import CoordinationError

_log = logging.getLogger("thekeys_async.bridge")

LEASE: Final = 10.0
"""Seconds after which another bridge leads, if the one that does is not heard of."""

_WATCHDOG_INTERVAL: Final = 1.0


class Process:
    """The process of a bridge: runs until a signal ends it, or another bridge takes over.

    Args:
        plan: Its settings.
        codes: The share codes of each gateway's lockers.
        coordinator: Shares turns, timestamps and the lease to lead with other processes; entered.

    Raises:
        CoordinationError: It is to stand by, and there is no coordinator.
    """

    def __init__(
        self, plan: BridgePlan, codes: Mapping[str, Mapping[int, str]], coordinator: Coordinator | None
    ) -> None:
        if plan.standby and not isinstance(coordinator, (FileCoordinator, RedisCoordinator)):
            raise CoordinationError("standing by needs a state shared with the other bridge: a folder, or a Redis")
        self._plan = plan
        self._codes = codes
        self._coordinator = coordinator
        self._metrics = Metrics(VERSION)
        self._bridge: Bridge | None = None
        self._idle_devices = Devices(plan.topics, plan.lockers, [each.name for each in plan.gateways], version=VERSION)
        self._ran_at = anyio.current_time()
        self._news = anyio.Event()

    @property
    def devices(self) -> Devices:
        """All doors; nothing is known of them while another bridge leads."""
        return self._idle_devices if self._bridge is None else self._bridge.devices

    @property
    def ran_at(self) -> float:
        """The time when all its loops had last run, by the event loop's clock."""
        return self._ran_at if self._bridge is None else min(self._ran_at, self._bridge.ran_at)

    def problems(self) -> list[str]:
        """List the reasons why the bridge does not do its work, if it does not."""
        return ["standing by: another bridge leads"] if self._bridge is None else self._bridge.problems()

    async def next_change(self) -> None:
        """Wait for news of the devices."""
        await self._news.wait()

    async def run(self) -> None:
        """Run until this is cancelled.

        Raises:
            SupersededError: Another bridge has claimed the prefix.
        """
        if self._plan.broker.is_exposed:
            _log.warning(
                "the broker %s is on the network and there is no TLS: whoever sees a command can send one",
                self._plan.broker,
            )
        try:
            async with anyio.create_task_group() as tasks:
                if self._plan.web is not None:
                    tasks.start_soon(Web(self._plan.web, self._metrics, self).serve)
                tasks.start_soon(self._keep_watchdog)
                await self._lead()
                tasks.cancel_scope.cancel()
        finally:
            notify(STOPPING)

    async def _keep_watchdog(self) -> None:
        """Tell systemd that the event loop runs, as long as it does."""
        notify(READY)
        while True:
            self._ran_at = anyio.current_time()
            if self._ran_at - self.ran_at < STANDS_STILL:
                notify(ALIVE)
            await anyio.sleep(_WATCHDOG_INTERVAL)

    async def _lead(self) -> None:
        if not isinstance(self._coordinator, (FileCoordinator, RedisCoordinator)) or not self._plan.standby:
            await self._work(None)
            return
        name = f"bridge {self._plan.topics.prefix}"
        while True:
            async with self._coordinator.lead(name, lease=LEASE) as lease, anyio.create_task_group() as tasks:
                tasks.start_soon(_end_when_lost, lease, tasks.cancel_scope)
                await self._work_as_leader(lease)
                tasks.cancel_scope.cancel()

    async def _work_as_leader(self, lease: LeaderLease) -> None:
        try:
            await self._work(lease)
        except SupersededError:
            # A leader that was stopped may read the next one's claim before it hears that its lease is lost.
            if not lease.lost:
                raise

    async def _work(self, lease: LeaderLease | None) -> None:
        bridge = Bridge(self._plan, self._metrics, self._tell, lease)
        async with bridge.fleet(self._codes, self._coordinator) as fleet:
            self._bridge = bridge
            try:
                await bridge.run(fleet)
            finally:
                self._bridge = None

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()


async def _end_when_lost(lease: LeaderLease, scope: anyio.CancelScope) -> None:
    await lease.wait_lost()
    scope.cancel()
