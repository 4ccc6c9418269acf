"""An async client (asyncio and trio) for The Keys smart-lock gateways.

`AsyncGateway` is where to begin.
"""

from typing import TYPE_CHECKING

from thekeys_async._lazy import loader
from thekeys_async.protocol.errors import (
    CoordinationError,
    FirmwareUnavailableError,
    GatewayBusyError,
    GatewayClockError,
    GatewayClosedError,
    GatewayRefusedError,
    GatewayUnreachableError,
    InvalidFirmwareError,
    InvalidHmacError,
    InvalidKeyError,
    InvalidSynchronizationDataError,
    LockerFaultError,
    LockerIncompatibleError,
    LockerNotDetectedError,
    MissingParameterError,
    MissingShareCodeError,
    NotSharedError,
    OutcomeUnknownError,
    ProtocolError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.protocol.models import (
    CommandResult,
    DoorState,
    GatewayStatus,
    LockerReading,
    LockerStatus,
    battery_percent,
)

if TYPE_CHECKING:
    from thekeys_async.calls.budgets import DEFAULT, Default
    from thekeys_async.calls.observing import (
        CallEnded,
        GatewayEvent,
        Observer,
        Outcome,
        PollEnded,
        RequestEnded,
        RequestSent,
        Waited,
    )
    from thekeys_async.calls.recorder import Recorder
    from thekeys_async.cloud.errors import (
        AuthenticationError,
        CloudError,
        CloudProtocolError,
        CloudUnreachableError,
        NotFoundError,
        ShareRejectedError,
    )
    from thekeys_async.config.errors import ConfigurationError
    from thekeys_async.config.file import load_config
    from thekeys_async.config.values import BridgeConfig, CommandPolicy, Config, GatewayConfig, LockerConfig
    from thekeys_async.fleets.asking import FleetResult
    from thekeys_async.fleets.fleet import Fleet
    from thekeys_async.gateway import AsyncGateway
    from thekeys_async.locker import AsyncLocker
    from thekeys_async.protocol.recording import RecordedExchange, read_recording
    from thekeys_async.streams.updates import GatewayUpdate, LockerUpdate, Update, UpdateKind
    from thekeys_async.streams.watcher import Updates, Watcher
    from thekeys_async.transport.gateway_transport import GatewayTransport
    from thekeys_async.turns.queue import Pacing
    from thekeys_async.turns.timestamps import Timestamps

__all__ = [
    "DEFAULT",
    "AsyncGateway",
    "AsyncLocker",
    "AuthenticationError",
    "BridgeConfig",
    "CallEnded",
    "CloudError",
    "CloudProtocolError",
    "CloudUnreachableError",
    "CommandPolicy",
    "CommandResult",
    "Config",
    "ConfigurationError",
    "CoordinationError",
    "Default",
    "DoorState",
    "FirmwareUnavailableError",
    "Fleet",
    "FleetResult",
    "GatewayBusyError",
    "GatewayClockError",
    "GatewayClosedError",
    "GatewayConfig",
    "GatewayEvent",
    "GatewayRefusedError",
    "GatewayStatus",
    "GatewayTransport",
    "GatewayUnreachableError",
    "GatewayUpdate",
    "InvalidFirmwareError",
    "InvalidHmacError",
    "InvalidKeyError",
    "InvalidSynchronizationDataError",
    "LockerConfig",
    "LockerFaultError",
    "LockerIncompatibleError",
    "LockerNotDetectedError",
    "LockerReading",
    "LockerStatus",
    "LockerUpdate",
    "MissingParameterError",
    "MissingShareCodeError",
    "NotFoundError",
    "NotSharedError",
    "Observer",
    "Outcome",
    "OutcomeUnknownError",
    "Pacing",
    "PollEnded",
    "ProtocolError",
    "RecordedExchange",
    "Recorder",
    "RequestEnded",
    "RequestSent",
    "RequestTimeoutError",
    "ShareRejectedError",
    "TheKeysError",
    "Timestamps",
    "Update",
    "UpdateKind",
    "Updates",
    "Waited",
    "Watcher",
    "battery_percent",
    "load_config",
    "read_recording",
]

# Values and errors are here at once; the rest is loaded when it is first asked for.
_HOMES = {
    "DEFAULT": "calls.budgets",
    "AsyncGateway": "gateway",
    "AsyncLocker": "locker",
    "AuthenticationError": "cloud.errors",
    "BridgeConfig": "config.values",
    "CloudError": "cloud.errors",
    "CloudProtocolError": "cloud.errors",
    "CloudUnreachableError": "cloud.errors",
    "CommandPolicy": "config.values",
    "Config": "config.values",
    "ConfigurationError": "config.errors",
    "CallEnded": "calls.observing",
    "GatewayEvent": "calls.observing",
    "Observer": "calls.observing",
    "Outcome": "calls.observing",
    "PollEnded": "calls.observing",
    "RecordedExchange": "protocol.recording",
    "Recorder": "calls.recorder",
    "RequestEnded": "calls.observing",
    "RequestSent": "calls.observing",
    "Waited": "calls.observing",
    "Default": "calls.budgets",
    "Fleet": "fleets.fleet",
    "FleetResult": "fleets.asking",
    "GatewayConfig": "config.values",
    "GatewayTransport": "transport.gateway_transport",
    "GatewayUpdate": "streams.updates",
    "LockerConfig": "config.values",
    "LockerUpdate": "streams.updates",
    "NotFoundError": "cloud.errors",
    "Pacing": "turns.queue",
    "ShareRejectedError": "cloud.errors",
    "Timestamps": "turns.timestamps",
    "Update": "streams.updates",
    "UpdateKind": "streams.updates",
    "Updates": "streams.watcher",
    "Watcher": "streams.watcher",
    "read_recording": "protocol.recording",
    "load_config": "config.file",
}

if not TYPE_CHECKING:  # type checkers would take every name for one that exists
    __getattr__ = loader(__name__, _HOMES)
