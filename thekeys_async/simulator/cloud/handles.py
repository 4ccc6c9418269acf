"""A simulated cloud that runs on a thread of its own, and the home that it makes with a gateway."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import attrs
from anyio.from_thread import BlockingPortal

from thekeys_async.simulator.cloud.cloud import CloudRequest, SimulatedCloud
from thekeys_async.simulator.cloud.service import CloudSettings
from thekeys_async.simulator.cloud.tables import KEYPAD, CloudAccessory, CloudPersonShare, CloudShare
from thekeys_async.simulator.faults import Fault
from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.handles import GatewayHandle

_T = TypeVar("_T")


class CloudHandle:
    """What `SimulatedCloud` offers, for any thread but its own: no await, the same names and arguments.

    Args:
        cloud: Entered, in the event loop of the portal.
        portal: The way into that loop.
    """

    def __init__(self, cloud: SimulatedCloud, portal: BlockingPortal) -> None:
        self._cloud = cloud
        self._portal = portal

    @property
    def url(self) -> str:
        """Where it is, for `base_url=` of a client."""
        return self._cloud.url

    @property
    def username(self) -> str:
        """The account's phone number."""
        return self._cloud.username

    @property
    def password(self) -> str:
        """The account's password."""
        return self._cloud.password

    @property
    def settings(self) -> CloudSettings:
        """Its ways; may be changed."""
        return self._cloud.settings

    @property
    def requests(self) -> tuple[CloudRequest, ...]:
        """Every web call so far, in the order of arrival."""
        return tuple(self._cloud.requests)

    @property
    def accessories(self) -> dict[str, CloudAccessory]:
        """The accessories, by identifier; how they report may be changed."""
        return self._cloud.accessories

    @property
    def names(self) -> dict[int, str]:
        """What the owner calls the lockers, by identifier; may be changed."""
        return self._cloud.names

    @property
    def shares(self) -> tuple[CloudShare, ...]:
        """All shares with accessories."""
        return self._cloud.shares

    @property
    def people(self) -> tuple[CloudPersonShare, ...]:
        """All shares with people; whether each has accepted may be changed."""
        return self._cloud.people

    @property
    def logins(self) -> int:
        """How many log-ins were tried."""
        return self._cloud.logins

    def add_gateway(
        self, gateway: SimulatedGateway | GatewayHandle, *, identifier: str | None = None, name: str | None = None
    ) -> CloudAccessory:
        """See `SimulatedCloud.add_gateway()`; takes what `simulated_gateway_factory` makes, too."""
        linked = gateway.gateway if isinstance(gateway, GatewayHandle) else gateway
        return self._do(partial(self._cloud.add_gateway, linked, identifier=identifier, name=name))

    def add_keypad(
        self, *lockers: int, identifier: str | None = None, name: str = "Keypad", kind: int = KEYPAD
    ) -> CloudAccessory:
        """See `SimulatedCloud.add_keypad()`."""
        return self._do(partial(self._cloud.add_keypad, *lockers, identifier=identifier, name=name, kind=kind))

    def expire_tokens(self) -> None:
        """See `SimulatedCloud.expire_tokens()`."""
        self._do(self._cloud.expire_tokens)

    def fail(self, fault: Fault, *, on: str | None = None, times: int = 1) -> None:
        """See `SimulatedCloud.fail()`."""
        self._do(partial(self._cloud.fail, fault, on=on, times=times))

    def reply_next(
        self, body: object, *, status: int = 200, on: str | None = None, times: int = 1, acted: bool = False
    ) -> None:
        """See `SimulatedCloud.reply_next()`."""
        self._do(partial(self._cloud.reply_next, body, status=status, on=on, times=times, acted=acted))

    def wait_for_requests(self, count: int, *, on: str | None = None, timeout: float = 10.0) -> None:
        """Wait until so many web calls have arrived since it was made; for synchronous tests.

        Args:
            count: How many.
            on: Count only those that are called so.
            timeout: How many seconds to wait at most.

        Raises:
            TimeoutError: They did not come.
        """

        async def wait() -> None:
            with anyio.fail_after(timeout):
                await self._cloud.wait_for_requests(count, on=on)

        self._portal.call(wait)

    def _do(self, function: Callable[[], _T]) -> _T:
        return self._portal.call(function)


@attrs.frozen
class SimulatedHome:
    """An account at a simulated cloud, and the gateway that is linked with it.

    Attributes:
        cloud: The cloud.
        gateway: The gateway; a share works at it after its next synchronisation.
    """

    cloud: CloudHandle
    gateway: GatewayHandle
