"""A simulated gateway that runs on a thread of its own, held by plain synchronous code."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from thekeys_async.simulator.gateway import SimulatedGateway

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Read(Generic[_T]):
    """An attribute of the gateway, which any thread may read."""

    def __init__(self, read: Callable[[SimulatedGateway], _T], doc: str) -> None:
        self._read = read
        self.__doc__ = doc

    def __get__(self, handle: "GatewayHandle", owner: type["GatewayHandle"]) -> _T:
        return self._read(handle.gateway)


def _called(
    method: Callable[Concatenate[SimulatedGateway, _P], _T],
) -> Callable[Concatenate["GatewayHandle", _P], _T]:
    """Forward a method to the thread on which the gateway runs."""

    @wraps(method)
    def call(handle: "GatewayHandle", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return handle.portal.call(partial(method, handle.gateway, *args, **kwargs))

    return call


def _awaited(
    method: Callable[Concatenate[SimulatedGateway, _P], Awaitable[_T]],
) -> Callable[Concatenate["GatewayHandle", _P], _T]:
    """Forward a method that is awaited there."""

    @wraps(method)
    def call(handle: "GatewayHandle", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return handle.portal.call(partial(method, handle.gateway, *args, **kwargs))

    return call


class GatewayHandle:
    """What `SimulatedGateway` offers, for any thread but its own: no await, the same names and arguments.

    Args:
        gateway: Entered, in the event loop of the portal.
        portal: The way into that loop.

    Attributes:
        gateway: The gateway itself, for the thread that it runs on.
        portal: The way into that thread.
    """

    def __init__(self, gateway: SimulatedGateway, portal: BlockingPortal) -> None:
        self.gateway = gateway
        self.portal = portal

    address = _Read(lambda gateway: gateway.address, "Host and port, as a client takes them.")
    url = _Read(lambda gateway: gateway.url, "The address as a URL.")
    lockers = _Read(lambda gateway: gateway.lockers, "The lockers, by identifier.")
    version = _Read(lambda gateway: gateway.version, "Of its firmware.")
    phase = _Read(lambda gateway: gateway.phase, "What it is doing by itself, as `/status` tells it.")
    settings = _Read(lambda gateway: gateway.settings, "Its delays and ways; may be changed.")
    state = _Read(lambda gateway: gateway.state, "What it remembers; may be changed.")
    requests = _Read(lambda gateway: gateway.requests, "Every request so far, in the order of arrival.")
    overlaps = _Read(lambda gateway: gateway.overlaps, "How many requests arrived while another was being worked on.")

    work_share = _called(SimulatedGateway.work_share)
    fail = _called(SimulatedGateway.fail)
    error = _called(SimulatedGateway.error)
    reply_next = _called(SimulatedGateway.reply_next)
    clear_faults = _called(SimulatedGateway.clear_faults)
    start_synchronizing = _called(SimulatedGateway.start_synchronizing)
    stop_synchronizing = _called(SimulatedGateway.stop_synchronizing)
    turn_bolt = _called(SimulatedGateway.turn_bolt)
    vanish = _called(SimulatedGateway.vanish)
    appear = _called(SimulatedGateway.appear)
    stop = _awaited(SimulatedGateway.stop)
    start = _awaited(SimulatedGateway.start)

    @contextmanager
    def synchronizing(self, what: str | int = "gw") -> Generator[None, None, None]:
        """Synchronise by itself as long as the block lasts; see `SimulatedGateway.synchronizing()`."""
        self.start_synchronizing(what)
        try:
            yield
        finally:
            self.stop_synchronizing()

    def wait_for_requests(self, count: int, *, on: str | None = None, timeout: float = 10.0) -> None:
        """Wait until so many requests have arrived since it was made; for synchronous tests.

        Args:
            count: How many.
            on: Count only those for the endpoint of this name.
            timeout: How many seconds to wait at most.

        Raises:
            TimeoutError: They did not come.
        """

        async def wait() -> None:
            with anyio.fail_after(timeout):
                await self.gateway.wait_for_requests(count, on=on)

        self.portal.call(wait)
