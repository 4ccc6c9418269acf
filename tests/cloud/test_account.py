"""What an account holds: lockers, gateways, and which of them can be used now."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.sample import LOCKER
from thekeys_async.cloud import Accessory, Cloud, NotFoundError, discover
from thekeys_async.simulator.locker import SimulatedLocker

pytestmark = pytest.mark.anyio


async def test_account_names_its_lockers_and_their_accessories(home):
    home.server.add_keypad(home.front, identifier="KP1", name="Clavier")
    async with home.cloud() as cloud:
        account = await cloud.account()
    front, back = account.lockers
    assert account.username == "+33612345678"
    assert (front.identifier, back.identifier) == (home.front, home.back)
    assert (front.battery_mv, front.version) == (7044, 81)
    assert front.timezone == ZoneInfo("Europe/Paris")
    assert [(item.identifier, item.is_gateway) for item in front.accessories] == [("TK-GW-1", True), ("KP1", False)]
    assert [item.identifier for item in back.accessories] == ["TK-GW-1"]


async def test_gateways_come_once_with_address_and_an_aware_moment(home):
    async with home.cloud() as cloud:
        (gateway,) = await cloud.gateways()
    assert gateway.address == home.gateway.address
    assert gateway.version == home.gateway.version
    assert gateway.last_seen == datetime.fromtimestamp(home.clock.now, UTC)
    assert gateway.last_seen.utcoffset() is not None


async def test_a_gateway_that_never_reported_has_no_address(home):
    home.server.accessories["TK-GW-1"].reports = False
    async with home.cloud() as cloud:
        (gateway,) = await cloud.gateways()
    assert (gateway.identifier, gateway.address, gateway.last_seen) == ("TK-GW-1", None, None)


async def test_a_gateway_of_which_the_cloud_knows_no_more_is_still_listed(home):
    home.server.reply_next({"status": 200, "data": None}, on="accessory")
    async with home.cloud() as cloud:
        (gateway,) = await cloud.gateways()
    assert gateway.identifier == "TK-GW-1"
    assert gateway.address is None


async def test_an_account_that_is_not_there(home):
    async with home.cloud() as cloud:
        home.server.reply_next({"status": 200, "data": None, "message": {"global": [], "form": []}}, on="account")
        with pytest.raises(NotFoundError) as caught:
            await cloud.account()
    assert not caught.value.may_have_executed


async def test_discover_takes_gateways_seen_lately_and_the_latest_first(home, open_home):
    moment = datetime.fromtimestamp(home.clock.now, UTC)
    async with open_home() as other:
        second = home.server.add_gateway(other.gateway, identifier="SECOND")
        home.server.accessories["TK-GW-1"].silent_for = timedelta(seconds=30)
        async with home.cloud() as cloud:
            both = await discover(cloud, now=lambda: moment)
            second.silent_for = timedelta(hours=1)
            one = await discover(cloud, now=lambda: moment)
            none = await discover(cloud, seen_within=timedelta(seconds=1), now=lambda: moment)
    assert [[gateway.identifier for gateway in found.gateways] for found in both] == [["SECOND", "TK-GW-1"]] * 2
    assert [[gateway.identifier for gateway in found.gateways] for found in one] == [["TK-GW-1"]] * 2
    assert [(found.locker.identifier, found.gateways) for found in none] == [(home.front, ()), (home.back, ())]


async def test_a_locker_that_appears_later_is_in_the_account(home):
    async with home.cloud() as cloud:
        assert len(await cloud.lockers()) == 2
        home.gateway.appear(SimulatedLocker(7))
        assert [locker.identifier for locker in await cloud.lockers()] == [home.front, home.back, 7]


def answering(bodies):
    """A client to which every path has one answer."""

    def answer(request):
        for end, body in {"login_check": {"token": "t0ken"}, **bodies}.items():
            if end in request.url.path:
                return httpx.Response(200, json=body)
        return httpx.Response(404)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def locker_row(**more):
    return {"id": "3", "id_serrure": "45961123", "nom": None, "accessoires": None, **more}


async def test_what_may_be_missing_is_missing_and_numbers_may_be_text():
    async with answering({"utilisateur": {"data": {"serrures": [locker_row(battery="7235")]}}}) as client:
        (locker,) = await Cloud("+33612345678", "x", client=client).lockers()
    assert (locker.id, locker.identifier, locker.name, locker.battery_mv) == (3, LOCKER, "", 7235)
    assert (locker.version, locker.accessories) == (None, ())
    assert locker.timezone == ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-07-01T12:00:00", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        ("2026-07-01T12:00:00+00:00", datetime(2026, 7, 1, 12, 0, tzinfo=UTC)),
        (
            {"date": "2026-01-01 12:00:00.000000", "timezone_type": 3, "timezone": "Europe/Berlin"},
            datetime(2026, 1, 1, 11, 0, tzinfo=UTC),
        ),
        (
            {"date": "2026-01-01 12:00:00.000000", "timezone_type": 1, "timezone": "+05:00"},
            datetime(2026, 1, 1, 7, 0, tzinfo=UTC),
        ),
        (None, None),
    ],
)
async def test_moments_come_in_several_styles(told, expected):
    accessory = {"id": 9, "id_accessoire": "G", "type": 1}
    bodies = {
        "utilisateur": {"data": {"serrures": [locker_row(accessoires=[{"accessoire": accessory}])]}},
        "accessoire": {"data": {"info": {"ip": "192.168.0.26", "last_seen": told}, "version": "65"}},
    }
    async with answering(bodies) as client:
        (gateway,) = await Cloud("+33612345678", "x", client=client).gateways()
    assert gateway.last_seen == expected
    assert (gateway.address, gateway.version) == ("192.168.0.26", 65)


async def test_a_callers_client_stays_open():
    async with answering({"utilisateur": {"data": {"serrures": []}}}) as client:
        async with Cloud("+33612345678", "x", client=client) as cloud:
            assert await cloud.lockers() == ()
        assert not client.is_closed
        with pytest.raises(RuntimeError, match="closed"):
            await cloud.lockers()


def test_an_accessory_of_unknown_kind_is_no_gateway():
    assert not Accessory(1, "A").is_gateway
