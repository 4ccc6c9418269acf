"""The bridge itself: follows the gateways, publishes their news, and carries out the commands that are admitted."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import anyio
import anyio.abc

from thekeys_async.bridge import clocks
from thekeys_async.bridge.commands import CommandRunner, Leadership
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.errors import SupersededError
from thekeys_async.bridge.heartbeat import HEARTBEAT
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.plan import BridgePlan
from thekeys_async.bridge.session import VERSION, BrokerSession
from thekeys_async.bridge.views import Event
from thekeys_async.calls.observing import CallEnded, GatewayEvent, Outcome, PollEnded, RequestSent
from thekeys_async.coordination.base import Coordinator
from thekeys_async.fleets.fleet import Fleet
from thekeys_async.gateway import AsyncGateway
from thekeys_async.protocol.errors import GatewayRefusedError, GatewayUnreachableError, ProtocolError
from thekeys_async.streams.updates import STATUS, LockerUpdate, Update
from thekeys_async.turns.pacing import Pacing

PACING: Final = Pacing()
"""How long each gateway rests after a reply."""

# Why a bolt could not be read: of a gateway that is busy, the poller asks again.
_TELLS_OF_THE_BOLT: Final = (GatewayRefusedError, GatewayUnreachableError, ProtocolError)

_TO_FINISH: Final = 5.0
_TO_SAY_GOODBYE: Final = 2.0
_STATUS_EVERY: Final = 120.0
_BIRTH: Final = (0.1, 5.0)


class Bridge:
    """One bridge, from its start to its end.

    Args:
        plan: Its settings.
        metrics: The counters.
        on_news: Called when there is news of the devices.
        leadership: Looked at right before each command; None if nobody stands by.

    Attributes:
        devices: All locks and gateways, and their topics.
        session: Its side of the connection to the broker.
        ran_at: When its loop last ran, by the event loop's clock.
    """

    def __init__(
        self, plan: BridgePlan, metrics: Metrics, on_news: Callable[[], None], leadership: Leadership | None = None
    ) -> None:
        self.plan = plan
        self.devices = Devices(
            plan.topics,
            plan.lockers,
            [gateway.name for gateway in plan.gateways],
            version=VERSION,
            read_only=plan.read_only,
        )
        self.session = BrokerSession(plan, self.devices, metrics, self._repeat_soon)
        self.devices.retained.on_news = self._tell_news
        self.ran_at = anyio.current_time()
        self._on_news = on_news
        self._metrics = metrics
        self._leadership = leadership
        self._repeats_soon = False
        self._tasks: anyio.abc.TaskGroup | None = None
        metrics.show(self.devices, self.session.heartbeat, lambda: self.session.broker.is_connected)

    def problems(self) -> list[str]:
        """List the reasons why it does not do its work, if it does not."""
        reachable = any(gateway.reachable for gateway in self.devices.gateways.values())
        return [*self.session.problems(), *([] if reachable else ["no gateway answers"])]

    def _tell_news(self) -> None:
        self.session.broker.wake()
        self._on_news()

    def fleet(self, codes: Mapping[str, Mapping[int, str]], coordinator: Coordinator | None) -> Fleet:
        """Make the fleet of the plan's gateways, which this bridge observes.

        Args:
            codes: Their share codes.
            coordinator: Shares turns and timestamps with other processes.
        """
        return Fleet(
            {
                gateway.name: AsyncGateway(
                    gateway.host,
                    share_codes=codes.get(gateway.name),
                    pacing=PACING,
                    coordinator=coordinator,
                    observer=self._observe,
                )
                for gateway in self.plan.gateways
            }
        )

    async def run(self, fleet: Fleet) -> None:
        """Work until this is cancelled.

        Args:
            fleet: The fleet that `fleet` has made, open.

        Raises:
            SupersededError: Another bridge has claimed the prefix.
        """
        async with anyio.create_task_group() as tasks:
            # The connection and what is on the wire outlive the end for a moment, so that the outcome is said.
            commands = await tasks.start(self._keep_commands, fleet)
            broker = await tasks.start(self._keep_broker)
            try:
                await self._work(fleet)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._finish(commands)
                broker.cancel()
        if self.session.superseded.is_set():
            raise SupersededError("another bridge has taken over this prefix; this one takes no more commands")

    async def _keep_commands(
        self, fleet: Fleet, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        with anyio.CancelScope(shield=True) as scope:
            async with anyio.create_task_group() as tasks:
                self.session.commands = CommandRunner(
                    fleet,
                    self.devices,
                    self.session.judge,
                    self._metrics,
                    self.session.refusals,
                    tasks=tasks,
                    leadership=self._leadership,
                )
                task_status.started(scope)
                await anyio.sleep_forever()

    async def _keep_broker(
        self, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        with anyio.CancelScope(shield=True) as scope:
            task_status.started(scope)
            await self.session.broker.run()

    async def _work(self, fleet: Fleet) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._follow, fleet)
            tasks.start_soon(self._beat)
            await self.session.superseded.wait()
            tasks.cancel_scope.cancel()

    async def _finish(self, commands: anyio.CancelScope) -> None:
        """Take no more commands, wait a moment for those on the wire, and say good-bye.

        Also where the lease to lead is lost: perhaps nobody leads then, and one that does says that it is there again.
        """
        self.session.is_stopping = True
        if (carried_out := self.session.commands) is not None:
            with anyio.move_on_after(_TO_FINISH):
                await carried_out.idle()
            commands.cancel()
            await carried_out.idle()
        commands.cancel()
        with anyio.move_on_after(_TO_SAY_GOODBYE):
            await self.session.say_goodbye()

    async def _follow(self, fleet: Fleet) -> None:
        watching = fleet.watch(
            self.plan.interval, lockers=list(self.devices.locks), follow_doors=True, status_interval=_STATUS_EVERY
        )
        async with watching as updates:
            async for update in updates:
                self._take(update)

    def _take(self, update: Update) -> None:
        if not isinstance(update, LockerUpdate):
            self.devices.gateway_news(update)
            return
        for event in self.devices.locker_news(update, clocks.now()):
            self._happened(event)
        if self.session.commands is not None and STATUS in update.changed:
            self.session.commands.looked(update.identifier, None)

    def _happened(self, event: Event) -> None:
        self._metrics.happened(self.devices, event)
        lock = self.devices.locks[event.identifier]
        told = {
            "event": event.what,
            "by": event.by,
            "count": event.count,
            "last_log": None if lock.reading is None else lock.reading.last_log,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        self.session.broker.publish(self.plan.topics.lock(event.identifier, "event"), json.dumps(told))

    def _observe(self, event: GatewayEvent) -> None:
        """Take what the library tells of its requests."""
        match event:
            case RequestSent():
                if self.session.commands is not None:
                    self.session.commands.bytes_left(event)
            case CallEnded(action="locker_status", identifier=int(identifier), error=error) if isinstance(
                error, _TELLS_OF_THE_BOLT
            ):
                if self.session.commands is not None:
                    self.session.commands.looked(identifier, error)
            case PollEnded():
                self._metrics.polled(event.outcome)
                if event.outcome in {Outcome.DONE, Outcome.BUSY}:
                    self.devices.gateways[event.gateway].answered_at = event.at.timestamp()
            case _:
                pass

    async def _beat(self) -> None:
        """Once a second: look at the clocks, and send the heartbeat."""
        while True:
            now = clocks.now()
            self.devices.passed(now.boot)
            self.session.beat(now)
            self.ran_at = anyio.current_time()
            await anyio.sleep_until(self.ran_at + HEARTBEAT)

    def _repeat_soon(self) -> None:
        if self._tasks is not None and not self._repeats_soon:
            self._repeats_soon = True
            self._tasks.start_soon(self._repeat)

    async def _repeat(self) -> None:
        """Say everything again to a Home Assistant that has just started, and not at once with everybody else."""
        await anyio.sleep(random.uniform(*_BIRTH))  # noqa: S311 - not a secret
        self._repeats_soon = False
        self.session.publish_all()
