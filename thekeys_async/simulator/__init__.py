"""A gateway and a cloud to test against: real HTTP servers on loopback that behave as the real ones do."""

from typing import TYPE_CHECKING

from thekeys_async.on_demand import loader

if TYPE_CHECKING:
    from thekeys_async.simulator.cloud import CloudRequest, SimulatedCloud
    from thekeys_async.simulator.cloud_handle import CloudHandle, SimulatedHome
    from thekeys_async.simulator.cloud_tables import CloudAccessory, CloudShare
    from thekeys_async.simulator.faults import Fault
    from thekeys_async.simulator.gateway import SimulatedGateway
    from thekeys_async.simulator.handle import GatewayHandle
    from thekeys_async.simulator.locker import Bolt, BoltEvent, SimulatedLocker
    from thekeys_async.simulator.record import RequestRecord
    from thekeys_async.simulator.replies import ReplyStyle
    from thekeys_async.simulator.service import Settings
    from thekeys_async.simulator.state import GatewayState

__all__ = [
    "Bolt",
    "BoltEvent",
    "CloudAccessory",
    "CloudHandle",
    "CloudRequest",
    "CloudShare",
    "Fault",
    "GatewayHandle",
    "GatewayState",
    "ReplyStyle",
    "RequestRecord",
    "Settings",
    "SimulatedCloud",
    "SimulatedGateway",
    "SimulatedHome",
    "SimulatedLocker",
]

_HOMES = {
    "Bolt": "locker",
    "BoltEvent": "locker",
    "CloudAccessory": "cloud_tables",
    "CloudHandle": "cloud_handle",
    "CloudRequest": "cloud",
    "CloudShare": "cloud_tables",
    "Fault": "faults",
    "GatewayHandle": "handle",
    "GatewayState": "state",
    "ReplyStyle": "replies",
    "RequestRecord": "record",
    "Settings": "service",
    "SimulatedCloud": "cloud",
    "SimulatedGateway": "gateway",
    "SimulatedHome": "cloud_handle",
    "SimulatedLocker": "locker",
}

if not TYPE_CHECKING:  # type checkers would take every name for one that exists
    __getattr__ = loader(__name__, _HOMES)
