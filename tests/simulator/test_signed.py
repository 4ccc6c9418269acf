"""Signed requests: what the gateway accepts, and which number it refuses the rest with."""

import json
from pathlib import Path

import pytest

from tests.sample import CODE, LOCKER
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "signatures.json").read_text())["vectors"]


async def code_of(client, sim, path, form):
    return (await client.post(sim.url + path, data=form)).json()["code"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["ts"]))
async def test_hashes_made_with_openssl_are_accepted(client, vector):
    locker = SimulatedLocker(7, share_code=vector["code"])
    async with SimulatedGateway([locker], light=0, bluetooth=0) as sim:
        form = {"identifier": "7", "ts": str(vector["ts"]), "hash": vector["hash"]}
        assert await code_of(client, sim, "/open", form) == 0
    assert locker.state == "open"


@pytest.mark.parametrize("path", ["/open", "/close", "/calibrate", "/locker_status"])
@pytest.mark.parametrize(
    "change", [{"hash": "nonsense"}, {"hash": "é"}, {"ts": "1700000001"}, {"ts": "soon"}, {"ts": "٣"}]
)
async def test_a_wrong_hash_is_33_and_nothing_happens(client, sim, locker, sign, *, path, change):
    assert await code_of(client, sim, path, sign(1_700_000_000) | change) == 33
    assert locker.events == []


@pytest.mark.parametrize("plus", ["+", " ", "%2B", "%2b", "%20"])
async def test_a_plus_in_a_hash_may_come_as_a_space(client, sim, sign, plus):
    form = next(form for form in iter(sign, None) if "+" in form["hash"])
    text = "&".join(f"{name}={value.replace('+', plus)}" for name, value in form.items())
    reply = await client.post(sim.url + "/open", content=text)
    assert reply.json()["code"] == 0


async def test_another_letter_for_a_plus_is_33(client, sim, sign):
    form = next(form for form in iter(sign, None) if "+" in form["hash"])
    assert await code_of(client, sim, "/open", form | {"hash": form["hash"].replace("+", "-")}) == 33


async def test_a_timestamp_must_be_newer_than_the_last_accepted(client, sim, sign):
    answers = [await code_of(client, sim, "/open", sign(timestamp)) for timestamp in (100, 100, 99, 101)]
    assert answers == [0, 33, 33, 0]


async def test_the_last_timestamp_is_the_gateways_not_the_lockers(client, sim, sign):
    sim.appear(SimulatedLocker(2, share_code="other"))
    assert await code_of(client, sim, "/open", sign(100)) == 0
    assert await code_of(client, sim, "/open", sign(100, identifier=2, code="other")) == 33


async def test_a_timestamp_with_a_wrong_hash_is_not_remembered(client, sim, sign):
    assert await code_of(client, sim, "/open", sign(500, code="wrong")) == 33
    assert await code_of(client, sim, "/open", sign(100)) == 0


async def test_a_timestamp_is_used_up_though_the_locker_did_not_answer(client, sim, sign):
    sim.vanish(LOCKER)
    assert await code_of(client, sim, "/open", sign(100)) == 34
    sim.appear(LOCKER)
    assert await code_of(client, sim, "/open", sign(100)) == 33


@pytest.mark.parametrize(("seconds", "code"), [(10, 0), (11, 33)])
async def test_the_future_is_refused_if_it_checks(client, make, sign, seconds, code):
    async with make(max_future=10, clock=lambda: 1000.0) as sim:
        assert await code_of(client, sim, "/open", sign(1000 + seconds)) == code


@pytest.mark.parametrize(("field", "word"), [("identifier", "identifier"), ("ts", "timestamp"), ("hash", "hash")])
async def test_a_missing_field_is_400_and_named(client, sim, sign, field, word):
    form = sign()
    del form[field]
    reply = await client.post(sim.url + "/close", data=form)
    assert reply.json() == {"status": "ko", "code": 400, "cause": f"missing {word}"}


@pytest.mark.parametrize("identifier", [1, 10**30])
async def test_a_locker_that_is_not_shared_is_32(client, sim, sign, identifier):
    sim.appear(SimulatedLocker(1))
    assert await code_of(client, sim, "/open", sign(identifier=identifier)) == 32


async def test_what_the_locker_says(client, sim, locker, sign):
    locker.synchronized = False
    assert await code_of(client, sim, "/open", sign()) == 36
    locker.compatible = False
    assert await code_of(client, sim, "/open", sign()) == 35
    locker.in_range = False
    assert await code_of(client, sim, "/open", sign()) == 34
    assert locker.events == []


async def test_the_locker_accepts_the_key_once_it_has_been_synchronised(client, sim, locker, sign):
    locker.synchronized = False
    assert await code_of(client, sim, "/locker/synchronize", {"identifier": LOCKER}) == 0
    assert await code_of(client, sim, "/open", sign()) == 0


async def test_without_a_clock_everything_signed_is_38_until_it_is_synchronised(client, make, sign):
    async with make(clock_set=False) as sim:
        assert await code_of(client, sim, "/open", sign(100)) == 38
        assert (await client.get(sim.url + "/synchronize")).json()["code"] == 0
        assert await code_of(client, sim, "/open", sign(100)) == 0


async def test_any_of_several_share_codes_opens(client, sign):
    locker = SimulatedLocker(LOCKER, share_code=["first", "second"])
    async with SimulatedGateway([locker], light=0, bluetooth=0) as sim:
        assert [await code_of(client, sim, "/open", sign(code=code)) for code in ("first", "second", "third")] == [
            0,
            0,
            33,
        ]


def test_a_share_code_is_in_no_repr(locker):
    assert CODE not in repr(locker)
