"""`GatewayTransport` on real sockets: what httpx gets of it, and when it takes which connection."""

import gzip
from collections.abc import AsyncGenerator, Callable

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from tests.sample import CODE
from thekeys_async import AsyncGateway, GatewayTransport, Pacing, TheKeysError
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

from .scripts import OK, always, ask, fails, name_server, request_for, then_close

pytestmark = pytest.mark.anyio

_CODES = {1: CODE}


# What httpx gets


async def test_a_client_gets_all_that_came(serve: Callable) -> None:
    answer = b"HTTP/1.1 404 Not Here\r\nX-One:  1 \r\nx-two: 2\r\nX-One: 3\r\nContent-Length: 2\r\n\r\n{}"
    async with serve(always(answer)) as server, httpx.AsyncClient(transport=GatewayTransport()) as client:
        response = await client.get(f"http://{server.address}/lockers?a=b")
    assert response.status_code == 404
    assert response.headers.raw == [(b"X-One", b"1"), (b"x-two", b"2"), (b"X-One", b"3"), (b"Content-Length", b"2")]
    assert (response.http_version, response.reason_phrase, response.json()) == ("HTTP/1.1", "Not Here", {})
    assert server.requests[0].startswith(b"GET /lockers?a=b HTTP/1.1\r\nHost: " + server.address.encode())


async def test_what_h11_has_read_comes_whole_too(serve: Callable) -> None:
    answer = b"HTTP/1.1 200 Fine\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    async with (
        serve(always(answer)) as server,
        httpx.AsyncClient(transport=GatewayTransport()) as client,
        client.stream("GET", f"http://{server.address}/") as response,
    ):
        assert [chunk async for chunk in response.aiter_bytes()] == [b"{}"]
    assert response.headers.raw == [(b"X-One", b"1"), (b"Transfer-Encoding", b"chunked")]
    assert (response.http_version, response.reason_phrase) == ("HTTP/1.1", "Fine")


async def test_compressed_bodies_are_unpacked(serve: Callable) -> None:
    body = gzip.compress(b"{}")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serve(always(head + body)) as server, httpx.AsyncClient(transport=GatewayTransport()) as client:
        assert (await client.get(f"http://{server.address}/")).text == "{}"


async def test_after_head_comes_no_body(serve: Callable) -> None:
    async with serve(always(OK[:-2])) as server, GatewayTransport() as transport:
        for _ in range(2):
            assert await ask(transport, server.address, "HEAD", extensions={"timeout": {"read": 5}}) == b""
        assert server.connections == 1


async def test_bodies_are_sent_whole_or_in_chunks(serve: Callable) -> None:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield b"ab"
        yield b"c"

    received = []

    async def script(stream: SocketStream, number: int) -> None:
        if number == 2:
            while not received or not received[-1].endswith(b"0\r\n\r\n"):
                received.append((received.pop() if received else b"") + await stream.receive())
        await stream.send(OK)

    async with serve(script) as server, httpx.AsyncClient(transport=GatewayTransport()) as client:
        await client.post(f"http://{server.address}/open", data={"hash": "a+b="})
        await client.post(f"http://{server.address}/open", content=parts())
    assert server.requests[0].endswith(b"\r\n\r\nhash=a%2Bb%3D")
    assert server.requests[1].partition(b"\r\n\r\n")[2] + b"".join(received) == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


async def test_another_target_may_stand_in_the_first_line(serve: Callable) -> None:
    async with serve(always(OK)) as server, GatewayTransport() as transport:
        await ask(transport, server.address, "OPTIONS", extensions={"target": b"*"})
    assert server.requests[0].startswith(b"OPTIONS * HTTP/1.1\r\n")


# One connection


async def test_reads_share_a_connection_and_everything_else_takes_a_fresh_one(serve: Callable) -> None:
    async with serve(always(OK)) as server, GatewayTransport(server.address) as transport:
        for method in ("GET", "OPTIONS", "GET"):
            await ask(transport, server.address, method)
        assert server.connections == 1
        for number, method in enumerate(("POST", "PUT", "DELETE"), start=2):
            await ask(transport, server.address, method)
            assert server.connections == number
        await ask(transport, server.address)
        assert server.connections == 4
        await ask(transport, server.address, headers={"Connection": "x, Close"})
        assert server.connections == 5
        await ask(transport, server.address)
        assert server.connections == 6


async def test_requests_go_one_after_the_other(serve: Callable) -> None:
    under_way = 0
    most = 0

    async def script(stream: SocketStream, _number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.sleep(0.005)
        under_way -= 1
        await stream.send(OK)

    async with serve(script) as server, GatewayTransport() as transport, anyio.create_task_group() as group:
        for method in ["GET", "POST"] * 5:
            group.start_soon(ask, transport, server.address, method)
    assert (most, len(server.requests)) == (1, 10)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200\r\n\r\n{}",
        OK,
    ],
)
async def test_a_gateway_that_closes_after_each_reply_works_the_same(serve: Callable, answer: bytes) -> None:
    async with serve(then_close(answer)) as server, GatewayTransport() as transport:
        for number in range(1, 4):
            assert await ask(transport, server.address) == b"{}"
            await server.ended.wait()
            server.ended = anyio.Event()
            assert server.connections == len(server.requests) == number


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\ncontent-length:   2  \r\n\r\n{}",
    ],
)
async def test_chunks_interim_answers_and_white_space_are_understood(serve: Callable, answer: bytes) -> None:
    async with serve(always(answer)) as server, GatewayTransport() as transport:
        for _ in range(2):
            assert await ask(transport, server.address) == b"{}"
        assert server.connections == 1


async def test_bytes_that_nobody_asked_for_end_the_connection(serve: Callable) -> None:
    async with serve(always(OK + OK)) as server, GatewayTransport() as transport:
        for _ in range(2):
            assert await ask(transport, server.address) == b"{}"
        assert server.connections == 2


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_ip_addresses(serve: Callable, host: str) -> None:
    async with serve(always(OK), host) as server, GatewayTransport() as transport:
        assert await ask(transport, server.address) == b"{}"


async def test_a_name_with_several_addresses(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(always(OK)) as server, GatewayTransport() as transport:
        port = int(server.address.rpartition(":")[2])

        places = [(f"127.0.0.{n}", port) for n in (3, 2, 1)]
        name_server(monkeypatch, {"gateway.test": lambda: places})
        assert await ask(transport, f"gateway.test:{port}") == b"{}"


# Where it leads


@pytest.mark.parametrize(
    "url",
    ["https://{}/", "ws://{}/", "http://127.0.0.2/", "http://localhost:{port}/", "http://{}1/", "http:///x", "/x"],
)
@pytest.mark.parametrize("given", [True, False])
async def test_it_leads_to_one_gateway_only(serve: Callable, url: str, *, given: bool) -> None:
    async with serve(always(OK)) as server:
        async with GatewayTransport(server.address if given else None) as transport:
            if not given:
                await ask(transport, server.address)
            port = server.address.rpartition(":")[2]
            request = httpx.Request("GET", url.format(server.address, port=port))
            await fails(transport, request, httpx.UnsupportedProtocol, sent=False)
            await ask(transport, f"{server.address}")
        assert server.connections == 1


@pytest.mark.parametrize("host", ["bad host!", "https://h", "h/path"])
def test_its_host_is_a_gateways_address(host: str) -> None:
    with pytest.raises(ValueError, match="gateway"):
        GatewayTransport(host)


# Its end


async def test_once_closed_it_refuses_and_what_is_under_way_ends(serve: Callable) -> None:
    asked, release = anyio.Event(), anyio.Event()

    async def script(stream: SocketStream, _number: int) -> None:
        asked.set()
        await release.wait()
        await stream.send(OK)

    bodies = []
    async with serve(script) as server:
        transport = GatewayTransport()

        async def ask_once() -> None:
            bodies.append(await ask(transport, server.address))

        async with anyio.create_task_group() as group:
            group.start_soon(ask_once)
            await asked.wait()
            await transport.aclose()
            release.set()
        await server.ended.wait()
        request = request_for(server.address)
        with pytest.raises(RuntimeError, match="closed"):
            await transport.handle_async_request(request)
        assert request.extensions["sent"] is False
    assert (bodies, server.ends, len(server.requests)) == ([b"{}"], ["closed"], 1)


async def test_closing_closes_the_kept_connection(serve: Callable) -> None:
    async with serve(always(OK)) as server:
        async with GatewayTransport() as transport:
            await ask(transport, server.address)
        await server.ended.wait()
    assert server.ends == ["closed"]


# Under an AsyncGateway


def test_a_gateway_takes_no_transport_to_another() -> None:
    with pytest.raises(ValueError, match="another address"):
        AsyncGateway("192.168.0.26", transport=GatewayTransport("192.168.0.27"))
    AsyncGateway("192.168.0.26", transport=GatewayTransport("http://192.168.0.26:80/"))


async def test_under_a_gateway_it_is_the_librarys_own_wire() -> None:
    async with SimulatedGateway([SimulatedLocker(1, share_code=_CODES[1])], light=0, bluetooth=0) as sim:
        transport = GatewayTransport()
        async with AsyncGateway(sim.address, share_codes=_CODES, transport=transport, pacing=Pacing(0, 0)) as gateway:
            for _ in range(2):
                await gateway.lockers()
            await gateway.locker(1).open()
            await gateway.lockers()
        request = request_for(sim.address)
        with pytest.raises(RuntimeError, match="closed"):
            await transport.handle_async_request(request)
    assert [record.endpoint for record in sim.requests] == ["lockers", "lockers", "open", "lockers"]


async def test_a_gateway_waits_for_what_else_goes_through_its_transport(serve: Callable) -> None:
    release, asked = anyio.Event(), anyio.Event()
    devices = b'{"status": "ok", "devices": []}'

    async def script(stream: SocketStream, _number: int) -> None:
        asked.set()
        await release.wait()
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(devices) + devices)

    async with serve(script) as server, GatewayTransport() as transport, anyio.create_task_group() as group:
        gateway = AsyncGateway(server.address, transport=transport, pacing=Pacing(0, 0))
        group.start_soon(ask, transport, server.address)
        await asked.wait()
        with pytest.raises(TheKeysError) as caught:
            await gateway.lockers(timeout=0.05)
        assert not caught.value.may_have_executed
        assert (len(server.requests), server.connections) == (1, 1)
        release.set()
        assert await gateway.lockers() == ()
        assert (len(server.requests), server.connections) == (2, 1)
        await gateway.aclose()
