"""What `GatewayTransport` knows about a request that failed, and that no connection is used after a failure."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream

from thekeys_async import GatewayTransport
from thekeys_async.transport.connection import Connection

from .scripts import OK, always, ask, fails, request_for, then_close

pytestmark = pytest.mark.anyio


async def _hang(stream: SocketStream, _number: int) -> None:
    await stream.receive()


def _hang_when_asked() -> tuple[anyio.Event, Callable]:
    asked = anyio.Event()

    async def script(stream: SocketStream, number: int) -> None:
        asked.set()
        await _hang(stream, number)

    return asked, script


async def test_what_can_not_be_sent_is_not(serve: Callable) -> None:
    def sync_parts():
        yield b""

    async with serve(always(OK)) as server, GatewayTransport() as transport:
        for request in [
            request_for(server.address, "CONNECT"),
            request_for(server.address, headers={"Upgrade": "websocket"}),
            request_for(server.address, headers={"X": "a\r\nY: b"}),
            request_for(server.address, "GET /\r\nX:"),
            request_for(server.address, "GÉT"),
            request_for(server.address, "POST", content=b"abc", headers={"Content-Length": "2"}),
            request_for(server.address, "POST", content=b"abc", headers={"Content-Length": "4"}),
            request_for(server.address, "POST", content=sync_parts()),
        ]:
            await fails(transport, request, httpx.LocalProtocolError, sent=False)
    assert server.connections == 0


async def test_a_gateway_that_is_not_there_was_never_asked() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        request = request_for(f"127.0.0.1:{reserved.getsockname()[1]}", "POST")
        async with GatewayTransport() as transport:
            await fails(transport, request, httpx.ConnectError, sent=False)


async def test_a_connection_that_does_not_come_was_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thekeys_async.transport.gateway_transport.connect", lambda _: anyio.sleep_forever())
    async with httpx.AsyncClient(transport=GatewayTransport(), timeout=httpx.Timeout(None, connect=0.01)) as client:
        request = client.build_request("POST", "http://127.0.0.1/")
        with pytest.raises(httpx.ConnectTimeout):
            await client.send(request)
        assert request.extensions["sent"] is False


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 5.0), ({}, 5.0), ({"connect": None}, None)])
async def test_a_connection_may_take_5_seconds_unless_the_request_says_otherwise(
    serve: Callable, monkeypatch: pytest.MonkeyPatch, timeout: dict | None, seconds: float | None
) -> None:
    asked = []
    move_on_after = anyio.move_on_after
    monkeypatch.setattr(anyio, "move_on_after", lambda delay: asked.append(delay) or move_on_after(delay))
    async with serve(always(OK)) as server, GatewayTransport() as transport:
        await ask(transport, server.address, extensions={} if timeout is None else {"timeout": timeout})
    assert asked[0] == seconds
    assert set(asked[1:]) == {None}


async def test_who_waits_too_long_for_the_connection_has_sent_nothing(serve: Callable) -> None:
    asked, script = _hang_when_asked()
    async with serve(script) as server, GatewayTransport() as transport, anyio.create_task_group() as group:
        group.start_soon(ask, transport, server.address)
        await asked.wait()
        request = request_for(server.address, "POST", extensions={"timeout": {"pool": 0.01}})
        await fails(transport, request, httpx.PoolTimeout, sent=False)
        group.cancel_scope.cancel()
    assert len(server.requests) == 1


async def test_no_time_to_wait_is_enough_for_a_free_connection(serve: Callable) -> None:
    async with serve(always(OK)) as server, GatewayTransport() as transport:
        await ask(transport, server.address, extensions={"timeout": {"pool": 0}})


@pytest.mark.parametrize("before_answer", [b"", b"HTTP/1.1 2", OK[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_reply_that_does_not_come_in_time(serve: Callable, before_answer: bytes) -> None:
    async def script(stream: SocketStream, _number: int) -> None:
        if before_answer:
            await stream.send(before_answer)
        await _hang(stream, _number)

    async with serve(script) as server, GatewayTransport() as transport:
        for number in (1, 2):
            request = request_for(server.address, extensions={"timeout": {"read": 0.05}})
            await fails(transport, request, httpx.ReadTimeout, sent=True)
            await server.ended.wait()
            server.ended = anyio.Event()
            assert server.connections == len(server.ends) == number
    assert set(server.ends) == {"reset"}


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_reply_that_is_cut_off(serve: Callable, answer: bytes, method: str) -> None:
    async with serve(then_close(answer)) as server, GatewayTransport() as transport:
        for _ in range(2):
            await fails(transport, request_for(server.address, method), httpx.RemoteProtocolError, sent=True)
    assert server.connections == 2


async def test_a_connection_that_is_reset(serve: Callable) -> None:
    async def reset(stream: SocketStream, _number: int) -> None:
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()

    async with serve(reset) as server, GatewayTransport() as transport:
        error = await fails(transport, request_for(server.address, "POST"), httpx.ReadError, sent=True)
    assert "reset" in str(error).lower()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 100_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 100_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + OK,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ],
)
async def test_a_reply_beyond_the_limits_or_beyond_http_ends_the_connection(serve: Callable, answer: bytes) -> None:
    async with serve(always(answer)) as server, GatewayTransport() as transport:
        for _ in range(2):
            await fails(transport, request_for(server.address), httpx.RemoteProtocolError, sent=True)
        assert server.connections == 2


async def _flood() -> AsyncGenerator[bytes, None]:
    while True:
        yield b" " * 65536


async def test_a_request_that_the_gateway_does_not_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        async with GatewayTransport() as transport, aclosing(_flood()) as flood:
            request = request_for(address, "POST", content=flood, extensions={"timeout": {"write": 0.05}})
            await fails(transport, request, httpx.WriteTimeout, sent=True)


async def test_a_request_that_the_gateway_cuts_off() -> None:
    async def refuse(stream: SocketStream) -> None:
        async with stream:
            await stream.receive(1)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, GatewayTransport() as transport, anyio.create_task_group() as group:
        group.start_soon(listener.serve, refuse)
        address = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with aclosing(_flood()) as flood:
            await fails(transport, request_for(address, "POST", content=flood), httpx.WriteError, sent=True)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("length", ["1", "3"])
async def test_a_body_that_is_not_as_long_as_it_said(serve: Callable, length: str) -> None:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield b"ab"

    async with serve(_hang) as server, GatewayTransport() as transport, aclosing(parts()) as body:
        request = request_for(server.address, "POST", content=body, headers={"Content-Length": length})
        await fails(transport, request, httpx.WriteError, sent=True)
        await server.ended.wait()
    assert server.ends == ["reset"]


async def test_a_send_that_takes_nothing_has_sent_nothing(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_connection: Connection, _data: bytes) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    async with serve(always(OK)) as server, GatewayTransport() as transport:
        monkeypatch.setattr(Connection, "send", broken)
        await fails(transport, request_for(server.address, "POST"), httpx.ConnectError, sent=False)
        sent_before = request_for(server.address, "POST", extensions={"sent": True})
        await fails(transport, sent_before, httpx.ConnectError, sent=True)


async def test_a_cancelled_request_says_whether_it_was_sent(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, script = _hang_when_asked()
    async with serve(script) as server, GatewayTransport() as transport, anyio.create_task_group() as group:
        first, waiting = request_for(server.address, "POST"), request_for(server.address, "POST")
        group.start_soon(transport.handle_async_request, first)
        await asked.wait()
        group.start_soon(transport.handle_async_request, waiting)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert (first.extensions["sent"], waiting.extensions["sent"]) == (True, False)
    assert len(server.requests) == 1


async def test_a_cancelled_request_leaves_no_connection_and_no_turn(serve: Callable) -> None:
    asked, hang = _hang_when_asked()

    async def script(stream: SocketStream, number: int) -> None:
        await (hang(stream, number) if number == 1 else stream.send(OK))

    async with serve(script) as server, GatewayTransport() as transport:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, transport, server.address)
            await asked.wait()
            group.cancel_scope.cancel()
        await server.ended.wait()
        assert server.ends == ["reset"]
        assert await ask(transport, server.address) == b"{}"
        assert server.connections == 2


async def test_who_is_cancelled_while_connecting_has_sent_nothing(serve: Callable) -> None:
    async with serve(always(OK)) as server, GatewayTransport() as transport:
        request = request_for(server.address, "POST")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await transport.handle_async_request(request)
        assert request.extensions["sent"] is False
        assert await ask(transport, server.address) == b"{}"
    assert len(server.requests) == 1


async def test_a_request_that_was_sent_once_stays_so(serve: Callable) -> None:
    async with serve(then_close(b"")) as server, GatewayTransport() as transport:
        request = request_for(server.address)
        await fails(transport, request, httpx.RemoteProtocolError, sent=True)
        request.extensions["timeout"] = {"connect": 0}
        await fails(transport, request, httpx.ConnectTimeout, sent=True)


async def test_a_dead_kept_connection_is_noticed_before_it_is_used(serve: Callable) -> None:
    async with serve(then_close(OK)) as server, GatewayTransport() as transport:
        await ask(transport, server.address)
        await server.ended.wait()
        assert await ask(transport, server.address) == b"{}"
    assert len(server.requests) == 2


async def test_a_trace_may_refuse_at_the_last_moment(serve: Callable) -> None:
    async def refuse(event: str, _info: dict) -> None:
        assert event == "http11.send_request_headers.started"
        assert request.extensions["sent"] is False
        raise ArithmeticError

    async with serve(always(OK)) as server, GatewayTransport() as transport:
        request = request_for(server.address, extensions={"trace": refuse})
        with pytest.raises(ArithmeticError):
            await transport.handle_async_request(request)
        assert request.extensions["sent"] is False
        await server.ended.wait()
    assert (server.requests, server.ends) == ([], ["closed"])


async def test_a_gateway_that_speaks_before_it_is_asked_is_not_asked() -> None:
    async def speak(stream: SocketStream) -> None:
        async with stream:
            await stream.send(OK)
            spoken.set()
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                received.append(await stream.receive())
        heard.set()

    async def after_it_has_spoken(_event: str, _info: dict) -> None:
        await spoken.wait()

    spoken, heard, received = anyio.Event(), anyio.Event(), []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, GatewayTransport() as transport, anyio.create_task_group() as group:
        group.start_soon(listener.serve, speak)
        address = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        request = request_for(address, "POST", extensions={"trace": after_it_has_spoken})
        await fails(transport, request, httpx.ConnectError, sent=False)
        await heard.wait()
        group.cancel_scope.cancel()
    assert received == []
