"""A gateway and a cloud to test against: real HTTP servers on loopback that behave as the real ones do."""

from typing import TYPE_CHECKING

from thekeys_async._lazy import loader

if TYPE_CHECKING:
    from thekeys_async.simulator.cloud.cloud import CloudRequest, SimulatedCloud
    from thekeys_async.simulator.cloud.tables import CloudAccessory, CloudPersonShare, CloudShare
    from thekeys_async.simulator.faults import Fault
    from thekeys_async.simulator.gateway import SimulatedGateway
    from thekeys_async.simulator.handles import CloudHandle, GatewayHandle, SimulatedHome
    from thekeys_async.simulator.locker import Bolt, BoltEvent, SimulatedLocker
    from thekeys_async.simulator.replies import ReplyStyle
    from thekeys_async.simulator.request_log import RequestRecord
    from thekeys_async.simulator.service import Settings
    from thekeys_async.simulator.state import GatewayState

__all__ = [
    "Bolt",
    "BoltEvent",
    "CloudAccessory",
    "CloudHandle",
    "CloudPersonShare",
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
    "CloudAccessory": "cloud.tables",
    "CloudHandle": "handles",
    "CloudPersonShare": "cloud.tables",
    "CloudRequest": "cloud.cloud",
    "CloudShare": "cloud.tables",
    "Fault": "faults",
    "GatewayHandle": "handles",
    "GatewayState": "state",
    "ReplyStyle": "replies",
    "RequestRecord": "request_log",
    "Settings": "service",
    "SimulatedCloud": "cloud.cloud",
    "SimulatedGateway": "gateway",
    "SimulatedHome": "handles",
    "SimulatedLocker": "locker",
}

if not TYPE_CHECKING:  # type checkers would take every name for one that exists
    __getattr__ = loader(__name__, _HOMES)
