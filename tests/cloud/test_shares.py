"""Creating, reading, changing and deleting shares; guests with dates, keypads with PINs."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from thekeys_async.cloud import KEEP, CloudProtocolError, NotFoundError, ShareRejectedError

pytestmark = pytest.mark.anyio

PARIS = ZoneInfo("Europe/Paris")


async def test_a_created_share_is_the_one_that_is_listed(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        made = await cloud.create_share(locker, gateway, name="hall", description="by the door")
        (listed,) = await cloud.shares(locker)
    assert made.code
    assert (listed.id, listed.code, listed.name) == (made.id, made.code, "hall")
    assert (listed.active, listed.starts, listed.ends, listed.description) == (True, None, None, "by the door")
    assert listed.accessory.identifier == gateway.identifier
    assert made.accessory == gateway


async def test_the_path_takes_the_text_identifier(home, pair):
    home.server.accessories["TK-GW-1"].identifier = "a b/ç"
    home.server.accessories["a b/ç"] = home.server.accessories.pop("TK-GW-1")
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        await cloud.create_share(locker, gateway, name="hall")
    assert home.server.requests[-1].path.endswith("/accessoire/a%20b%2F%C3%A7")
    assert len(home.server.shares) == 1


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        (datetime(2027, 5, 1, 15, 0, tzinfo=PARIS), datetime(2027, 5, 3, 12, 30, tzinfo=PARIS)),
        (datetime(2027, 5, 1, 0, 0, tzinfo=PARIS), date(2027, 5, 3)),
        (date(2027, 5, 1), date(2027, 5, 1)),
        (time(22, 0), time(6, 5)),
        (None, date(2027, 5, 3)),
    ],
)
async def test_starts_and_ends_come_back_as_they_went(home, pair, starts, ends):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        made = await cloud.create_share(locker, gateway, name="guest", starts=starts, ends=ends)
        (listed,) = await cloud.shares(locker)
    assert (made.starts, made.ends) == (starts, ends)
    assert (listed.starts, listed.ends) == (starts, ends)


async def test_a_moment_is_written_on_the_lockers_clock_to_the_minute(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        made = await cloud.create_share(
            locker, gateway, name="guest", starts=datetime(2027, 7, 1, 22, 30, 59, tzinfo=UTC)
        )
    (row,) = home.server.shares
    assert (row.first_day, row.first_hour) == (date(2027, 7, 2), time(0, 30))
    assert made.starts == datetime(2027, 7, 2, 0, 30, tzinfo=PARIS)


async def test_a_keypads_share_has_the_pin_that_was_asked_for(home, pair):
    home.server.add_keypad(home.front, identifier="KP1")
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        keypad = next(item for item in locker.accessories if item.identifier == "KP1")
        made = await cloud.create_share(locker, keypad, name="guest", share_code="0042")
        changed = await cloud.update_share(made, share_code="4711")
        (listed,) = await cloud.shares(locker)
    assert (made.code, changed.code, listed.code) == ("0042", "4711", "4711")


async def test_a_rejected_share_says_why_without_the_pin(home, pair):
    home.server.add_keypad(home.front, identifier="KP1")
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        keypad = next(item for item in locker.accessories if item.identifier == "KP1")
        with pytest.raises(ShareRejectedError) as caught:
            await cloud.create_share(locker, keypad, name="guest", share_code="12x")
    assert caught.value.messages == (
        "Le code *** doit contenir au moins 4 chiffres.",
        "Le formulaire n'est pas valide.",
    )
    assert caught.value.messages[0] in str(caught.value)
    assert not caught.value.may_have_executed
    assert caught.value.code == 400
    assert home.server.shares == ()


async def test_a_form_that_is_refused_with_status_200_is_refused(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        body = {"status": 200, "data": None, "message": {"global": [], "form": {"nom": ["déjà pris"]}}}
        home.server.reply_next(body, on="create")
        with pytest.raises(ShareRejectedError) as caught:
            await cloud.create_share(locker, gateway, name="hall")
    assert caught.value.messages == ("nom: déjà pris",)


async def test_an_update_changes_what_is_given_and_nothing_else(home, pair):
    start, end = datetime(2027, 5, 1, 15, 0, tzinfo=PARIS), date(2027, 5, 3)
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        made = await cloud.create_share(locker, gateway, name="a", starts=start, ends=end, description="d")
        changed = await cloud.update_share(made, name="b")
        (listed,) = await cloud.shares(locker)
    assert (changed.name, changed.starts, changed.ends, changed.description) == ("b", start, end, "d")
    assert (listed.name, listed.starts, listed.ends, listed.description) == ("b", start, end, "d")
    assert listed.code == changed.code == made.code
    assert listed.active


async def test_an_update_can_switch_off_and_take_away(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        made = await cloud.create_share(locker, gateway, name="a", ends=datetime(2027, 5, 1, 15, 0, tzinfo=PARIS))
        await cloud.update_share(made, ends=None, active=False, name=KEEP)
        (listed,) = await cloud.shares(locker)
    assert (listed.active, listed.ends, listed.name) == (False, None, "a")


async def test_a_deleted_share_is_gone_and_deleting_it_again_says_so(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        first = await cloud.create_share(locker, gateway, name="a")
        second = await cloud.create_share(locker, gateway, name="b")
        await cloud.delete_share(first)
        await cloud.delete_share(second.id)
        assert await cloud.shares(locker) == ()
        with pytest.raises(NotFoundError) as caught:
            await cloud.delete_share(first)
    assert not caught.value.may_have_executed


async def test_a_share_with_an_accessory_of_another_locker_is_not_found(home, pair):
    home.server.add_keypad(home.back, identifier="KP1")
    async with home.cloud() as cloud:
        front, back = await cloud.lockers()
        keypad = next(item for item in back.accessories if item.identifier == "KP1")
        with pytest.raises(NotFoundError):
            await cloud.create_share(front, keypad, name="guest", share_code="4711")


async def test_a_creation_without_a_code_is_no_creation_that_can_be_used(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.reply_next({"status": 200, "data": {"id": 5}}, on="create")
        with pytest.raises(CloudProtocolError) as caught:
            await cloud.create_share(locker, gateway, name="a")
        assert caught.value.may_have_executed
        home.server.reply_next({"status": 200, "data": {"id": 5}}, on="create")
        assert (await cloud.create_share(locker, gateway, name="a", share_code="4711")).code == "4711"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "\ud800"},
        {"share_code": ""},
        {"share_code": "é"},
        {"starts": datetime(2027, 5, 1)},  # noqa: DTZ001 - that is the point
        {"starts": time(8, tzinfo=UTC)},
        {"starts": date(2027, 5, 2), "ends": date(2027, 5, 1)},
        {"starts": datetime(2027, 5, 2, tzinfo=UTC), "ends": datetime(2027, 5, 2, tzinfo=UTC)},
    ],
)
async def test_what_makes_no_sense_is_not_sent(home, pair, wrong):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        before = len(home.server.requests)
        with pytest.raises(ValueError):
            await cloud.create_share(locker, gateway, **{"name": "a"} | wrong)
    assert len(home.server.requests) == before
