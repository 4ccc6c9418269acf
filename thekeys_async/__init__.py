"""An async client (asyncio and trio) for The Keys smart-lock gateways.

`AsyncGateway` is where to begin.
"""

from typing import TYPE_CHECKING

from thekeys_async._lazy import SOURCELESS, public_names
from thekeys_async.protocol.errors import (
    CoordinationError as CoordinationError,
    FirmwareUnavailableError as FirmwareUnavailableError,
    GatewayBusyError as GatewayBusyError,
    GatewayClockError as GatewayClockError,
    GatewayClosedError as GatewayClosedError,
    GatewayRefusedError as GatewayRefusedError,
    GatewayUnreachableError as GatewayUnreachableError,
    InvalidFirmwareError as InvalidFirmwareError,
    InvalidHmacError as InvalidHmacError,
    InvalidKeyError as InvalidKeyError,
    InvalidSynchronizationDataError as InvalidSynchronizationDataError,
    LockerFaultError as LockerFaultError,
    LockerIncompatibleError as LockerIncompatibleError,
    LockerNotDetectedError as LockerNotDetectedError,
    MissingParameterError as MissingParameterError,
    MissingShareCodeError as MissingShareCodeError,
    NotSharedError as NotSharedError,
    OutcomeUnknownError as OutcomeUnknownError,
    ProtocolError as ProtocolError,
    RequestTimeoutError as RequestTimeoutError,
    TheKeysError as TheKeysError,
)
from thekeys_async.protocol.models import (
    CommandResult as CommandResult,
    DoorState as DoorState,
    GatewayStatus as GatewayStatus,
    LockerReading as LockerReading,
    LockerStatus as LockerStatus,
    battery_percent as battery_percent,
)

if TYPE_CHECKING or SOURCELESS:
    from thekeys_async.calls.budgets import DEFAULT as DEFAULT, Default as Default
    from thekeys_async.calls.observing import (
        CallEnded as CallEnded,
        GatewayEvent as GatewayEvent,
        Observer as Observer,
        Outcome as Outcome,
        PollEnded as PollEnded,
        RequestEnded as RequestEnded,
        RequestSent as RequestSent,
        Waited as Waited,
    )
    from thekeys_async.calls.recorder import Recorder as Recorder
    from thekeys_async.cloud.errors import (
        AuthenticationError as AuthenticationError,
        CloudError as CloudError,
        CloudProtocolError as CloudProtocolError,
        CloudUnreachableError as CloudUnreachableError,
        NotFoundError as NotFoundError,
        ShareRejectedError as ShareRejectedError,
    )
    from thekeys_async.config.errors import ConfigurationError as ConfigurationError
    from thekeys_async.config.file import load_config as load_config
    from thekeys_async.config.values import (
        BridgeConfig as BridgeConfig,
        CommandPolicy as CommandPolicy,
        Config as Config,
        GatewayConfig as GatewayConfig,
        LockerConfig as LockerConfig,
    )
    from thekeys_async.fleets.asking import FleetResult as FleetResult
    from thekeys_async.fleets.fleet import Fleet as Fleet
    from thekeys_async.gateway import AsyncGateway as AsyncGateway
    from thekeys_async.locker import AsyncLocker as AsyncLocker
    from thekeys_async.protocol.recording import RecordedExchange as RecordedExchange, read_recording as read_recording
    from thekeys_async.streams.updates import (
        GatewayUpdate as GatewayUpdate,
        LockerUpdate as LockerUpdate,
        Update as Update,
        UpdateKind as UpdateKind,
    )
    from thekeys_async.streams.watcher import Updates as Updates, Watcher as Watcher
    from thekeys_async.transport.gateway_transport import GatewayTransport as GatewayTransport
    from thekeys_async.turns.pacing import Pacing as Pacing
    from thekeys_async.turns.timestamps import Timestamps as Timestamps

if not (TYPE_CHECKING or SOURCELESS):  # type checkers would take every name for one that exists
    __all__, __getattr__, __dir__ = public_names(__name__)
