"""One odd value of the cloud's hides nothing else, and locks nobody out."""

import copy
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import anyio
import httpx
import pytest
from hypothesis import example, given, settings, strategies as st

from tests.sample import LOCKER
from thekeys_async.cloud import Accessory, Cloud, CloudProtocolError, Locker

PARIS = ZoneInfo("Europe/Paris")
GATEWAY = Accessory(9, "G", "gateway", 1)
FRONT = Locker(3, LOCKER, "front", None, None, (GATEWAY,), PARIS)
NOW = datetime(2026, 7, 2, 12, tzinfo=UTC)

odd_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**63, -(2**63), 10**30, 1e308, 0.5]),
    st.sampled_from(
        ["", "never", "7.2V", "beta", "0000-00-00", "-0001-11-30", "-0001-11-30 00:00:00.000000", "24:61", "NaN"]
    ),
    st.text(max_size=20),
)
odd = st.recursive(
    odd_scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["date", "id", "hour", "x"]), inner),
    max_leaves=4,
)


def locker(number):
    return {
        "id": number,
        "id_serrure": str(45961000 + number),
        "nom": f"locker {number}",
        "battery": 7000,
        "version": 81,
        "timezone": "Europe/Paris",
        "accessoires": [
            {"id": 1, "accessoire": {"id": 10 * number + each, "id_accessoire": f"G{number}{each}", "type": 1}}
            for each in (1, 2)
        ],
    }


def share(number):
    return {
        "id": number,
        "nom": f"share {number}",
        "code": f"c0de{number}",
        "actif": True,
        "description": "text",
        "accessoire": {"id": 9, "id_accessoire": "G", "nom": "gateway", "type": 1},
        "date_debut": "2026-07-01",
        "date_fin": "2026-07-30",
        "heure_debut": "15:00:00",
        "heure_fin": "12:00:00",
    }


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def with_odd(value, path, new):
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = with_odd(value[path[0]], path[1:], new)
    return changed


@asynccontextmanager
async def client_of(bodies):
    def reply(request):
        name = next((name for name in bodies if f"/{name}" in request.url.path), None)
        body = {"token": "t"} if "login_check" in request.url.path else {"status": 200, "data": bodies[name]}
        return httpx.Response(200, content=json.dumps(body).encode())

    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
        yield Cloud("+33612345678", "x", client=client)


async def read_lockers(rows):
    async with client_of({"utilisateur": {"serrures": rows}}) as cloud:
        return await cloud.lockers()


async def read_shares(rows):
    async with client_of({"partage/all": {"partages_accessoire": rows}}) as cloud:
        return await cloud.shares(FRONT)


@settings(max_examples=200)
@given(path=st.sampled_from(list(places(locker(1)))), value=odd)
def test_an_odd_value_in_one_locker_hides_no_other(path, value):
    found = anyio.run(read_lockers, [with_odd(locker(1), path, value), locker(2)])
    second = found[-1]
    assert (second.id, second.identifier, second.battery_mv, second.version) == (2, 45961002, 7000, 81)
    assert [accessory.identifier for accessory in second.accessories] == ["G21", "G22"]
    if not {"id", "id_serrure"} & set(path[:1]) and path:
        assert [locker.id for locker in found] == [1, 2], "only a locker that can't be named is left out"
    if path[:2] == ("accessoires", 0):
        assert "G12" in [accessory.identifier for accessory in found[0].accessories]


@settings(max_examples=200)
@given(path=st.sampled_from(list(places(share(5)))), value=odd)
def test_an_odd_value_in_one_share_hides_no_other(path, value):
    found = anyio.run(read_shares, [with_odd(share(5), path, value), share(6)])
    assert (found[-1].id, found[-1].code, found[-1].name) == (6, "c0de6", "share 6")
    assert found[-1].starts == datetime(2026, 7, 1, 15, tzinfo=PARIS)
    if path[:1] != ("id",) and path:
        assert [share.id for share in found] == [5, 6]


NEVER = [None, "", "never", 0, -1, "0000-00-00", "-0001-11-30", "0001-01-01", "1970-01-01", "9999-12-31", [], {}]


@pytest.mark.parametrize("never", [*NEVER, *({"date": f"{day} 00:00:00.000000"} for day in NEVER[5:10])], ids=repr)
@pytest.mark.parametrize("fields", [("date_fin",), ("date_debut", "date_fin"), ("date_fin", "heure_fin")])
def test_a_date_that_is_none_ends_no_share(never, fields):
    (found,) = anyio.run(read_shares, [share(5) | dict.fromkeys(fields, never)])
    assert found.usable(NOW)


@settings(max_examples=100)
@given(
    field=st.sampled_from(["description", "heure_debut", "heure_fin", "horaires", "date_debut", "nom"]),
    value=odd,
)
@example("heure_fin", {"hour": "99", "minute": None})
def test_an_odd_value_beside_the_code_locks_nobody_out(field, value):
    (found,) = anyio.run(read_shares, [share(5) | {field: value}])
    assert found.usable(NOW)
    assert (found.code, found.accessory) == ("c0de5", GATEWAY)


@pytest.mark.parametrize("info", ["?", [], {}, {"ip": 5, "last_seen": "?"}, {"ip": "192.168.0.1/x"}, 7])
def test_what_one_gateway_told_hides_no_other(info):
    async def read():
        rows = {"utilisateur": {"serrures": [locker(1)]}, "accessoire/get/11": {"info": info, "version": "beta"}}
        rows["accessoire/get/12"] = {"info": {"ip": "192.168.0.26", "last_seen": "2026-07-01T12:00:00"}, "version": 65}
        async with client_of(rows) as cloud:
            return await cloud.gateways()

    first, second = anyio.run(read)
    assert (first.identifier, first.address, first.last_seen, first.version) == ("G11", None, None, None)
    assert (second.identifier, second.address, second.version) == ("G12", "192.168.0.26", 65)


@pytest.mark.parametrize("whole", ["G", 5, True, {"a": 1}])
def test_nonsense_as_a_whole_is_an_error(whole):
    with pytest.raises(CloudProtocolError):
        anyio.run(read_lockers, whole)
    with pytest.raises(CloudProtocolError):
        anyio.run(read_shares, whole)


def test_a_list_with_gaps_is_an_object_of_numbers():
    found = anyio.run(read_lockers, {"0": locker(1), "2": locker(2)})
    assert [locker.id for locker in found] == [1, 2]


def test_one_warning_says_what_was_left_out(caplog):
    assert anyio.run(read_shares, [{"id": "s3cret"}, {"code": "s3cret"}, 5]) == ()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "3 of 3" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_share_whose_code_is_told_is_taken_before_one_whose_code_is_not():
    rows = [share(5) | {"code": None, "nom": "home"}, share(6) | {"nom": "home"}]

    async def ensure():
        async with client_of({"partage/all": {"partages_accessoire": rows}}) as cloud:
            return await cloud.ensure_share(FRONT, GATEWAY, name="home")

    assert anyio.run(ensure).id == 6
