"""Through an httpx client or transport of the caller's: what goes out, and what is known when it fails."""

import gc
import math
from collections.abc import AsyncIterator, Callable

import anyio
import httpx
import pytest
import respx

from tests.sample import CODE
from thekeys_async import (
    AsyncGateway,
    DoorState,
    GatewayTransport,
    GatewayUnreachableError,
    OutcomeUnknownError,
    Pacing,
    ProtocolError,
    RequestTimeoutError,
    Timestamps,
)
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.requests import SignedRequest
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker
from thekeys_async.transport import httpx_wire
from thekeys_async.transport.wire import Attempt, NotSentError

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.usefixtures("quick_backoff")]

_CODES = {1: CODE}
_OPTIONS = {
    "share_codes": _CODES,
    "pacing": Pacing(0, 0),
    "timestamps": Timestamps(max_lead=math.inf),
    "timeout": 0.6,
}
_DONE = {"status": "ok", "code": 0}


class _Failing(httpx.AsyncBaseTransport):
    """A transport that counts, fails, and remembers whether it was closed."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        raise self.error

    async def aclose(self) -> None:
        self.closed = True


class _Endless(httpx.AsyncByteStream):
    closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.closed:
            yield b" " * 1000

    async def aclose(self) -> None:
        self.closed = True


async def test_a_mock_transport_answers() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, str(request.url), request.headers.get("content-type")))
        return httpx.Response(200, json={"status": "Door open", "code": 50})

    async with AsyncGateway("192.168.0.26", transport=httpx.MockTransport(answer), **_OPTIONS) as gateway:
        assert (await gateway.locker(1).status()).state is DoorState.OPEN
    assert seen == [("POST", "http://192.168.0.26/locker_status", "application/x-www-form-urlencoded")]


async def test_a_respx_router_answers() -> None:
    router = respx.MockRouter(base_url="http://192.168.0.26", assert_all_called=True)
    route = router.post("/open").respond(json=_DONE)
    transport = httpx.MockTransport(router.async_handler)
    async with AsyncGateway("192.168.0.26", transport=transport, **_OPTIONS) as gateway:
        assert (await gateway.locker(1).open()).attempts == 1
    assert route.call_count == 1
    assert b"hash=" in route.calls.last.request.content


async def test_a_client_sends_neither_its_credentials_nor_its_headers_and_follows_no_redirect() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(307, headers={"Location": "http://elsewhere.test/open"})

    async with httpx.AsyncClient(
        auth=("user", "password"),
        headers={"X-Secret": "1"},
        cookies={"session": "1"},
        follow_redirects=True,
        transport=httpx.MockTransport(answer),
    ) as client:
        async with AsyncGateway("192.168.0.26", client=client, **_OPTIONS) as gateway:
            with pytest.raises(OutcomeUnknownError):
                await gateway.locker(1).open()
            with pytest.raises(ProtocolError):
                await gateway.lockers()
        assert not client.is_closed
    assert [request.url.host for request in seen] == ["192.168.0.26"] * 2
    for request in seen:
        assert not {"authorization", "x-secret", "cookie"} & set(request.headers)


async def test_a_transport_is_closed_with_its_gateway() -> None:
    transport = _Failing(httpx.ConnectError("refused"))
    async with AsyncGateway("192.168.0.26", transport=transport, **_OPTIONS):
        assert not transport.closed
    assert transport.closed


async def test_only_a_failed_connect_proves_that_nothing_was_sent() -> None:
    transport = _Failing(httpx.ConnectError("refused"))
    async with AsyncGateway("192.168.0.26", transport=transport, **_OPTIONS) as gateway:
        with pytest.raises(GatewayUnreachableError) as caught:
            await gateway.locker(1).open()
    assert not caught.value.may_have_executed
    assert transport.calls > 1


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectTimeout("after the server had acted"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.WriteError("x"),
        ConnectionResetError("x"),
    ],
)
async def test_any_other_failure_leaves_a_command_unknown(error: Exception) -> None:
    transport = _Failing(error)
    async with AsyncGateway("192.168.0.26", transport=transport, **_OPTIONS) as gateway:
        with pytest.raises(OutcomeUnknownError):
            await gateway.locker(1).open()
        assert transport.calls == 1
        with pytest.raises((GatewayUnreachableError, RequestTimeoutError)):
            await gateway.lockers()


async def test_httpcore_says_whether_the_connection_was_opened() -> None:
    async with SimulatedGateway([SimulatedLocker(1, share_code=_CODES[1])], light=0, bluetooth=0) as sim:
        await sim.stop()
        transport = httpx.AsyncHTTPTransport(trust_env=False)
        async with AsyncGateway(sim.address, transport=transport, **_OPTIONS) as gateway:
            with pytest.raises(GatewayUnreachableError):
                await gateway.locker(1).open()


async def test_an_endless_body_is_cut_off() -> None:
    body = _Endless()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=body)

    async with AsyncGateway("192.168.0.26", transport=httpx.MockTransport(answer), **_OPTIONS) as gateway:
        with pytest.raises(OutcomeUnknownError):
            await gateway.locker(1).open()
    assert body.closed


async def test_a_subclass_of_the_gateways_transport_gets_every_request() -> None:
    class Recording(GatewayTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return await super().handle_async_request(request)

    seen: list[httpx.Request] = []
    async with (
        SimulatedGateway([SimulatedLocker(1, share_code=_CODES[1])], light=0, bluetooth=0) as sim,
        AsyncGateway(sim.address, transport=Recording(), **_OPTIONS) as gateway,
    ):
        await gateway.lockers()
        await gateway.locker(1).open()
    assert [(request.url.path, request.extensions["sent"]) for request in seen] == [("/lockers", True), ("/open", True)]


@pytest.mark.parametrize("late", [math.inf, -math.inf])
@pytest.mark.parametrize("inside", [httpx.AsyncHTTPTransport, GatewayTransport])
async def test_a_connection_that_comes_too_late_sends_nothing(
    late: float, inside: Callable[[], httpx.AsyncBaseTransport]
) -> None:
    async with SimulatedGateway([SimulatedLocker(1)], light=0, bluetooth=0) as sim, inside() as transport:
        client = httpx.AsyncClient(transport=transport)
        wire = httpx_wire.wire(Address.parse(sim.address), client, None)
        attempt = Attempt(send_by=late)
        if late > 0:
            assert (await wire.exchange(lambda: SignedRequest("GET", "/lockers"), attempt, fresh=True)).succeeded
        else:
            with pytest.raises(NotSentError, match="too late"):
                await wire.exchange(lambda: SignedRequest("GET", "/lockers"), attempt, fresh=True)
        assert attempt.sent is (late > 0)
        assert len(sim.requests) == attempt.sent


async def test_a_cancelled_wait_for_the_connection_is_known_to_have_sent_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("thekeys_async.transport.gateway_transport.connect", lambda _: anyio.sleep_forever())
    wire = httpx_wire.wire(Address("127.0.0.1"), httpx.AsyncClient(transport=GatewayTransport()), None)
    attempt = Attempt()
    with anyio.move_on_after(0.01):
        await wire.exchange(lambda: SignedRequest("POST", "/open", b"identifier=1"), attempt, fresh=True)
    assert not attempt.sent


async def test_a_send_that_is_cancelled_leaves_nothing_to_the_collector() -> None:
    class Stuck(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            async for _ in request.stream:
                await anyio.sleep_forever()
            raise AssertionError

    wire = httpx_wire.wire(Address("127.0.0.1"), None, Stuck())
    attempt = Attempt()
    with anyio.move_on_after(0.01):
        await wire.exchange(lambda: SignedRequest("POST", "/open", b"identifier=1"), attempt, fresh=True)
    gc.collect()
    assert attempt.sent


def test_a_client_and_a_transport_are_too_much() -> None:
    with pytest.raises(ValueError, match="not both"):
        AsyncGateway("h", client=httpx.AsyncClient(verify=False), transport=httpx.MockTransport(lambda _: None))


class _GoesOnElsewhere(httpx.AsyncBaseTransport):
    """Tries the library's own transport, and when that finds nobody another one, at another address."""

    def __init__(self, port: int, second: httpx.AsyncBaseTransport, *, copies: bool) -> None:
        self.first, self.second, self.port, self.copies = GatewayTransport(), second, port, copies

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self.first.handle_async_request(request)
        except httpx.ConnectError:
            url = f"http://127.0.0.1:{self.port}{request.url.path}"
            if self.copies:
                request = httpx.Request(
                    request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
                )
            request.url = httpx.URL(url)
            return await self.second.handle_async_request(request)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.HANG_AFTER])
@pytest.mark.parametrize("second", [lambda: httpx.AsyncHTTPTransport(trust_env=False, verify=False), GatewayTransport])
async def test_the_word_of_the_first_transport_is_not_believed_when_a_second_one_was_tried(
    second: Callable[[], httpx.AsyncBaseTransport], fault: Fault, *, copies: bool
) -> None:
    async with SimulatedGateway([SimulatedLocker(1, share_code=_CODES[1])], light=0, bluetooth=0) as sim:
        sim.fail(fault, times=1000)
        transport = _GoesOnElsewhere(int(sim.address.rpartition(":")[2]), second(), copies=copies)
        async with AsyncGateway("127.0.0.1:1", transport=transport, **_OPTIONS) as gateway:
            with pytest.raises(OutcomeUnknownError):
                await gateway.locker(1).open()
        assert [record.endpoint for record in sim.requests] == ["open"]
        await transport.first.aclose()
        await transport.second.aclose()


async def test_a_transport_that_answers_at_once_lets_others_run_and_hears_of_a_cancellation() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"status": "ok", "devices": []} if request.method == "GET" else _DONE)

    async with AsyncGateway("gateway.test", transport=httpx.MockTransport(answer), **_OPTIONS) as gateway:
        for call, path in ((gateway.lockers, "/lockers"), (gateway.locker(1).open, "/open")):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call()
            assert scope.cancelled_caught
            assert path not in asked
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(_cancel, scope)
                while len(asked) < 1000:
                    await gateway.lockers()
        assert len(asked) < 10


async def _cancel(scope: anyio.CancelScope) -> None:
    scope.cancel()
