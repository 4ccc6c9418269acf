"""A whole bridge in the test's own event loop, between a simulated gateway and a real broker."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
from anyio import to_thread

from tests.sample import CODE, LOCKER
from thekeys_async import BridgeConfig, Config, GatewayConfig, LockerConfig
from thekeys_async.bridge.plan import BridgePlan, make_plan
from thekeys_async.bridge.process import Process
from thekeys_async.coordination import FileCoordinator
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

from .conftest import Listener, Mosquitto

GARAGE = 7


def simulated(**options: Any) -> SimulatedGateway:
    """A gateway that loses no time."""
    lockers = options.pop("lockers", [SimulatedLocker(LOCKER, share_code=CODE), SimulatedLocker(GARAGE)])
    return SimulatedGateway(lockers, **{"light": 0.0, "bluetooth": 0.0, **options})


def config(broker: Mosquitto, gateway: SimulatedGateway, **bridge: Any) -> Config:
    """A file with a front door, and a garage that has no share code."""
    lockers = {
        "Front door": LockerConfig(LOCKER, "hall", CODE, area="Hall"),
        "Garage": LockerConfig(GARAGE, "hall"),
    }
    table = {"broker": broker.url, "http": None, "interval": 0.2, "max_clock_skew": 0.01, **bridge}
    return Config({"hall": GatewayConfig(gateway.address)}, lockers, bridge=BridgeConfig(**table))


def stamped(action: str, at: float | None = None, **more: object) -> str:
    return json.dumps({"action": action, "at": time.time() if at is None else at, **more})


@attrs.define
class Running:
    """A bridge that runs.

    Attributes:
        process: The bridge.
        listener: Another client of its broker.
        ended: Set when it has ended by itself.
        error: Why.
    """

    process: Process
    listener: Listener
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    error: Exception | None = None

    def now(self, topic: str) -> Any:
        """What was said last on a topic of the bridge, understood if it is JSON."""
        text = self.listener.values.get(f"thekeys/{topic}", "")
        return json.loads(text) if text.startswith("{") else text

    async def until(self, condition: Callable[[], object]) -> None:
        await to_thread.run_sync(self.listener.wait_for, condition)

    async def until_said(self, topic: str, value: str | None) -> None:
        await to_thread.run_sync(self.listener.wait_for_value, f"thekeys/{topic}", value)

    async def until_result(self, outcome: str, count: int = 1) -> dict[str, Any]:
        """Wait for the front door's result, the n-th with this outcome."""
        topic = f"thekeys/lock/{LOCKER}/result"

        def found() -> list[dict[str, Any]]:
            told = [json.loads(text) for text in self.listener.said(topic) if text]
            return [each for each in told if each["outcome"] == outcome]

        await self.until(lambda: len(found()) >= count)
        return found()[-1]

    async def say(self, topic: str, payload: str | bytes, **how: Any) -> None:
        await to_thread.run_sync(lambda: self.listener.publish(f"thekeys/{topic}", payload, **how))


@asynccontextmanager
async def running(
    plan: BridgePlan,
    settings: Config,
    listener: Listener,
    coordinator: FileCoordinator | None = None,
    *,
    ready: bool = True,
) -> AsyncIterator[Running]:
    """Run a bridge; it is ended as a signal would end it."""
    codes = {name: settings.share_codes(name) for name in settings.gateways}
    bridge = Running(Process(plan, codes, coordinator), listener)

    async def run() -> None:
        try:
            await bridge.process.run()
        except* Exception as errors:  # noqa: BLE001 - looked at by the test
            bridge.error = errors
        finally:
            bridge.ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        if ready:
            await bridge.until_said("bridge/state", "online")
            await bridge.until_said(f"lock/{LOCKER}/state", "LOCKED")
        yield bridge
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def home(broker: Mosquitto, listen: Callable[..., Listener], **bridge: Any) -> AsyncIterator[tuple]:
    """Everything at once: a broker, a gateway, a bridge, and somebody who listens."""
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with simulated() as gateway:
        settings = config(broker, gateway, **bridge)
        async with running(make_plan(settings, {}), settings, listener) as bridged:
            yield bridged, gateway


__all__ = ["config", "home", "running", "simulated", "stamped"]
