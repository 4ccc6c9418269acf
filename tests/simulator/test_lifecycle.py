"""Coming, going, and how connections end."""

import anyio
import httpx
import pytest

from thekeys_async.simulator import Fault, SimulatedGateway

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_it_can_be_switched_off_and_on_at_the_same_address(client, sim):
    address = sim.address
    for _ in range(3):
        await sim.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{address}/lockers")
        await sim.start()
        assert sim.address == address
        assert (await client.get(f"http://{address}/lockers")).status_code == 200


async def test_without_power_what_was_worked_on_is_not_done(client, make, locker, sign):
    async with make(bluetooth=0.2) as sim, anyio.create_task_group() as tasks:

        async def open_it():
            with pytest.raises(httpx.TransportError):
                await client.post(sim.url + "/open", data=sign())

        tasks.start_soon(open_it)
        await sim.wait_for_requests(1)
        await sim.stop()
        await sim.start()
        assert locker.state == "closed"
        assert not sim.requests[0].acted
        assert (await client.post(sim.url + "/open", data=sign())).json()["code"] == 0


async def test_an_update_takes_it_away_and_brings_it_back_with_a_new_version(client, sim):
    assert (await client.post(sim.url + "/update")).json()["code"] == 0
    with pytest.raises(httpx.ConnectError):
        await client.get(sim.url + "/status")
    await anyio.sleep(0.2)
    assert (await client.get(sim.url + "/status")).json()["version"] == 66


async def test_it_goes_away_for_an_update_only_after_the_reply_is_out(make, raw):
    """Also when somebody connects in the very moment in which it goes."""
    async with make(restart=0.0) as sim:
        for times in range(1, 21):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(knock, sim.port)
                reply = await raw(sim.port, b"POST /update HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reply.endswith(b'{"status": "ok", "code": 0}')
            assert not sim.requests[-1].client_gone
            with anyio.fail_after(5):
                while not await knock(sim.port) or sim.version < 65 + times:
                    pass


async def test_it_goes_away_for_an_update_only_after_the_last_byte_of_a_slow_reply(make, raw):
    async with make(restart=0.0) as sim:
        sim.fail(Fault.DRIP, on="update", seconds=0.0005)
        reply = await raw(sim.port, b"POST /update HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reply.endswith(b'{"status": "ok", "code": 0}')
        with anyio.fail_after(5):
            while not await knock(sim.port) or sim.version == 65:
                pass


async def knock(port):
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def test_a_failed_update_changes_nothing(client, sim):
    sim.error(1, on="update")
    await client.post(sim.url + "/update")
    assert (await client.get(sim.url + "/status")).json()["version"] == 65


async def test_an_update_happens_though_its_reply_was_lost(client, sim):
    sim.fail(Fault.RESET_AFTER, on="update")
    with pytest.raises(httpx.TransportError):
        await client.post(sim.url + "/update")
    await anyio.sleep(0.2)
    assert (await client.get(sim.url + "/status")).json()["version"] == 66


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_connections_are_kept_or_not(client, make, keep_alive):
    async with make(keep_alive=keep_alive) as sim:
        replies = [await client.get(sim.url + path) for path in ("/lockers", "/nothing", "/lockers")]
    assert [reply.headers.get("connection") for reply in replies] == [None if keep_alive else "close"] * 3
    assert len({id(reply.extensions["network_stream"]) for reply in replies}) == (1 if keep_alive else 3)


async def test_a_silent_close_is_not_announced(make):
    async with make(silent_close=0.0) as sim, await anyio.connect_tcp("127.0.0.1", sim.port) as stream:
        await stream.send(b"GET /lockers HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"onnection" not in await stream.receive()
        with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_leaving_ends_everything_at_once(client, make, sign):
    with anyio.fail_after(5):
        async with make(bluetooth=100, bolt_delay=100) as sim, anyio.create_task_group() as tasks:
            sim.start_synchronizing(seconds=100)
            sim.stop_synchronizing()
            sim.fail(Fault.HANG, on="lockers")
            tasks.start_soon(send, sim.port, b"GET /lockers HTTP/1.1\r\nHost: x\r\n\r\n")
            tasks.start_soon(send, sim.port, b"GET /synchronize HTTP/1.1\r\nHost: x\r\n\r\n")
            tasks.start_soon(send, sim.port, b"GET /loc")
            await sim.wait_for_requests(2)
            tasks.cancel_scope.cancel()


async def send(port, data):
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(data)
        await anyio.sleep_forever()


async def test_an_exception_in_the_block_comes_out_as_itself(make):
    with pytest.raises(KeyError):
        async with make():
            raise KeyError


async def test_a_hundred_of_them(client):
    gateways = [SimulatedGateway(light=0) for _ in range(100)]
    async with anyio.create_task_group() as tasks:
        for gateway in gateways:
            tasks.start_soon(enter_ask_and_leave, client, gateway)
    assert all(len(gateway.requests) == 1 for gateway in gateways)


async def enter_ask_and_leave(client, gateway):
    async with gateway:
        await client.get(gateway.url + "/lockers")


async def test_what_needs_it_to_run_says_so(make):
    with pytest.raises(RuntimeError, match="not running"):
        await make().stop()


async def test_ipv6(client):
    try:
        async with SimulatedGateway(host="::1", light=0) as sim:
            assert sim.address == f"[::1]:{sim.port}"
            assert (await client.get(sim.url + "/lockers")).status_code == 200
            await sim.stop()
            await sim.start()
            assert (await client.get(sim.url + "/lockers")).status_code == 200
    except OSError:
        pytest.skip("this machine has no IPv6")
