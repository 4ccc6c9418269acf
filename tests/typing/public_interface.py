"""The whole public interface, as type checkers see it. It is checked, not run."""

import math
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, assert_never, assert_type

import httpx

from thekeys_async import (
    AsyncGateway,
    AsyncLocker,
    BridgeConfig,
    CallEnded,
    CommandPolicy,
    CommandResult,
    Config,
    ConfigurationError,
    DoorState,
    Fleet,
    FleetResult,
    GatewayBusyError,
    GatewayConfig,
    GatewayEvent,
    GatewayStatus,
    GatewayTransport,
    GatewayUpdate,
    LockerConfig,
    LockerReading,
    LockerStatus,
    LockerUpdate,
    Observer,
    Outcome,
    Pacing,
    PollEnded,
    RecordedExchange,
    Recorder,
    RequestEnded,
    RequestSent,
    RequestTimeoutError,
    TheKeysError,
    Timestamps,
    Update,
    UpdateKind,
    Updates,
    Waited,
    Watcher,
    battery_percent,
    load_config,
    read_recording,
)
from thekeys_async.coordination import Coordinator


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
    AsyncGateway("h", transport=GatewayTransport())


async def sending(request: httpx.Request) -> None:
    async with GatewayTransport("192.168.0.26") as transport:
        as_httpx: httpx.AsyncBaseTransport = transport
        assert_type(await transport.handle_async_request(request), httpx.Response)
        await httpx.AsyncClient(transport=as_httpx).send(request)
    await transport.aclose()


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
    assert_type(reading.rssi, int | None)
    assert_type(reading.battery_mv, int | None)
    assert_type(reading.last_log, int | None)
    assert_type(battery_percent(reading.battery_mv), int | None)
    assert_type(status.state, DoorState)
    assert_type(status.locked, bool | None)
    assert_type(status.position, int | None)
    assert_type(status.rssi, int | None)
    assert_type(status.battery_mv, int | None)
    assert_type(status.version, int | None)
    assert_type(box.version, int | None)
    assert_type(box.phase, str)
    assert_type(box.synchronizing, bool)
    assert_type(LockerReading.from_dict(reading.as_dict()), LockerReading)
    assert_type(LockerStatus.from_dict(status.as_dict()), LockerStatus)
    assert_type(GatewayStatus.from_dict(box.as_dict()), GatewayStatus)
    assert_type(CommandResult.from_dict(result.as_dict()), CommandResult)
    assert_type(result.timestamp, int | None)
    assert_type(result.attempts, int)
    assert_type(result.duration, float)


def errors(error: TheKeysError, busy: GatewayBusyError, late: RequestTimeoutError) -> TimeoutError:
    assert_type(TheKeysError.from_dict(error.as_dict()), TheKeysError)
    assert_type(error.code, int | None)
    assert_type(error.cause, str | None)
    assert_type(error.may_have_executed, bool)
    assert_type(busy.phase, str | None)
    return late


async def watching(box: AsyncGateway) -> None:
    watcher = box.watch(
        interval=10.0,
        every_poll=True,
        min_rssi_change=3,
        min_battery_change=10,
        lockers={45961123},
        follow_doors=True,
        door_interval=300.0,
        lost_after=3,
        status_interval=60.0,
    )
    assert_type(watcher, Watcher)
    box.read_now(45961123)
    assert_type(await box.automatic_synchronization(enabled=True), CommandResult)
    async with watcher as updates:
        assert_type(updates, Updates)
        as_iterator: AsyncIterator[Update] = updates
        assert_type(await anext(as_iterator), LockerUpdate | GatewayUpdate)
        async for update in updates:
            match update:
                case LockerUpdate():
                    values(update.reading, LockerStatus(DoorState.OPEN), await box.status(), await box.synchronize())
                    assert_type(battery_percent(update.reading.battery_mv), int | None)
                case GatewayUpdate():
                    assert_type(update.reachable, bool)
                case _:
                    assert_never(update)


def updates(news: LockerUpdate, gateway_news: GatewayUpdate) -> None:
    assert_type(LockerUpdate.from_dict(news.as_dict()), LockerUpdate)
    assert_type(GatewayUpdate.from_dict(gateway_news.as_dict()), GatewayUpdate)
    assert_type(news.gateway, str)
    assert_type(news.identifier, int)
    assert_type(news.kind, UpdateKind)
    assert_type(news.previous, LockerReading | None)
    assert_type(news.changed, frozenset[str])
    assert_type(news.status, LockerStatus | None)
    assert_type(news.status_error, TheKeysError | None)
    assert_type(news.at, datetime)
    assert_type(news.missed, int)
    assert_type(gateway_news.gateway, str)
    assert_type(gateway_news.error, TheKeysError | None)
    assert_type(gateway_news.phase, str | None)
    assert_type(gateway_news.phase_since, datetime | None)
    assert_type(gateway_news.version, int | None)
    assert_type(gateway_news.at, datetime)
    match news.kind:
        case UpdateKind.APPEARED | UpdateKind.CHANGED | UpdateKind.UNCHANGED | UpdateKind.LOST:
            return
        case _:
            assert_never(news.kind)


async def observing(hall: AsyncGateway) -> None:
    def see(event: GatewayEvent) -> None:
        assert_type(event.gateway, str)
        assert_type(event.at, datetime)
        match event:
            case Waited():
                assert_type(event.seconds, float)
            case RequestSent():
                assert_type(event.timestamp, int | None)
            case RequestEnded() | CallEnded() | PollEnded():
                assert_type(event.outcome, Outcome)
                assert_type(event.error, TheKeysError | None)
            case _:
                assert_never(event)

    observer: Observer = see
    recorder = Recorder("gateway.jsonl")
    assert_type(list(read_recording(["{}"])), list[RecordedExchange])
    AsyncGateway("192.168.0.26", record=Path("other.jsonl"))
    async with AsyncGateway("192.168.0.26", observer=observer, record=recorder), Fleet({}, record=recorder):
        pass
    async with AsyncGateway("192.168.0.26", observer=observer), Fleet({"hall": hall}, observer=observer):
        await hall.locker(45961123).open(send_within=5)
        await hall.locker(45961123).close(send_within=5, timeout=20)
        await hall.locker(45961123).calibrate(send_within=None)


async def fleet(hall: AsyncGateway) -> None:
    async with Fleet({"hall": hall, "annex": "192.168.0.27"}, timeout=10, max_concurrency=50) as entered:
        assert_type(entered, Fleet)
        as_mapping: Mapping[str, AsyncGateway] = entered
        assert_type(as_mapping["hall"], AsyncGateway)
        assert_type(await entered.lockers(), FleetResult[tuple[LockerReading, ...]])
        assert_type(await entered.status(timeout=5, max_concurrency=2), FleetResult[GatewayStatus])
        result = await entered.each(_firmware)
        assert_type(result, FleetResult[int | None])
        assert_type(result.as_dict(), dict[str, Any])
        assert_type(result.values, Mapping[str, int | None])
        assert_type(result.errors, Mapping[str, Exception])
        assert_type(entered.locker(45961123), AsyncLocker)
        assert_type(entered.watch(interval=5, follow_doors=True), Watcher)
        assert_type(await entered.add("cellar", "192.168.0.28"), AsyncGateway)
        await entered.remove("cellar")
    await Fleet().aclose()
    async with Fleet.from_config() as named:
        assert_type(named, Fleet)
        assert_type(named.locker("front-door"), AsyncLocker)
        assert_type(named.locker_names, Mapping[str, int])
    Fleet.from_config(Path("config.toml"), timeout=10, pacing=Pacing(), timestamps=Timestamps(), max_concurrency=9)


def configuration(error: ConfigurationError) -> TheKeysError:
    config = load_config("config.toml")
    assert_type(load_config(Path("config.toml")), Config)
    assert_type(config.gateways, Mapping[str, GatewayConfig])
    assert_type(config.lockers, Mapping[str, LockerConfig])
    assert_type(config.gateways["hall"].host, str)
    assert_type(config.lockers["front-door"].identifier, int)
    assert_type(config.lockers["front-door"].code, str | None)
    assert_type(config.lockers["front-door"].bridge, bool)
    assert_type(config.state_dir, Path | None)
    assert_type(config.names, Mapping[int, str])
    assert_type(config.share_codes("hall"), dict[int, str])
    assert_type(config.coordinator(), Coordinator | None)
    assert_type(config.bridge, BridgeConfig)
    assert_type(config.bridge.broker, str | None)
    assert_type(config.bridge.commands, CommandPolicy)
    LockerConfig(1, "hall", "code", bridge=False, area="Hall")
    BridgeConfig(broker="mqtt://h", password="secret", interval=5)
    return error


async def _firmware(box: AsyncGateway) -> int | None:
    return (await box.status()).version
