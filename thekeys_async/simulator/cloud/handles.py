"""A simulated cloud that runs on a thread of its own, and the home that it makes with a gateway."""

from functools import partial

import attrs
from anyio.from_thread import BlockingPortal

from thekeys_async.simulator.cloud.cloud import CloudRequest, SimulatedCloud
from thekeys_async.simulator.cloud.tables import CloudAccessory
from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.handles import GatewayHandle, Handle


class CloudHandle(Handle[SimulatedCloud]):
    """What `SimulatedCloud` offers, for any thread but its own: no await, the same names and arguments.

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
