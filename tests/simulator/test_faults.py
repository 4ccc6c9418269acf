"""Faults, errors and replies on demand: what the client sees, and whether the gateway has acted."""

import anyio
import httpx
import pytest

from tests.sample import LOCKER
from thekeys_async.simulator import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


ACTED = {
    Fault.RESET_AFTER,
    Fault.HALF_REPLY,
    Fault.TRUNCATED_JSON,
    Fault.NOT_JSON,
    Fault.EMPTY_BODY,
    Fault.GIANT_BODY,
    Fault.DRIP,
    Fault.HANG_AFTER,
}


@pytest.fixture
async def client(anyio_backend):
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=0.3) as http:
        yield http


async def seen(client, sim, form):
    """Say in a word what a client gets to see of an open."""
    try:
        reply = await client.post(sim.url + "/open", data=form)
    except httpx.ConnectError:
        return "refused"
    except httpx.TimeoutException:
        return "nothing"
    except (httpx.ReadError, httpx.RemoteProtocolError) as error:
        return "half" if "message body" in str(error) else "cut"
    if reply.text.startswith("<html>"):
        return f"html {reply.status_code}"
    return "redirect" if reply.is_redirect else "giant" if len(reply.content) > 65536 else reply.text


SEEN = {
    Fault.REFUSE: "refused",
    Fault.RESET_BEFORE: "cut",
    Fault.RESET_AFTER: "cut",
    Fault.HALF_REPLY: "half",
    Fault.TRUNCATED_JSON: '{"status": "o',
    Fault.NOT_JSON: "Out of memory\n",
    Fault.EMPTY_BODY: "",
    Fault.GIANT_BODY: "giant",
    Fault.DRIP: '{"status": "ok", "code": 0}',
    Fault.HTML_500: "html 500",
    Fault.REDIRECT: "redirect",
    Fault.BUSY: '{"status": "ko", "code": 500, "cause": "busy"}',
    Fault.HANG: "nothing",
    Fault.HANG_AFTER: "nothing",
}


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
async def test_a_fault_happens_once_and_the_next_request_is_well(client, sim, locker, sign, fault):
    sim.fail(fault, on="open", seconds=0.001)
    form = sign()
    assert await seen(client, sim, form) == SEEN[fault]
    assert (locker.state == "open") is (fault in ACTED) is fault.acts
    if fault is Fault.REFUSE:
        await anyio.sleep(0.1)
    else:
        record = sim.requests[0]
        assert (record.fault, record.acted, record.busy) == (fault, fault.acts, fault is Fault.BUSY)
        await sim.wait_until(lambda: sim.requests[0].client_gone is (fault in {Fault.HANG, Fault.HANG_AFTER}))
    assert (await client.post(sim.url + "/open", data=sign())).json()["code"] == 0


@pytest.mark.parametrize("fault", sorted(ACTED, key=lambda fault: fault.name), ids=lambda fault: fault.name)
async def test_a_fault_after_acting_does_not_turn_a_refusal_into_a_deed(client, sim, locker, sign, fault):
    sim.fail(fault, seconds=0)
    await seen(client, sim, sign(code="wrong"))
    assert locker.events == []
    assert not sim.requests[0].acted


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.HTML_500, Fault.REDIRECT, Fault.HANG])
async def test_a_request_that_was_not_acted_upon_leaves_its_timestamp_unused(client, sim, sign, fault):
    sim.fail(fault)
    await seen(client, sim, sign(100))
    assert (await client.post(sim.url + "/open", data=sign(100))).json()["code"] == 0


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_AFTER])
async def test_a_reset_is_a_reset_and_not_a_polite_close(sim, fault):
    sim.fail(fault)
    async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(b"GET /lockers HTTP/1.1\r\nHost: x\r\n\r\n")
        with anyio.fail_after(5), pytest.raises(anyio.BrokenResourceError):
            await stream.receive()


async def test_a_share_of_refusals_comes_after_that_share_of_requests(client, sim):
    sim.fail(Fault.REFUSE, share=1, on="lockers", seconds=0.05)
    for path in ("/status", "/lockers"):
        assert (await client.get(sim.url + path)).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await client.get(sim.url + "/status")


async def test_a_fault_is_only_for_the_requests_named(client, sim, sign):
    sim.fail(Fault.HTML_500, on="open", times=2)
    assert (await client.get(sim.url + "/lockers")).status_code == 200
    assert [await seen(client, sim, sign()) for _ in range(3)] == [
        "html 500",
        "html 500",
        '{"status": "ok", "code": 0}',
    ]


async def test_a_share_of_the_requests_fails_the_same_with_the_same_seed(client, make):
    runs = []
    for seed in (1, 1, 2):
        async with make(seed=seed) as sim:
            sim.fail(Fault.HTML_500, share=0.3)
            runs.append([(await client.get(sim.url + "/status")).status_code for _ in range(60)])
    assert runs[0] == runs[1] != runs[2]
    assert all(5 <= run.count(500) <= 35 for run in runs)


async def test_faults_can_be_forgotten(client, sim):
    sim.fail(Fault.HTML_500, share=1)
    assert (await client.get(sim.url + "/lockers")).status_code == 500
    sim.clear_faults()
    assert (await client.get(sim.url + "/lockers")).status_code == 200


async def test_several_refusals(client, sim):
    sim.fail(Fault.REFUSE, times=2, seconds=0.05)
    with pytest.raises(httpx.ConnectError):
        await client.get(sim.url + "/lockers")
    await anyio.sleep(0.15)
    assert (await client.get(sim.url + "/lockers")).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await client.get(sim.url + "/lockers", headers={"Connection": "close"})
    await anyio.sleep(0.15)
    for _ in range(3):
        assert (await client.get(sim.url + "/lockers")).status_code == 200


async def test_of_two_refusals_at_once_the_longer_counts(client, sim):
    sim.fail(Fault.REFUSE, seconds=0.4)
    sim.fail(Fault.REFUSE, seconds=0.01)
    await anyio.sleep(0.05)
    with pytest.raises(httpx.ConnectError):
        await client.get(sim.url + "/lockers")
    await anyio.sleep(0.5)
    assert (await client.get(sim.url + "/lockers")).status_code == 200


@pytest.mark.parametrize("code", [400, 500, 32, 33, 34, 35, 36, 37, 38])
async def test_any_code_on_demand(client, sim, locker, sign, code):
    sim.error(code, on="open")
    assert (await client.post(sim.url + "/open", data=sign())).json()["code"] == code
    record = sim.requests[0]
    assert (record.code, record.acted, record.busy, record.fault) == (code, False, code == 500, None)
    assert locker.events == []
    assert (await client.post(sim.url + "/open", data=sign())).json()["code"] == 0


@pytest.mark.parametrize(("code", "used_up"), [(33, False), (38, False), (500, False), (34, True), (37, True)])
async def test_a_code_of_the_lockers_uses_up_the_timestamp_one_of_the_gateways_does_not(
    client, sim, sign, code, used_up
):
    sim.error(code)
    await client.post(sim.url + "/open", data=sign(100))
    again = (await client.post(sim.url + "/open", data=sign(100))).json()["code"]
    assert again == (33 if used_up else 0)


async def test_an_error_may_have_acted_all_the_same(client, sim, locker, sign):
    sim.error(37, on="open", acted=True)
    assert (await client.post(sim.url + "/open", data=sign())).json()["code"] == 37
    assert locker.state == "open"
    assert sim.requests[0].acted


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
async def test_the_codes_of_a_lockers_synchronisation(client, sim, code):
    sim.error(code, on="synchronize_locker")
    reply = await client.post(sim.url + "/locker/synchronize", data={"identifier": LOCKER})
    assert reply.json()["code"] == code


@pytest.mark.parametrize("body", [b"\xff\xfe", "words", {"status": "ok", "devices": None}])
async def test_a_reply_of_ones_own(client, sim, body):
    sim.reply_next(body, status=201, on="lockers")
    reply = await client.get(sim.url + "/lockers")
    assert reply.status_code == 201
    assert body in {reply.content, reply.text} if isinstance(body, (bytes, str)) else body == reply.json()


@pytest.mark.parametrize("acted", [True, False])
async def test_a_reply_of_ones_own_with_and_without_acting(client, sim, locker, sign, acted):
    sim.reply_next("?", acted=acted)
    await client.post(sim.url + "/open", data=sign())
    assert locker.opened_count == acted


@pytest.mark.parametrize("wrong", [{"on": "opne"}, {"times": 0}, {"share": 2}, {"share": -0.5}])
async def test_a_fault_that_could_never_happen_is_a_mistake(sim, wrong):
    with pytest.raises(ValueError):
        sim.fail(Fault.HANG, **wrong)
