"""The simulated cloud and the simulated gateway together: what a share does at the door, and when."""

import base64
import hashlib
import hmac
from datetime import date, datetime, timedelta

import httpx
import pytest

from thekeys_async.simulator.faults import Fault

pytestmark = pytest.mark.anyio

NOT_SHARED, WRONG_HASH, KEY_REFUSED, DONE = 32, 33, 36, 0


class Door:
    """Someone at the gateway with a share code, who does not use our client."""

    def __init__(self, gateway, identifier):
        self._gateway = gateway
        self._identifier = identifier
        self._timestamp = 1_700_000_000

    async def post(self, path, **fields):
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{self._gateway.url}{path}", data={"identifier": self._identifier, **fields})
        return answer.json()["code"]

    async def open(self, code):
        self._timestamp += 1
        digest = hmac.new(code.encode(), str(self._timestamp).encode(), hashlib.sha256).digest()
        return await self.post("/open", ts=self._timestamp, hash=base64.b64encode(digest).decode())

    async def synchronize_gateway(self):
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"{self._gateway.url}/synchronize")

    async def synchronize_locker(self):
        assert await self.post("/locker/synchronize") == DONE


@pytest.fixture
def door(home):
    return Door(home.gateway, home.front)


async def test_a_share_opens_after_the_next_synchronisation_and_not_before(home, pair, door):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.ensure_share(locker, gateway, name="hall")
        assert await door.open(share.code) == NOT_SHARED
        await door.synchronize_gateway()
        assert await door.open(share.code) == DONE
        assert await door.open("another") == WRONG_HASH
        await cloud.delete_share(share)
        assert await door.open(share.code) == DONE, "the gateway has not heard of it yet"
        await door.synchronize_gateway()
        assert await door.open(share.code) == NOT_SHARED
    assert home.gateway.lockers[home.front].opened_count == 2


async def test_a_lockers_own_synchronisation_brings_its_shares_too(home, pair, door):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.ensure_share(locker, gateway, name="hall")
        await door.synchronize_locker()
        assert await door.open(share.code) == DONE


async def test_a_locker_that_is_not_synchronised_refuses_the_key(home, pair, door):
    home.gateway.lockers[home.front].synchronized = False
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.ensure_share(locker, gateway, name="hall")
    await door.synchronize_gateway()
    assert await door.open(share.code) == KEY_REFUSED
    await door.synchronize_locker()
    assert await door.open(share.code) == DONE


async def test_a_share_may_be_news_to_the_locker_too(open_home, pair):
    async with open_home(lockers_too=True) as home:
        door = Door(home.gateway, home.front)
        async with home.cloud() as cloud:
            locker, gateway = await pair(cloud)
            share = await cloud.ensure_share(locker, gateway, name="hall")
        await door.synchronize_gateway()
        assert await door.open(share.code) == KEY_REFUSED
        await door.synchronize_locker()
        await door.synchronize_gateway()
        assert await door.open(share.code) == DONE


async def test_codes_that_the_cloud_never_gave_are_left_alone(home, pair, door):
    home.gateway.lockers[home.front].share_codes = frozenset({"by hand"})
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.ensure_share(locker, gateway, name="hall")
        await door.synchronize_gateway()
        await cloud.delete_share(share)
        await door.synchronize_gateway()
    assert await door.open("by hand") == DONE
    assert await door.open(share.code) == WRONG_HASH


async def test_a_share_opens_one_locker_through_one_gateway_only(home, open_home, pair, door):
    async with open_home() as other:
        home.server.add_gateway(other.gateway, identifier="OTHER")
        async with home.cloud() as cloud:
            locker, _ = await pair(cloud)
            gateway = next(item for item in await cloud.gateways() if item.identifier == "OTHER")
            share = await cloud.ensure_share(locker, gateway, name="hall")
        elsewhere = Door(other.gateway, home.front)
        await door.synchronize_gateway()
        await elsewhere.synchronize_gateway()
        assert await door.open(share.code) == NOT_SHARED
        assert await elsewhere.open(share.code) == DONE
        assert await Door(other.gateway, home.back).open(share.code) == NOT_SHARED


async def test_a_guests_share_opens_between_its_dates(home, pair, door):
    today = datetime.fromtimestamp(home.clock.now).date()  # noqa: DTZ006 - a day in the middle of the share
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.create_share(
            locker, gateway, name="guest", starts=today + timedelta(days=2), ends=today + timedelta(days=4)
        )
        await door.synchronize_gateway()
        assert await door.open(share.code) == NOT_SHARED
        home.clock.now += 3 * 86400
        await door.synchronize_gateway()
        assert await door.open(share.code) == DONE
        await cloud.update_share(share, active=False)
        await door.synchronize_gateway()
        assert await door.open(share.code) == NOT_SHARED
        await cloud.update_share(share, active=True, ends=date(2100, 1, 1))
        home.clock.now += 30 * 86400
        await door.synchronize_gateway()
        assert await door.open(share.code) == DONE


async def test_unknown_fields_come_and_go_and_do_no_harm(home):
    async with httpx.AsyncClient(trust_env=False) as client:
        form = {"_username": "+33612345678", "_password": home.password}
        token = (await client.post(f"{home.server.url}/api/login_check", data=form)).json()["access_token"]
        url = f"{home.server.url}/fr/api/v2/utilisateur/get/%2B33612345678"
        keys = [
            frozenset((await client.get(url, headers={"Authorization": f"Bearer {token}"})).json()["data"])
            for _ in range(20)
        ]
    assert len(set(keys)) > 1
    assert all({"id", "serrures"} <= names for names in keys)


async def test_only_so_many_web_calls_are_kept(home, monkeypatch):
    monkeypatch.setattr("thekeys_async.simulator.cloud.cloud._MOST_REQUESTS", 3)
    async with home.cloud() as cloud:
        for _ in range(5):
            await cloud.account()
    assert [request.call for request in home.server.requests] == ["account"] * 3


async def test_the_simulated_cloud_is_for_whom_it_knows(home):
    async with httpx.AsyncClient(trust_env=False, base_url=home.server.url) as client:
        assert (await client.get("/fr/api/v2/partage/all/serrure/3702")).status_code == 401
        wrong = {"_username": "+33612345678", "_password": "?"}
        assert (await client.post("/api/login_check", data=wrong)).status_code == 401
        assert (await client.get("/fr/api/v2/nothing")).status_code == 404


async def test_mischief_is_checked(home):
    with pytest.raises(ValueError, match="open"):
        home.server.fail(Fault.HANG, on="open")
    with pytest.raises(ValueError, match="TK-GW-1"):
        home.server.add_keypad(home.front, identifier="TK-GW-1")
