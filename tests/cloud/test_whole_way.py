"""The whole way over real sockets: log in, share, synchronise, open, watch, revoke, refused."""

import logging
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from thekeys_async import (
    AsyncGateway,
    DoorState,
    Fleet,
    InvalidKeyError,
    LockerUpdate,
    MissingShareCodeError,
    NotSharedError,
    Pacing,
    Timestamps,
)
from thekeys_async.cloud import AuthenticationError, CloudError, discover, ensure_shares
from thekeys_async.simulator import Bolt, SimulatedCloud, SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

FAST = {"pacing": Pacing(0, 0), "timestamps": Timestamps(max_lead=60)}
EVER = {"seen_within": timedelta(days=36500)}  # the home's clock is not the one on the wall


async def wired_up(cloud):
    return await ensure_shares(cloud, await discover(cloud, **EVER), share_name="home")


async def seen(updates, state):
    """Wait until a door is in that state."""
    async for update in updates:
        if isinstance(update, LockerUpdate) and update.status and update.status.state is state:
            return update
    raise AssertionError("the stream ended")


async def test_from_a_phone_number_to_an_open_door_and_back(home, caplog):
    caplog.set_level(logging.DEBUG)
    async with home.cloud() as cloud:
        assert (await cloud.account()).username == "+33612345678"
        front = next(each for each in await wired_up(cloud) if each.locker.identifier == home.front)
        codes = {front.locker.identifier: front.share.code}
        async with AsyncGateway(front.gateway.address, share_codes=codes, **FAST) as gateway:
            door = gateway.locker(home.front)
            with pytest.raises(NotSharedError) as early:
                await door.open()
            assert (early.value.code, early.value.may_have_executed) == (32, False)

            await gateway.synchronize()
            async with gateway.watch(0.05, lockers={home.front}, follow_doors=True) as updates:
                assert (await seen(updates, DoorState.CLOSED)).identifier == home.front
                await door.open()
                assert "status" in (await seen(updates, DoorState.OPEN)).changed
            assert home.gateway.lockers[home.front].state is Bolt.OPEN

            await cloud.delete_share(front.share)
            await door.close()
            await gateway.synchronize()
            with pytest.raises(NotSharedError):
                await door.open()
    assert home.gateway.lockers[home.front].state is Bolt.CLOSED
    assert home.gateway.overlaps == 0
    assert home.server.logins == 1
    secrets = {home.password, front.share.code, *home.server._tables._tokens}
    told = [record.getMessage() for record in caplog.records]
    assert told
    assert not [line for line in told for secret in secrets if secret in line]


async def test_a_locker_that_is_not_synchronised_refuses_its_key_until_it_is(home):
    home.gateway.lockers[home.front].synchronized = False
    async with home.cloud() as cloud, await Fleet.from_cloud(cloud, share_name="home", **EVER, **FAST) as fleet:
        (gateway,) = fleet.values()
        door = gateway.locker(home.front)
        await gateway.synchronize()
        with pytest.raises(InvalidKeyError):
            await door.open()
        await door.synchronize()
        await door.open()


async def test_a_fleet_of_an_account_is_ready_to_open(home):
    annex = SimulatedGateway([SimulatedLocker(3), SimulatedLocker(home.front)], light=0, bluetooth=0, synchronization=0)
    async with annex:
        home.server.add_gateway(annex, name="Annex")
        async with (
            home.cloud() as cloud,
            Fleet.from_cloud(cloud, share_name="home", **EVER, **FAST) as fleet,
        ):
            assert set(fleet) == {"Gateway 1", "Annex"}
            await fleet.each(lambda gateway: gateway.synchronize())
            for identifier in (home.front, home.back, 3):
                await fleet.locker(identifier).open()
        assert annex.lockers[3].state is Bolt.OPEN
        assert home.gateway.lockers[home.back].state is Bolt.OPEN
    shares = [(share.locker, share.accessory.name, share.name) for share in home.server.shares]
    assert sorted(shares) == [
        (3, "Annex", "home"),
        (home.front, "Annex", "home"),
        (home.front, "Gateway 1", "home"),
        (home.back, "Gateway 1", "home"),
    ]
    with pytest.raises(RuntimeError):
        await fleet["Annex"].lockers()


async def test_made_again_it_has_the_same_shares_and_awaited_it_is_not_open(home):
    async with home.cloud() as cloud:
        for _ in range(2):
            fleet = await Fleet.from_cloud(cloud, share_name="home", **EVER, **FAST)
            async with fleet:
                assert list(fleet) == ["Gateway 1"]
    assert len(home.server.shares) == 2


async def test_gateways_of_one_name_are_told_apart(home, open_home):
    async with open_home() as other:
        home.server.add_gateway(other.gateway, identifier="B", name="Gateway 1")
        home.server.add_gateway(SimulatedGateway(), identifier="C", name="far away")
        async with home.cloud() as cloud:
            fleet = await Fleet.from_cloud(cloud, share_name="home", **EVER, **FAST)
    assert set(fleet) == {"Gateway 1 TK-GW-1", "Gateway 1 B"}


async def test_a_share_that_was_switched_off_stays_so_and_its_locker_has_no_code(home, caplog):
    async with home.cloud() as cloud:
        await wired_up(cloud)
        for share in home.server.shares:
            share.active = share.locker != home.front
        async with Fleet.from_cloud(cloud, share_name="home", **EVER, **FAST) as fleet:
            await fleet["Gateway 1"].synchronize()
            await fleet.locker(home.back).open()
            with pytest.raises(MissingShareCodeError):
                await fleet.locker(home.front).open()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert str(home.front) in warning.getMessage()
    assert [share.active for share in home.server.shares if share.locker == home.front] == [False]


async def test_only_gateways_that_reported_lately_are_in_it(home):
    home.server.accessories["TK-GW-1"].reports = False
    async with home.cloud() as cloud, Fleet.from_cloud(cloud, share_name="home", **EVER) as fleet:
        assert not fleet
    assert not home.server.shares


async def test_what_goes_wrong_comes_out_as_itself(home):
    async with home.cloud(password="wrong") as cloud:
        with pytest.raises(AuthenticationError):
            await Fleet.from_cloud(cloud, share_name="home")
    async with home.cloud() as cloud:
        home.server.reply_next({"status": 200, "data": 7}, on="create", times=9)
        with pytest.raises(CloudError):
            async with Fleet.from_cloud(cloud, share_name="home", **EVER):
                pytest.fail("there is no code")
        with pytest.raises(ValueError, match="name"):
            await Fleet.from_cloud(cloud, share_name="", **EVER)


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        (["hall", "annex", ""], ["hall", "annex", "TK-3"]),
        (["hall", "hall", "annex"], ["hall TK-1", "hall TK-2", "annex"]),
        (["hall", "hall", "hall TK-1"], ["hall TK-1 TK-1", "hall TK-2", "hall TK-1"]),
        (["", "TK-1", "TK-1 TK-1"], ["TK-1 TK-1 TK-1", "TK-1", "TK-1 TK-1"]),
    ],
)
async def test_no_gateway_takes_the_name_of_another(home, called, expected):
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SimulatedCloud(password=home.password, clock=home.clock.read))
        for number, name in enumerate(called, 1):
            gateway = SimulatedGateway([SimulatedLocker(7000 + number)], light=0, bluetooth=0)
            server.add_gateway(await stack.enter_async_context(gateway), identifier=f"TK-{number}").name = name
        cloud = await stack.enter_async_context(home.cloud(base_url=server.url))
        async with Fleet.from_cloud(cloud, share_name="home", **EVER) as fleet:
            assert set(fleet) == set(expected)
            lockers = (await fleet.lockers()).values
    assert [lockers[name][0].identifier for name in expected] == [7001, 7002, 7003]
