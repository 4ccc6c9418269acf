"""The wire on real sockets: what it reuses, what it refuses, and what it knows about a request that failed."""

import functools
import socket
import threading
from collections.abc import Callable

import anyio
import pytest

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.requests import SignedRequest
from thekeys_async.transport.connection import Connection
from thekeys_async.transport.wire import (
    Attempt,
    ExchangeError,
    NoAnswerError,
    NotSentError,
    SocketWire,
    UnusableAnswerError,
)

from .scripts import OK, always, name_server, then_close

pytestmark = pytest.mark.anyio

_READ = SignedRequest("GET", "/lockers")
_COMMAND = SignedRequest("POST", "/open", b"identifier=1")


async def _read(wire: SocketWire) -> bytes:
    return (await wire.exchange(lambda: _READ, Attempt(), fresh=False)).body


async def _fails(wire: SocketWire, expected: type[ExchangeError], *, sent: bool, fresh: bool = False) -> None:
    attempt = Attempt()
    with pytest.raises(expected) as caught:
        await wire.exchange(lambda: _COMMAND if fresh else _READ, attempt, fresh=fresh)
    assert type(caught.value) is expected
    assert attempt.sent is sent


async def test_reads_share_a_connection_and_a_command_takes_a_fresh_one(serve: Callable) -> None:
    async with serve(always(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        for _ in range(3):
            assert await _read(wire) == b"{}"
        assert server.connections == 1
        await wire.exchange(lambda: _COMMAND, Attempt(), fresh=True)
        assert server.connections == 2
        assert server.ends == ["closed"]
        await _read(wire)
        assert server.connections == 2
        wire.close()


async def test_what_is_sent_is_plain_http(serve: Callable) -> None:
    async with serve(always(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        await wire.exchange(lambda: _COMMAND, Attempt(), fresh=True)
        wire.close()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /open HTTP/1.1"
    assert b"Host: " + server.address.encode() in lines
    assert b"Content-Type: application/x-www-form-urlencoded" in lines
    assert b"Content-Length: 12" in lines
    assert body == b"identifier=1"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200\r\n\r\n{}",
    ],
)
async def test_a_gateway_that_closes_after_each_reply_works_the_same(serve: Callable, answer: bytes) -> None:
    async with serve(then_close(answer)) as server:
        wire = SocketWire(Address.parse(server.address))
        for _ in range(3):
            assert await _read(wire) == b"{}"
        wire.close()
    assert server.connections == 3
    assert len(server.requests) == 3


async def test_a_dead_kept_connection_is_noticed_before_it_is_used(serve: Callable) -> None:
    async with serve(then_close(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        await _read(wire)
        await server.ended.wait()
        await _read(wire)
        wire.close()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\ncontent-length:   2  \r\n\r\n{}",
    ],
)
async def test_chunks_interim_answers_and_white_space_are_understood(serve: Callable, answer: bytes) -> None:
    async with serve(always(answer)) as server:
        wire = SocketWire(Address.parse(server.address))
        assert await _read(wire) == b"{}"
        assert await _read(wire) == b"{}"
        wire.close()
    assert server.connections == 1


async def test_a_reply_that_comes_byte_by_byte_is_whole(serve: Callable) -> None:
    async def drip(stream: anyio.abc.SocketStream, _number: int) -> None:
        for byte in OK:
            await stream.send(bytes([byte]))

    async with serve(drip) as server:
        wire = SocketWire(Address.parse(server.address))
        assert await _read(wire) == b"{}"
        wire.close()


async def test_bytes_that_nobody_asked_for_end_the_connection(serve: Callable) -> None:
    async with serve(always(OK + OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        await _read(wire)
        await _read(wire)
        assert server.connections == 2
        wire.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 100_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 100_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n{}",
    ],
)
async def test_an_answer_beyond_the_limits_or_beyond_http_is_unusable(serve: Callable, answer: bytes) -> None:
    async with serve(always(answer)) as server:
        wire = SocketWire(Address.parse(server.address))
        await _fails(wire, UnusableAnswerError, sent=True)
        await _fails(wire, UnusableAnswerError, sent=True)
        assert server.connections == 2
        wire.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
async def test_a_connection_that_ends_within_the_answer_is_no_answer(serve: Callable, answer: bytes) -> None:
    async with serve(then_close(answer)) as server:
        wire = SocketWire(Address.parse(server.address))
        await _fails(wire, NoAnswerError, sent=True)
        await _fails(wire, NoAnswerError, sent=True, fresh=True)
        wire.close()


async def test_a_refused_connection_was_never_sent() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        wire = SocketWire(Address.parse(f"127.0.0.1:{reserved.getsockname()[1]}"))
        await _fails(wire, NotSentError, sent=False)
        await _fails(wire, NotSentError, sent=False, fresh=True)


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "fe80::1%no-such-zone", "fe80::1%é"])
async def test_an_address_that_leads_nowhere_was_never_asked(host: str) -> None:
    await _fails(SocketWire(Address.parse(host)), NotSentError, sent=False)


async def test_what_prepare_refuses_is_not_sent(serve: Callable) -> None:
    def refuse() -> SignedRequest:
        raise KeyError("too late")

    async with serve(always(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        attempt = Attempt()
        with pytest.raises(KeyError):
            await wire.exchange(refuse, attempt, fresh=True)
        assert not attempt.sent
        await server.ended.wait()
        assert server.requests == []
        assert server.ends == ["closed"]


async def test_a_connection_that_takes_no_byte_has_sent_nothing(
    serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_connection: Connection, _data: bytes) -> None:
        raise ConnectionResetError

    async with serve(always(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "send", gone)
            await _fails(wire, NotSentError, sent=False)
            await _fails(wire, NotSentError, sent=False, fresh=True)
        assert await _read(wire) == b"{}"
        wire.close()
    assert len(server.requests) == 1


async def test_a_request_that_the_kernel_does_not_take_at_once_is_sent_to_its_end(serve: Callable) -> None:
    body = b"x" * 10_000_000
    async with serve(always(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        with anyio.fail_after(30):
            await wire.exchange(lambda: SignedRequest("POST", "/open", body), Attempt(), fresh=True)
        wire.close()
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


async def test_a_connection_given_up_with_a_request_outstanding_is_aborted(serve: Callable) -> None:
    asked = anyio.Event()

    async def hang(stream: anyio.abc.SocketStream, _number: int) -> None:
        asked.set()
        await stream.receive()

    async with serve(hang) as server:
        wire = SocketWire(Address.parse(server.address))
        attempt = Attempt()
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: wire.exchange(lambda: _COMMAND, attempt, fresh=True))
            await asked.wait()
            group.cancel_scope.cancel()
        assert attempt.sent
        await server.ended.wait()
        assert server.ends == ["reset"]
        wire.close()


async def test_a_wire_that_is_closed_keeps_no_connection(serve: Callable) -> None:
    async with serve(always(OK)) as server:
        wire = SocketWire(Address.parse(server.address))
        wire.close()
        await _read(wire)
        await server.ended.wait()
        assert server.ends == ["closed"]


async def test_ipv6(serve: Callable) -> None:
    async with serve(always(OK), "::1") as server:
        wire = SocketWire(Address.parse(server.address))
        assert await _read(wire) == b"{}"
        wire.close()


@pytest.mark.parametrize("dead_first", [True, False])
async def test_a_name_with_several_addresses(
    serve: Callable, monkeypatch: pytest.MonkeyPatch, *, dead_first: bool
) -> None:
    async with serve(always(OK)) as server:
        port = int(server.address.rpartition(":")[2])
        places = [("127.0.0.1", port), ("127.0.0.2", port)]

        def look_up() -> list:
            return list(reversed(places) if dead_first else places)

        name_server(monkeypatch, {"gateway.test": look_up})
        wire = SocketWire(Address("gateway.test", port))
        assert await _read(wire) == b"{}"
        wire.close()
        places[:] = [("127.0.0.2", port), ("127.0.0.3", port)]
        await _fails(SocketWire(Address("gateway.test", port)), NotSentError, sent=False)


async def test_names_that_nobody_answers_for_keep_no_other_gateway_waiting(
    serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def dead() -> list:
        over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async with serve(always(OK)) as server, anyio.create_task_group() as group:
        port = int(server.address.rpartition(":")[2])
        fails = functools.partial(_fails, sent=False)
        names = {f"dead{n}.test": dead for n in range(60)}
        name_server(monkeypatch, {**names, "gateway.test": lambda: [("127.0.0.1", port)]})
        try:
            for name in names:
                group.start_soon(fails, SocketWire(Address(name, port)), NotSentError)
            await anyio.wait_all_tasks_blocked()
            wire = SocketWire(Address("gateway.test", port))
            assert await _read(wire) == b"{}"
            wire.close()
        finally:
            over.set()
            group.cancel_scope.cancel()


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_gateway_that_speaks_before_it_is_asked_is_not_asked(*, fresh: bool) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    received = []

    async def speak(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(OK)
            spoken.set()
            try:
                received.append(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                received.append(b"")
            heard.set()

    spoken, heard = anyio.Event(), anyio.Event()
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, speak)
        with pytest.MonkeyPatch.context() as patch:

            async def late(sock: socket.socket) -> None:
                await connected(sock)
                await spoken.wait()

            connected = anyio.wait_writable
            patch.setattr(anyio, "wait_writable", late)
            wire = SocketWire(Address.parse(f"127.0.0.1:{port}"))
            await _fails(wire, NotSentError, sent=False, fresh=fresh)
        await heard.wait()
        group.cancel_scope.cancel()
    assert received == [b""]


async def test_a_connection_that_does_not_come_about_in_time_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_address: Address) -> socket.socket:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr("thekeys_async.transport.wire.connect", never)
    monkeypatch.setattr("thekeys_async.transport.wire.CONNECT_SECONDS", 0.02)
    await _fails(SocketWire(Address.parse("192.0.2.1")), NotSentError, sent=False)
