"""A gateway and a cloud to test against: real HTTP servers on loopback that behave as the real ones do."""

from typing import TYPE_CHECKING

from thekeys_async._lazy import SOURCELESS, public_names

if TYPE_CHECKING or SOURCELESS:
    from thekeys_async.simulator.cloud.cloud import CloudRequest as CloudRequest, SimulatedCloud as SimulatedCloud
    from thekeys_async.simulator.cloud.tables import (
        CloudAccessory as CloudAccessory,
        CloudPersonShare as CloudPersonShare,
        CloudShare as CloudShare,
    )
    from thekeys_async.simulator.faults import Fault as Fault
    from thekeys_async.simulator.gateway import SimulatedGateway as SimulatedGateway
    from thekeys_async.simulator.handles import (
        CloudHandle as CloudHandle,
        GatewayHandle as GatewayHandle,
        SimulatedHome as SimulatedHome,
    )
    from thekeys_async.simulator.locker import Bolt as Bolt, BoltEvent as BoltEvent, SimulatedLocker as SimulatedLocker
    from thekeys_async.simulator.replies import ReplyStyle as ReplyStyle
    from thekeys_async.simulator.request_log import RequestRecord as RequestRecord
    from thekeys_async.simulator.service import Settings as Settings
    from thekeys_async.simulator.state import GatewayState as GatewayState

if not (TYPE_CHECKING or SOURCELESS):  # type checkers would take every name for one that exists
    __all__, __getattr__, __dir__ = public_names(__name__)
