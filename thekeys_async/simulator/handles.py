"""Simulations that run on a thread of their own, held by plain synchronous code."""

import inspect
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Generic, Protocol, TypeVar

import anyio
import attrs
from anyio.from_thread import BlockingPortal

from thekeys_async.simulator.cloud.cloud import CloudRequest, SimulatedCloud
from thekeys_async.simulator.cloud.tables import CloudAccessory
from thekeys_async.simulator.gateway import SimulatedGateway


class _SimulatedServer(Protocol):
    async def wait_for_requests(self, count: int, *, on: str | None = None) -> None: ...


_Held = TypeVar("_Held", bound=_SimulatedServer)


class Handle(Generic[_Held]):
    """A simulation for any thread but its own: no await, the same names and arguments.

    Attributes are read where the caller is; methods run on the simulation's thread, and are waited for.

    Args:
        held: The simulation, entered in the event loop of the portal.
        portal: The way into that loop.
    """

    def __init__(self, held: _Held, portal: BlockingPortal) -> None:
        self._held = held
        self.portal = portal

    def __getattr__(self, name: str) -> Any:
        """Hand out what the simulation calls so."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        value = getattr(self._held, name)
        return self._on_its_thread(value) if inspect.ismethod(value) else value

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._held) if not name.startswith("_"))})

    def wait_for_requests(self, count: int, *, on: str | None = None, timeout: float = 10.0) -> None:
        """Wait until so many requests have arrived since it was made; for synchronous tests.

        Args:
            count: How many.
            on: Count only those that are called so.
            timeout: How many seconds to wait at most.

        Raises:
            TimeoutError: They did not come.
        """

        async def wait() -> None:
            with anyio.fail_after(timeout):
                await self._held.wait_for_requests(count, on=on)

        self.portal.call(wait)

    def _on_its_thread(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self.portal.call(partial(method, *args, **kwargs))

        return call


class GatewayHandle(Handle[SimulatedGateway]):
    """A `SimulatedGateway` for any thread but its own: no await, the same names and arguments.

    Args:
        gateway: Entered, in the event loop of the portal.
        portal: The way into that loop.

    Attributes:
        gateway: The gateway itself, for the thread that it runs on.
        portal: The way into that thread.
    """

    def __init__(self, gateway: SimulatedGateway, portal: BlockingPortal) -> None:
        super().__init__(gateway, portal)
        self.gateway = gateway

    @contextmanager
    def synchronizing(self, what: str | int = "gw") -> Generator[None, None, None]:
        """Synchronise by itself as long as the block lasts; see `SimulatedGateway.synchronizing()`."""
        self.start_synchronizing(what)
        try:
            yield
        finally:
            self.stop_synchronizing()


class CloudHandle(Handle[SimulatedCloud]):
    """A `SimulatedCloud` for any thread but its own: no await, the same names and arguments.

    Args:
        cloud: Entered, in the event loop of the portal.
        portal: The way into that loop.
    """

    def __init__(self, cloud: SimulatedCloud, portal: BlockingPortal) -> None:
        super().__init__(cloud, portal)
        self.cloud = cloud

    @property
    def requests(self) -> tuple[CloudRequest, ...]:
        """Every web call so far, in the order of arrival."""
        return tuple(self.cloud.requests)

    def add_gateway(
        self, gateway: SimulatedGateway | GatewayHandle, *, identifier: str | None = None, name: str | None = None
    ) -> CloudAccessory:
        """See `SimulatedCloud.add_gateway()`; takes what `simulated_gateway_factory` makes, too."""
        linked = gateway.gateway if isinstance(gateway, GatewayHandle) else gateway
        return self.portal.call(partial(self.cloud.add_gateway, linked, identifier=identifier, name=name))


@attrs.frozen
class SimulatedHome:
    """An account at a simulated cloud, and the gateway that is linked with it.

    Attributes:
        cloud: The cloud.
        gateway: The gateway; a share works at it after its next synchronisation.
    """

    cloud: CloudHandle
    gateway: GatewayHandle
