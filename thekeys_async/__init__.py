"""An async client (asyncio and trio) for The Keys smart-lock gateways.

`AsyncGateway` is where to begin.
"""

from thekeys_async.budgets import DEFAULT, Default
from thekeys_async.gateway import AsyncGateway
from thekeys_async.locker import AsyncLocker
from thekeys_async.protocol.errors import (
    CoordinationError,
    FirmwareUnavailableError,
    GatewayBusyError,
    GatewayClockError,
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
from thekeys_async.timestamps import Timestamps
from thekeys_async.turns import Pacing

__all__ = [
    "DEFAULT",
    "AsyncGateway",
    "AsyncLocker",
    "CommandResult",
    "CoordinationError",
    "Default",
    "DoorState",
    "FirmwareUnavailableError",
    "GatewayBusyError",
    "GatewayClockError",
    "GatewayRefusedError",
    "GatewayStatus",
    "GatewayUnreachableError",
    "InvalidFirmwareError",
    "InvalidHmacError",
    "InvalidKeyError",
    "InvalidSynchronizationDataError",
    "LockerFaultError",
    "LockerIncompatibleError",
    "LockerNotDetectedError",
    "LockerReading",
    "LockerStatus",
    "MissingParameterError",
    "MissingShareCodeError",
    "NotSharedError",
    "OutcomeUnknownError",
    "Pacing",
    "ProtocolError",
    "RequestTimeoutError",
    "TheKeysError",
    "Timestamps",
    "battery_percent",
]
