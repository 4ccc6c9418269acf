"""Shares for people, switching shares on and off, and what else the cloud tells of lockers and shares."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import attrs
import httpx
import pytest

from tests.sample import LOCKER
from thekeys_async import DoorState
from thekeys_async.cloud import (
    Accessory,
    Cloud,
    CloudError,
    CloudProtocolError,
    Locker,
    NotFoundError,
    ShareRejectedError,
)
from thekeys_async.simulator import Fault

pytestmark = pytest.mark.anyio

ADA = "+33611111111"


async def test_a_person_is_asked_accepts_and_is_switched_off_and_on(home, pair):
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        made = await cloud.share_with(ADA, locker, name="Ada", description="cleans on Fridays")
        (row,) = home.server.people
        assert (row.phone, row.name, row.description, row.active, row.locker) == (
            ADA,
            "Ada",
            "cleans on Fridays",
            True,
            home.front,
        )
        assert await cloud.people(locker) == (attrs.evolve(made, role="Invité", notification_enabled=True),)
        assert (made.accepted, made.usable(datetime.now(UTC))) == (False, False)

        row.accepted = True
        (accepted,) = await cloud.people(locker)
        assert (accepted.id, accepted.phone, accepted.person) == (made.id, ADA, "Dominique Petit")
        assert accepted.usable(datetime.now(UTC))

        off = await cloud.switch_share(accepted, active=False)
        assert (off.active, row.active) == (False, False)
        assert (row.name, row.description) == ("Ada", "cleans on Fridays"), "the rest stays"
        assert await cloud.people(locker) == (off,)
        await cloud.switch_share(off, active=True)
        assert row.active
        changed = await cloud.update_person_share(accepted, name="Ada L.", description="")
        assert (changed.name, row.name, row.description, row.active) == ("Ada L.", "Ada L.", "", True)
        assert await cloud.shares(locker) == (), "shares with accessories are another list"


async def test_a_phone_number_is_written_as_for_the_account(home, pair):
    async with home.cloud(country="FR") as cloud:
        locker, _ = await pair(cloud)
        made = await cloud.share_with("06 11 11 11 11", locker, name="Ada")
    assert made.phone == ADA
    async with home.cloud() as cloud:
        before = len(home.server.requests)
        for phone, name in (("0611111111", "Ada"), ("Ada", "Ada"), (ADA, ""), (ADA, "\ud800")):
            with pytest.raises(ValueError):
                await cloud.share_with(phone, locker, name=name)
        with pytest.raises(ValueError):
            await cloud.update_person_share(made, name="")
    assert len(home.server.requests) == before


async def test_what_the_cloud_refuses_and_what_is_not_there(home, pair):
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        with pytest.raises(NotFoundError):
            await cloud.share_with(ADA, attrs.evolve(locker, id=99), name="Ada")
        refusal = {"status": 400, "data": None, "message": {"global": [], "form": ["Numéro inconnu."]}}
        home.server.reply_next(refusal, status=400, on="share_with")
        with pytest.raises(ShareRejectedError, match="Numéro inconnu") as caught:
            await cloud.share_with(ADA, locker, name="Ada")
        assert not caught.value.may_have_executed
        made = await cloud.share_with(ADA, locker, name="Ada")
        with pytest.raises(NotFoundError):
            await cloud.switch_share(attrs.evolve(made, id=99), active=False)
        with pytest.raises(TypeError, match="switched off"):
            await cloud.delete_share(made)


async def test_an_answer_that_is_lost_may_have_shared(home, pair):
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        home.server.fail(Fault.RESET_AFTER, on="share_with")
        with pytest.raises(CloudError) as caught:
            await cloud.share_with(ADA, locker, name="Ada")
        assert caught.value.may_have_executed
        assert [row.phone for row in home.server.people] == [ADA], "and is not sent again"


@pytest.mark.parametrize("on", ["update", "update_person", "delete"])
async def test_no_change_is_sent_again_once_it_may_have_arrived(home, pair, on):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.create_share(locker, gateway, name="hall")
        person = await cloud.share_with(ADA, locker, name="Ada")
        calls = {
            "update": lambda: cloud.switch_share(share, active=False),
            "update_person": lambda: cloud.switch_share(person, active=False),
            "delete": lambda: cloud.delete_share(share),
        }
        home.server.fail(Fault.RESET_AFTER, on=on)
        with pytest.raises(CloudError) as caught:
            await calls[on]()
    assert caught.value.may_have_executed
    assert home.calls(on) == 1


@pytest.mark.parametrize("data", [{}, {"id": None}, {"id": "?"}, []])
async def test_a_share_whose_number_is_not_told_is_found_in_the_list(home, pair, data):
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        home.server.reply_next({"status": 200, "data": data}, on="share_with", acted=True)
        if data == []:
            with pytest.raises(CloudProtocolError) as caught:
                await cloud.share_with(ADA, locker, name="Ada")
            assert caught.value.may_have_executed
        else:
            assert (await cloud.share_with(ADA, locker, name="Ada")).id == home.server.people[0].number


async def test_an_accessorys_share_is_switched_and_keeps_the_rest(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        ends = datetime(2027, 7, 1, 11, tzinfo=locker.timezone)
        made = await cloud.create_share(locker, gateway, name="hall", ends=ends, description="mine")
        (row,) = home.server.shares
        row.iddesc, row.notification_enabled = "remote", False
        (read,) = await cloud.shares(locker)
        assert (read.iddesc, read.notification_enabled) == ("remote", False)
        off = await cloud.switch_share(read, active=False)
        assert (off.active, row.active, row.iddesc, row.description) == (False, False, "remote", "mine")
        assert await cloud.shares(locker) == (off,)
        on = await cloud.switch_share(off, active=True)
        assert (row.active, row.code, on.ends) == (True, made.code, ends)


async def test_a_keypad_is_known_by_its_type(home, pair):
    home.server.add_keypad(home.front, identifier="KP1")
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
    (keypad,) = [each for each in locker.accessories if each.is_keypad]
    assert (keypad.identifier, keypad.type, keypad.is_gateway) == ("KP1", 2, False)
    assert not gateway.is_keypad


async def test_the_clouds_last_word_on_a_bolt_and_its_newest_events(home):
    before = datetime.now(UTC)
    home.gateway.turn_bolt(home.front, "open")
    home.gateway.turn_bolt(home.front, "close")
    home.gateway.turn_bolt(home.front, "open")
    async with home.cloud() as cloud:
        front, back = await cloud.lockers()
    assert front.state is DoorState.OPEN
    assert back.state is DoorState.CLOSED
    assert [event.action for event in front.events] == ["open", "close", "open"]
    assert [event.id for event in front.events] == [103, 102, 101]
    assert before - timedelta(seconds=1) < front.events[0].at < before + timedelta(seconds=60)
    assert back.events == ()
    assert back.state_at == datetime.fromtimestamp(home.clock.now, UTC), "when the cloud last heard of it"


async def test_an_event_tells_who(home):
    home.gateway.lockers[home.front].turn("open")
    async with home.cloud() as cloud:
        (event,) = (await cloud.lockers())[0].events
        (gateway,) = await cloud.gateways()
    assert (event.by, event.accessory_id) == (gateway.name, gateway.id)


AT = "2026-07-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("row", "state", "at"),
    [
        ({"etat": "open"}, DoorState.OPEN, None),
        ({"etat": "OPEN", "battery_date": AT}, DoorState.OPEN, AT),
        ({"etat": "close"}, DoorState.CLOSED, None),
        ({"etat": "entrebâillée"}, DoorState.UNKNOWN, None),
        ({"etat": None}, None, None),
        ({"etat": 7}, None, None),
        ({"etat": "open", "logs": [{"action_at": AT}, {"action_at": "2026-06-01"}, {"id": 5}, 7]}, DoorState.OPEN, AT),
        ({"etat": "open", "logs": "none", "battery_date": "-0001-11-30"}, DoorState.OPEN, None),
    ],
)
async def test_more_is_not_said_of_a_bolt_than_is_known(row, state, at):
    locker = await _read({"id": 3, "id_serrure": "5"} | row)
    assert locker.state is state
    assert locker.state_at == (at and datetime.fromisoformat(at))


async def test_the_newest_event_comes_first_however_they_are_sent():
    rows = [{"action_at": f"2026-07-0{day}T12:00:00+00:00", "action": day} for day in (2, 3, 1)]
    locker = await _read({"id": 3, "id_serrure": "5", "logs": rows})
    assert [event.action for event in locker.events] == ["3", "2", "1"]


async def _read(row) -> Locker:
    def reply(request):
        body = {"token": "t"} if "login_check" in request.url.path else {"data": {"serrures": [row]}}
        return httpx.Response(200, content=json.dumps(body).encode())

    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
        (locker,) = await Cloud("+33612345678", "x", client=client).lockers()
    return locker


async def test_a_new_share_is_asked_for_with_the_fields_that_working_clients_send():
    seen = []

    def reply(request):
        seen.append((request.method, request.url.raw_path.decode(), parse_qs(request.content.decode(), True)))
        return httpx.Response(200, json={"token": "t", "status": 200, "data": {"id": 5, "code": "c0de"}})

    gateway = Accessory(9, "TK GW/1", "hall", 1)
    locker = Locker(3, LOCKER, "front", None, None, (gateway,), ZoneInfo("Europe/Paris"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
        cloud = Cloud("+33612345678", "x", client=client)
        await cloud.create_share(locker, gateway, name="hall")
        await cloud.share_with(ADA, locker, name="Ada")
    _, share, person = seen
    assert share == (
        "POST",
        "/fr/api/v2/partage/create/3/accessoire/TK%20GW%2F1",
        {
            "partage_accessoire[nom]": ["hall"],
            "partage_accessoire[description]": [""],
            "partage_accessoire[actif]": ["1"],
        },
    )
    assert person == (
        "POST",
        "/fr/api/v2/partage/create/3/%2B33611111111",
        {"partage[nom]": ["Ada"], "partage[description]": [""], "partage[actif]": ["1"]},
    )
