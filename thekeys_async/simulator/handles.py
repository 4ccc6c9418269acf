"""A simulated gateway that runs on a thread of its own, held by plain synchronous code."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

import anyio
from anyio.from_thread import BlockingPortal

from thekeys_async.simulator.faults import Fault
from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.locker import SimulatedLocker, Turn
from thekeys_async.simulator.request_log import RequestRecord
from thekeys_async.simulator.service import Settings
from thekeys_async.simulator.state import GatewayState


class GatewayHandle:
    """What `SimulatedGateway` offers, for any thread but its own: no await, the same names and arguments.

    Args:
        gateway: Entered, in the event loop of the portal.
        portal: The way into that loop.
    """

    def __init__(self, gateway: SimulatedGateway, portal: BlockingPortal) -> None:
        self._gateway = gateway
        self._portal = portal

    @property
    def gateway(self) -> SimulatedGateway:
        """The gateway itself, for the thread that it runs on."""
        return self._gateway

    @property
    def address(self) -> str:
        """Host and port, as a client takes them."""
        return self._gateway.address

    @property
    def url(self) -> str:
        """The address as a URL."""
        return self._gateway.url

    @property
    def lockers(self) -> dict[int, SimulatedLocker]:
        """The lockers, by identifier."""
        return self._gateway.lockers

    @property
    def version(self) -> int:
        """Of its firmware."""
        return self._gateway.version

    @property
    def phase(self) -> str:
        """What it is doing by itself, as `/status` tells it."""
        return self._gateway.phase

    @property
    def settings(self) -> Settings:
        """Its delays and ways; may be changed."""
        return self._gateway.settings

    @property
    def state(self) -> GatewayState:
        """What it remembers; may be changed."""
        return self._gateway.state

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """Every request so far, in the order of arrival."""
        return self._gateway.requests

    @property
    def overlaps(self) -> int:
        """How many requests arrived while another was being worked on."""
        return self._gateway.overlaps

    def work_share(self) -> float:
        """Return the fraction of the time in which it was at work."""
        return self._gateway.work_share()

    def fail(
        self,
        fault: Fault,
        *,
        on: str | None = None,
        times: int | None = None,
        share: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """See `SimulatedGateway.fail()`."""
        self._do(partial(self._gateway.fail, fault, on=on, times=times, share=share, seconds=seconds))

    def error(
        self,
        code: int,
        *,
        on: str | None = None,
        times: int | None = None,
        share: float | None = None,
        acted: bool = False,
    ) -> None:
        """See `SimulatedGateway.error()`."""
        self._do(partial(self._gateway.error, code, on=on, times=times, share=share, acted=acted))

    def reply_next(
        self, body: object, *, status: int = 200, on: str | None = None, times: int = 1, acted: bool = False
    ) -> None:
        """See `SimulatedGateway.reply_next()`."""
        self._do(partial(self._gateway.reply_next, body, status=status, on=on, times=times, acted=acted))

    def clear_faults(self) -> None:
        """See `SimulatedGateway.clear_faults()`."""
        self._do(self._gateway.clear_faults)

    def start_synchronizing(self, what: str | int = "gw", seconds: float | None = None) -> None:
        """See `SimulatedGateway.start_synchronizing()`."""
        self._do(partial(self._gateway.start_synchronizing, what, seconds))

    def stop_synchronizing(self) -> None:
        """See `SimulatedGateway.stop_synchronizing()`."""
        self._do(self._gateway.stop_synchronizing)

    @contextmanager
    def synchronizing(self, what: str | int = "gw") -> Generator[None, None, None]:
        """See `SimulatedGateway.synchronizing()`."""
        self.start_synchronizing(what)
        try:
            yield
        finally:
            self.stop_synchronizing()

    def turn_bolt(self, identifier: int, turn: Turn) -> None:
        """See `SimulatedGateway.turn_bolt()`."""
        self._do(partial(self._gateway.turn_bolt, identifier, turn))

    def vanish(self, identifier: int) -> None:
        """See `SimulatedGateway.vanish()`."""
        self._do(partial(self._gateway.vanish, identifier))

    def appear(self, locker: int | SimulatedLocker) -> None:
        """See `SimulatedGateway.appear()`."""
        self._do(partial(self._gateway.appear, locker))

    def stop(self) -> None:
        """See `SimulatedGateway.stop()`."""
        self._portal.call(self._gateway.stop)

    def start(self) -> None:
        """See `SimulatedGateway.start()`."""
        self._portal.call(self._gateway.start)

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
                await self._gateway.wait_for_requests(count, on=on)

        self._portal.call(wait)

    def _do(self, function: Callable[[], None]) -> None:
        self._portal.call(function)
