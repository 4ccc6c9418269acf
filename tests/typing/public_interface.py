"""The whole public interface, as type checkers see it. It is checked, not run."""

import math
from collections.abc import Mapping
from typing import assert_type

import httpx

from thekeys_async import (
    AsyncGateway,
    AsyncLocker,
    CommandResult,
    DoorState,
    GatewayBusyError,
    GatewayStatus,
    LockerReading,
    LockerStatus,
    Pacing,
    RequestTimeoutError,
    TheKeysError,
    Timestamps,
    battery_percent,
)


async def gateway(codes: Mapping[int, str], client: httpx.AsyncClient, transport: httpx.AsyncBaseTransport) -> None:
    async with AsyncGateway("192.168.0.26", share_codes=codes) as entered:
        assert_type(entered, AsyncGateway)
        assert_type(await entered.lockers(), tuple[LockerReading, ...])
        assert_type(await entered.status(timeout=None), GatewayStatus)
        assert_type(await entered.synchronize(timeout=600), CommandResult)
        assert_type(await entered.update_firmware(), CommandResult)
        assert_type(entered.name, str)
        assert_type(entered.locker(45961123), AsyncLocker)
    other = AsyncGateway(
        "192.168.0.27:8080",
        name="annex",
        share_codes={1: "code"},
        timeout=None,
        pacing=Pacing(light=0.5, bluetooth=1),
        timestamps=Timestamps(offset=-10, max_lead=math.inf),
        coordinator=None,
        client=client,
        key="annex",
        recover_clock=False,
    )
    await other.aclose()
    AsyncGateway("h", transport=transport)


async def locker(door: AsyncLocker) -> None:
    assert_type(door.identifier, int)
    assert_type(await door.open(timeout=5), CommandResult)
    assert_type(await door.close(), CommandResult)
    assert_type(await door.calibrate(timeout=None), CommandResult)
    assert_type(await door.status(), LockerStatus)
    assert_type(await door.wait_for(DoorState.OPEN, timeout=20), LockerStatus)
    assert_type(await door.synchronize(), CommandResult)
    assert_type(await door.update_firmware(timeout=600), CommandResult)


def values(reading: LockerReading, status: LockerStatus, box: GatewayStatus, result: CommandResult) -> None:
    assert_type(reading.identifier, int)
    assert_type(reading.rssi, int)
    assert_type(reading.battery_mv, int)
    assert_type(reading.last_log, int | None)
    assert_type(battery_percent(reading.battery_mv), int)
    assert_type(status.state, DoorState)
    assert_type(status.locked, bool | None)
    assert_type(status.position, int | None)
    assert_type(status.rssi, int | None)
    assert_type(status.battery_mv, int | None)
    assert_type(status.version, int | None)
    assert_type(box.version, int | None)
    assert_type(box.phase, str)
    assert_type(box.synchronizing, bool)
    assert_type(result.timestamp, int | None)
    assert_type(result.attempts, int)
    assert_type(result.duration, float)


def errors(error: TheKeysError, busy: GatewayBusyError, late: RequestTimeoutError) -> TimeoutError:
    assert_type(error.code, int | None)
    assert_type(error.cause, str | None)
    assert_type(error.may_have_executed, bool)
    assert_type(busy.phase, str | None)
    return late
