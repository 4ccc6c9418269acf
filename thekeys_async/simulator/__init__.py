"""A gateway to test against: a real HTTP server on loopback that behaves as the hardware does."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    "Fault",
    "GatewayHandle",
    "GatewayState",
    "ReplyStyle",
    "RequestRecord",
    "Settings",
    "SimulatedGateway",
    "SimulatedLocker",
]

_HOMES = {
    "Bolt": "locker",
    "BoltEvent": "locker",
    "Fault": "faults",
    "GatewayHandle": "handle",
    "GatewayState": "state",
    "ReplyStyle": "replies",
    "RequestRecord": "record",
    "Settings": "service",
    "SimulatedGateway": "gateway",
    "SimulatedLocker": "locker",
}


def __getattr__(name: str) -> object:
    """Import on first use: pytest loads our plugin, and so this package, in every run of everybody who has us."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
