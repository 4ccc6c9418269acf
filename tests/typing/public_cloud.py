"""The public interface of the cloud, as type checkers see it. It is checked, not run."""

from datetime import UTC, date, datetime, time
from typing import assert_type

import httpx

from thekeys_async import DoorState, Fleet
from thekeys_async.cloud import (
    KEEP,
    Account,
    Cloud,
    CloudError,
    Discovered,
    Gateway,
    Locker,
    LockerEvent,
    PersonShare,
    Share,
    ShareRejectedError,
    Wired,
    discover,
    ensure_shares,
)
from thekeys_async.simulator import CloudHandle, GatewayHandle, SimulatedCloud, SimulatedGateway, SimulatedHome


async def cloud(client: httpx.AsyncClient) -> None:
    async with Cloud("+33612345678", "password", client=client, timeout=None, country="FR") as entered:
        assert_type(entered, Cloud)
        assert_type(await entered.account(), Account)
        (locker,) = assert_type(await entered.lockers(), tuple[Locker, ...])
        (gateway,) = assert_type(await entered.gateways(), tuple[Gateway, ...])
        assert_type(await entered.shares(locker), tuple[Share, ...])
        share = await entered.ensure_share(locker, gateway, name="hall")
        guest = await entered.create_share(
            locker, locker.accessories[0], name="Ada", starts=datetime.now(UTC), ends=date(2030, 8, 8), share_code="1"
        )
        assert_type(await entered.update_share(guest, starts=time(8), ends=None, name=KEEP, active=False), Share)
        assert_type(await entered.switch_share(share, active=False), Share)
        assert_type(share.notification_enabled, bool | None)
        person = assert_type(await entered.share_with("+33611111111", locker, name="Ada"), PersonShare)
        assert_type(await entered.people(locker), tuple[PersonShare, ...])
        assert_type(await entered.switch_share(person, active=True), PersonShare)
        assert_type(await entered.update_person_share(person, description="cleans"), PersonShare)
        assert_type(locker.state, DoorState | None)
        assert_type(locker.state_at, datetime | None)
        assert_type(locker.events, tuple[LockerEvent, ...])
        await entered.reboot(gateway)
        await entered.reboot(gateway.id)
        await entered.delete_share(share)
        await entered.delete_share(guest.id)
        found = assert_type(await discover(entered, allow_public=True), tuple[Discovered, ...])
        assert_type(await ensure_shares(entered, found, share_name="hall"), tuple[Wired, ...])
        assert_type(share.usable(datetime.now(UTC)), bool)


async def fleet(entered: Cloud) -> None:
    assert_type(await Fleet.from_cloud(entered, share_name="hall"), Fleet)
    async with Fleet.from_cloud(entered, share_name="hall") as opened:
        assert_type(opened, Fleet)


async def simulated(gateway: SimulatedGateway, home: SimulatedHome) -> None:
    async with SimulatedCloud([gateway]) as entered:
        assert_type(entered.url, str)
    assert_type(home.cloud, CloudHandle)
    assert_type(home.gateway, GatewayHandle)


def errors(error: CloudError) -> None:
    assert_type(error.may_have_executed, bool)
    if isinstance(error, ShareRejectedError):
        assert_type(error.messages, tuple[str, ...])


def recorded(lines: list[str]) -> None:
    assert_type(SimulatedGateway.from_recording("gateway.jsonl"), SimulatedGateway)
    assert_type(SimulatedGateway.from_recording(lines, gateway="gateway-1", share_codes={1: "x"}), SimulatedGateway)
    assert_type(SimulatedGateway().state.automatic_synchronization, bool)
