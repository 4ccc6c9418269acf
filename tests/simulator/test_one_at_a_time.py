"""One action at a time, and what is written down about it."""

import anyio
import httpx
import pytest

from tests.sample import LOCKER

pytestmark = pytest.mark.anyio


async def send_and_hang_up(sim, form):
    """Send an open, wait until it has arrived, hang up."""
    body = str(httpx.QueryParams(form)).encode()
    head = f"POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    before = len(sim.requests)
    async with await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(head.encode() + body)
        await sim.wait_for_requests(before + 1)


async def test_a_request_during_another_is_busy_at_once_and_does_nothing(client, make, locker, sign):
    async with make(bluetooth=0.3) as sim, anyio.create_task_group() as tasks:
        tasks.start_soon(client.get, sim.url + "/lockers")
        await sim.wait_until(lambda: bool(sim.requests and sim.requests[0].ended))
        opening = sign()

        async def open_it():
            await client.post(sim.url + "/open", data=opening)

        tasks.start_soon(open_it)
        await sim.wait_for_requests(2)
        for path in ("/lockers", "/status", "/synchronize"):
            assert (await client.get(sim.url + path)).json()["code"] == 500
        assert (await client.post(sim.url + "/close", data=sign())).json()["code"] == 500
        assert locker.state == "closed"
        await sim.wait_until(lambda: sim.requests[1].ended is not None)
        assert locker.state == "open"
        assert sim.overlaps == 4
        assert [record.busy for record in sim.requests] == [False, False, True, True, True, True]
        assert [record.overlapped for record in sim.requests] == [False, False, True, True, True, True]
        assert all(record.started is None for record in sim.requests if record.busy)


async def test_a_timestamp_that_was_answered_busy_can_be_used_again(client, make, sign):
    async with make(bluetooth=0.2) as sim, anyio.create_task_group() as tasks:

        async def open_it():
            await client.post(sim.url + "/open", data=sign(100))

        tasks.start_soon(open_it)
        await sim.wait_for_requests(1)
        assert (await client.post(sim.url + "/open", data=sign(101))).json()["code"] == 500
        await sim.wait_until(lambda: sim.requests[0].ended is not None)
        assert (await client.post(sim.url + "/open", data=sign(101))).json()["code"] == 0


async def test_it_goes_on_for_a_client_that_has_hung_up_and_is_busy_meanwhile(client, make, locker, sign):
    async with make(bluetooth=0.2) as sim:
        await send_and_hang_up(sim, sign())
        assert (await client.get(sim.url + "/status")).json()["code"] == 500
        assert locker.state == "closed"
        with anyio.fail_after(30):
            await sim.wait_until(lambda: sim.requests[0].client_gone)
        assert locker.state == "open"
        assert sim.requests[0].acted
        assert sim.overlaps == 1
        assert (await client.get(sim.url + "/status")).status_code == 200


async def test_requests_one_after_the_other_never_overlap(client, make, sign):
    async with make(light=0.001, bluetooth=0.002) as sim:
        for _ in range(20):
            assert (await client.get(sim.url + "/lockers")).status_code == 200
            # A fresh connection may be served before the task that has just replied runs again.
            async with httpx.AsyncClient(trust_env=False, verify=False) as fresh:
                assert (await fresh.post(sim.url + "/open", data=sign())).json()["code"] == 0
        assert sim.overlaps == 0
        ends = [record.ended for record in sim.requests]
        assert all(end <= after.arrived for end, after in zip(ends, sim.requests[1:], strict=False))


async def test_what_is_recorded(client, make, sign):
    async with make(light=0.01) as sim:
        form = sign(1234)
        await client.post(sim.url + "/open", data=form)
        await client.get(sim.url + "/lockers")
        opened, listed = sim.requests
    assert (opened.number, opened.endpoint, opened.method, opened.path) == (1, "open", "POST", "/open")
    assert (opened.identifier, opened.timestamp, opened.code, opened.acted) == (LOCKER, 1234, 0, True)
    assert (listed.identifier, listed.timestamp, listed.acted, listed.client_gone) == (None, None, False, False)
    assert opened.arrived <= opened.started <= opened.ended <= listed.arrived
    assert listed.ended - listed.started >= 0.01
    assert form["hash"] not in repr(opened)


@pytest.mark.virtual_time
async def test_the_share_of_work_is_that_of_the_time_between_first_and_last(client, make):
    async with make(light=0.1) as sim:
        assert sim.work_share() == 0
        await client.get(sim.url + "/lockers")
        assert 0.9 < sim.work_share() <= 1
        await anyio.sleep(0.1)
        await client.get(sim.url + "/lockers")
        worked = sum(record.ended - record.started for record in sim.requests)
        whole = sim.requests[-1].ended - sim.requests[0].arrived
        assert sim.work_share() == pytest.approx(worked / whole)
        assert sim.work_share() < 0.9


async def test_only_so_many_records_are_kept(client, make):
    async with make(keep=3) as sim:
        for _ in range(5):
            await client.get(sim.url + "/lockers")
        assert [record.number for record in sim.requests] == [3, 4, 5]


async def test_while_it_synchronises_everything_is_busy_but_its_status(client, sim, locker, sign):
    with sim.synchronizing():
        assert (await client.get(sim.url + "/status")).json()["current_status"] == "Synchronizing gw"
        assert (await client.get(sim.url + "/lockers")).json()["code"] == 500
        assert (await client.post(sim.url + "/open", data=sign())).json()["code"] == 500
    assert (await client.get(sim.url + "/status")).json()["current_status"] == "Scanning..."
    assert (await client.get(sim.url + "/lockers")).status_code == 200
    assert sim.overlaps == 0
    assert locker.state == "closed"


async def test_a_synchronisation_ends_by_itself(client, sim):
    sim.start_synchronizing("gw", 0.05)
    sim.start_synchronizing(LOCKER, 0.1)
    assert (await client.get(sim.url + "/status")).json()["current_status"] == f"Synchronizing {LOCKER}"
    with anyio.fail_after(30):
        await sim.wait_until(lambda: not sim.state.synchronizing)


async def test_the_bolt_may_come_later_than_the_reply(client, make, locker, sign):
    async with make(bolt_delay=0.1) as sim:
        await client.post(sim.url + "/open", data=sign())
        assert (locker.state, locker.last_log) == ("closed", 100)
        assert sim.requests[0].acted
        with anyio.fail_after(30):
            await sim.wait_until(lambda: locker.state == "open")
        assert locker.last_log == 101
