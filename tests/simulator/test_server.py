"""The small HTTP server, before any gateway stands on it."""

import errno
import socket

import anyio
import httpx
import pytest

from thekeys_async.simulator.http import listener
from thekeys_async.simulator.http.messages import Ending, HttpResponse
from thekeys_async.simulator.http.server import HttpServer, owned_tasks, serve

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def echo(request):
    return HttpResponse.json({"method": request.method, "path": request.path, "form": request.form()})


async def can_connect(port):
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def test_a_form_arrives_decoded(client):
    async with serve(echo) as (host, port):
        reply = await client.post(f"http://{host}:{port}/open?x=1", data={"hash": "a+/="})
    assert reply.json() == {"method": "POST", "path": "/open", "form": {"hash": "a+/="}}


async def test_a_bare_plus_in_a_form_is_a_space(client):
    async with serve(echo) as (host, port):
        reply = await client.post(f"http://{host}:{port}/", content="hash=a+b")
    assert reply.json()["form"] == {"hash": "a b"}


@pytest.mark.parametrize(
    "data",
    [
        b"\r\nPOST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b",
        b"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\na=b&",
        (
            b"POST http://x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\na=b\r\n0\r\n\r\n"
        ),
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\na=b",
    ],
)
async def test_what_small_servers_understand(raw, data):
    async with serve(echo) as (_, port):
        received = await raw(port, data)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b'{"method": "POST", "path": "/", "form": {"a": "b"}}')


async def test_head_and_body_may_come_in_two_packets_with_a_wait_for_100_between():
    async with serve(echo) as (host, port), await anyio.connect_tcp(host, port) as stream:
        with anyio.fail_after(5):
            await stream.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await stream.send(b"a=b")
            assert b'"form": {"a": "b"}' in await stream.receive()


async def test_requests_sent_in_one_go_are_answered_in_order(raw):
    two = b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serve(echo) as (_, port):
        received = await raw(port, two)
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.index(b"/one") < received.index(b"/two")


async def test_a_head_request_gets_no_body_and_the_connection_stays_usable(client):
    async with serve(echo) as (host, port):
        await client.head(f"http://{host}:{port}/")
        assert (await client.get(f"http://{host}:{port}/x")).json()["path"] == "/x"


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"hello?\r\n\r\n", b" 400 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000, b" 431 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b"z" * 200_000, b" 413 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b" 400 "),
    ],
)
async def test_garbage_is_turned_away_and_does_no_harm(client, raw, garbage, status):
    async with serve(echo) as (host, port):
        assert status in (await raw(port, garbage)).partition(b"\r\n")[0]
        assert (await client.get(f"http://{host}:{port}/")).status_code == 200


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_a_client_that_hangs_up_half_way_is_forgotten(client, beginning):
    async with serve(echo) as (host, port):
        stream = await anyio.connect_tcp(host, port)
        if beginning:
            await stream.send(beginning)
        await stream.aclose()
        assert (await client.get(f"http://{host}:{port}/")).status_code == 200


async def test_an_idle_connection_is_closed_without_a_word(client):
    async with owned_tasks() as tasks:
        server = HttpServer(tasks, echo, idle=0.0)
        await server.on()
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            reply = await stream.receive()
            with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
                await stream.receive()
        server.close()
    assert b"200" in reply
    assert b"lose" not in reply


async def test_paused_it_refuses_at_once_and_resumes_at_the_same_port():
    async with owned_tasks() as tasks:
        server = HttpServer(tasks, echo)
        await server.on()
        port = server.port
        for _ in range(3):
            server.pause()
            assert not await can_connect(port)
            await server.resume()
            assert await can_connect(port)
        server.close()
        assert not await can_connect(port)


async def test_pausing_while_somebody_connects_does_no_harm():
    async with owned_tasks() as tasks:
        server = HttpServer(tasks, echo)
        await server.on()
        for _ in range(20):
            with socket.socket() as late:
                late.settimeout(0)
                late.connect_ex(("127.0.0.1", server.port))
                # Now both sides know of the connection, and either may run first.
                await anyio.wait_writable(late)
                server.pause()
            await server.resume()
        assert await can_connect(server.port)
        server.close()


async def test_connections_are_served_side_by_side_whoever_came_first():
    async with serve(echo) as (host, port):
        streams = [await anyio.connect_tcp(host, port) for _ in range(20)]
        for stream in reversed(streams):
            await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with anyio.fail_after(5):
                assert b"200" in await stream.receive()
        for stream in streams:
            await stream.aclose()
        assert await can_connect(port)


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=["HTTP/1.0", "HTTP/1.1"],
)
@pytest.mark.parametrize("reads_on", [True, False])
async def test_who_has_only_ended_its_sending_gets_its_reply(data, reads_on):
    """As `nc -N` and socat do: the end of what they send is not the end of what they read."""
    working, sent, over = anyio.Event(), anyio.Event(), []

    async def answer(request):
        working.set()
        await sent.wait()
        return (await echo(request)).ended_by(close=False, over=over.append)

    async with serve(answer) as (host, port), await anyio.connect_tcp(host, port) as stream:
        await stream.send(data)
        with anyio.fail_after(5):
            await working.wait()
            await (stream.send_eof() if reads_on else stream.aclose())
            sent.set()
            if reads_on:
                assert b" 200 " in await stream.receive()
            while not over:
                await anyio.lowlevel.checkpoint()
    assert over == [Ending.SENT if reads_on else Ending.GONE]


@pytest.mark.parametrize("more", [b"\r\n", b"x" * 10_000])
async def test_what_comes_behind_a_request_does_not_reset_its_reply(more):
    working, sent = anyio.Event(), anyio.Event()

    async def answer(request):
        working.set()
        await sent.wait()
        return await echo(request)

    received = b""
    async with serve(answer) as (host, port), await anyio.connect_tcp(host, port) as stream:
        with anyio.fail_after(5):
            await stream.send(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\na=b")
            await working.wait()
            await stream.send(more)
            sent.set()
            async for data in stream:
                received += data
    assert received.endswith(b'{"a": "b"}}')


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
async def test_too_many_connections_wait_until_others_close(client, monkeypatch, number):
    accept, refused = socket.socket.accept, []

    def exhausted(sock):
        if len(refused) < 3:
            refused.append(sock)
            raise OSError(number, "there are too many")
        return accept(sock)

    monkeypatch.setattr(listener, "_UNTIL_SOME_CLOSE", 0.0)
    monkeypatch.setattr(socket.socket, "accept", exhausted)
    async with serve(echo) as (host, port):
        assert (await client.get(f"http://{host}:{port}/")).status_code == 200
    assert len(refused) == 3


async def test_it_can_be_switched_off_while_there_are_too_many_connections(monkeypatch):
    refused = anyio.Event()

    def exhausted(sock):
        refused.set()
        raise OSError(errno.EMFILE, "there are too many")

    monkeypatch.setattr(listener, "_UNTIL_SOME_CLOSE", 0.001)
    monkeypatch.setattr(socket.socket, "accept", exhausted)
    with anyio.fail_after(5):
        async with serve(echo) as (host, port), await anyio.connect_tcp(host, port):
            await refused.wait()


async def test_what_arrives_in_the_moment_of_pausing_is_not_worked_on():
    met = []

    async def count(request):
        met.append(request)
        return HttpResponse(b"done")

    async with owned_tasks() as tasks:
        server = HttpServer(tasks, count)
        await server.on()
        with socket.create_connection(("127.0.0.1", server.port)) as kept:
            kept.settimeout(0)
            kept.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await anyio.wait_readable(kept)
            assert b"done" in kept.recv(1000)
            await anyio.wait_all_tasks_blocked()
            kept.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            server.pause()
            await anyio.wait_readable(kept)
            assert kept.recv(1000) == b""
        server.close()
    assert len(met) == 1


async def test_while_it_is_away_nobody_else_gets_its_port():
    async with owned_tasks() as tasks:
        server = HttpServer(tasks, echo)
        await server.on()
        await server.off()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        server.close()


async def test_pausing_closes_idle_connections_but_answers_what_is_under_way():
    going_on = anyio.Event()
    arrived = anyio.Event()

    async def slow(request):
        arrived.set()
        await going_on.wait()
        return HttpResponse(b"done")

    async with owned_tasks() as tasks:
        server = HttpServer(tasks, slow)
        await server.on()
        idle = await anyio.connect_tcp("127.0.0.1", server.port)
        busy = await anyio.connect_tcp("127.0.0.1", server.port)
        async with idle, busy:
            await busy.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await arrived.wait()
            server.pause()
            with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await idle.receive()
            going_on.set()
            assert b"done" in await busy.receive()
        server.close()


async def test_switching_off_drops_what_is_under_way():
    arrived = anyio.Event()

    async def never(request):
        arrived.set()
        await anyio.sleep_forever()
        raise AssertionError

    async with owned_tasks() as tasks:
        server = HttpServer(tasks, never)
        await server.on()
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await arrived.wait()
            with anyio.fail_after(5):
                await server.off()
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
        server.close()


async def test_the_blocks_exception_comes_out_as_itself():
    with pytest.raises(KeyError):
        async with serve(echo):
            raise KeyError


async def test_cancellation_from_outside_ends_the_block():
    with anyio.move_on_after(0) as scope:
        async with serve(echo):
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_bug_in_a_handler_is_loud():
    async def buggy(request):
        raise RuntimeError("a bug")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serve(buggy) as (host, port), httpx.AsyncClient(trust_env=False, verify=False) as client:
            await client.get(f"http://{host}:{port}/")
    assert caught.group_contains(RuntimeError, match="a bug")


async def test_a_port_that_is_taken_is_an_oserror():
    async with serve(echo) as (host, port):
        with pytest.raises(OSError, match="in use"):
            async with serve(echo, host, port):
                pass
