"""Every fault of a gateway, on a read and on a command: the right error, in time, and the next call works."""

import logging
import time
import traceback
from collections.abc import Callable

import anyio
import httpx
import pytest

import thekeys_async
from tests.sample import CODE
from thekeys_async import (
    AsyncGateway,
    GatewayBusyError,
    GatewayClockError,
    GatewayTransport,
    GatewayUnreachableError,
    InvalidHmacError,
    LockerNotDetectedError,
    MissingShareCodeError,
    OutcomeUnknownError,
    Pacing,
    ProtocolError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.gateway import driver_of
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.usefixtures("quick_backoff")]

_FAST = Pacing(0, 0)
_ALWAYS = 1000


_WIRES: dict[str, Callable[[], dict]] = {
    "own": dict,
    "httpx": lambda: {"transport": httpx.AsyncHTTPTransport(trust_env=False)},
    "own as transport": lambda: {"transport": GatewayTransport()},
    "own behind a client": lambda: {"client": httpx.AsyncClient(transport=GatewayTransport(), trust_env=False)},
}


@pytest.fixture(params=_WIRES)
def wire(request: pytest.FixtureRequest) -> Callable[[], dict]:
    """The library's own wire in all the ways of using it, and httpx's in its place."""
    return _WIRES[request.param]


def _simulated(**options: object) -> SimulatedGateway:
    return SimulatedGateway([SimulatedLocker(1, share_code=CODE)], **({"light": 0, "bluetooth": 0} | options))


async def _expect(error: type[TheKeysError], call: Callable, *, may: bool, timeout: float) -> TheKeysError:
    started = anyio.current_time()
    with pytest.raises(error) as caught:
        await call(timeout=timeout)
    assert type(caught.value) is error
    assert caught.value.may_have_executed is may
    assert anyio.current_time() - started < timeout + 1.5
    return caught.value


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RESET_BEFORE, GatewayUnreachableError),
        (Fault.RESET_AFTER, GatewayUnreachableError),
        (Fault.HALF_REPLY, GatewayUnreachableError),
        (Fault.HTML_500, ProtocolError),
        (Fault.EMPTY_BODY, ProtocolError),
        (Fault.TRUNCATED_JSON, ProtocolError),
        (Fault.NOT_JSON, ProtocolError),
        (Fault.GIANT_BODY, ProtocolError),
        (Fault.REDIRECT, ProtocolError),
        (Fault.HANG, RequestTimeoutError),
        (Fault.HANG_AFTER, RequestTimeoutError),
        (Fault.BUSY, GatewayBusyError),
    ],
)
async def test_a_read_that_keeps_failing(wire: Callable, fault: Fault, error: type[TheKeysError]) -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, pacing=_FAST, **wire()) as gateway:
        sim.fail(fault, times=_ALWAYS)
        timeout = 0.4 if error in {RequestTimeoutError, GatewayBusyError} else 10.0
        await _expect(error, gateway.lockers, may=False, timeout=timeout)
        sim.clear_faults()
        assert await gateway.lockers()


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.HALF_REPLY, Fault.DRIP, Fault.BUSY])
async def test_a_read_that_fails_once_is_repeated(wire: Callable, fault: Fault) -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, pacing=_FAST, **wire()) as gateway:
        sim.fail(fault, seconds=0.0)
        assert await gateway.lockers(timeout=5)


async def test_a_read_without_an_answer_is_repeated_twice_at_most() -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, pacing=_FAST) as gateway:
        sim.fail(Fault.RESET_AFTER, times=_ALWAYS)
        await _expect(GatewayUnreachableError, gateway.lockers, may=False, timeout=10)
        assert len(sim.requests) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RESET_BEFORE, OutcomeUnknownError),
        (Fault.RESET_AFTER, OutcomeUnknownError),
        (Fault.HALF_REPLY, OutcomeUnknownError),
        (Fault.HTML_500, OutcomeUnknownError),
        (Fault.EMPTY_BODY, OutcomeUnknownError),
        (Fault.TRUNCATED_JSON, OutcomeUnknownError),
        (Fault.NOT_JSON, OutcomeUnknownError),
        (Fault.GIANT_BODY, OutcomeUnknownError),
        (Fault.REDIRECT, OutcomeUnknownError),
        (Fault.HANG, OutcomeUnknownError),
        (Fault.HANG_AFTER, OutcomeUnknownError),
    ],
)
async def test_a_command_that_fails_is_sent_once_and_says_what_is_not_known(
    wire: Callable, fault: Fault, error: type[TheKeysError]
) -> None:
    async with (
        _simulated() as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST, **wire()) as gateway,
    ):
        door = gateway.locker(1)
        sim.fail(fault, on="open")
        await _expect(error, door.open, may=True, timeout=0.6 if fault in {Fault.HANG, Fault.HANG_AFTER} else 10)
        assert [record.endpoint for record in sim.requests] == ["open"]
        assert sim.lockers[1].opened_count == fault.acts
        sim.clear_faults()
        await door.close()
        assert [record.endpoint for record in sim.requests if record.acted][-1] == "close"


async def test_a_command_to_a_gateway_that_refuses_connections_is_sent_when_it_is_back(wire: Callable) -> None:
    async with (
        _simulated() as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST, **wire()) as gateway,
    ):
        sim.fail(Fault.REFUSE, seconds=0.1)
        assert (await gateway.locker(1).open()).attempts == 1
        assert sim.lockers[1].opened_count == 1


@pytest.mark.parametrize("method", ["open", "status"])
async def test_a_gateway_that_is_not_there_was_never_asked(wire: Callable, method: str) -> None:
    async with _simulated() as sim:
        await sim.stop()
        async with AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST, **wire()) as gateway:
            await _expect(GatewayUnreachableError, getattr(gateway.locker(1), method), may=False, timeout=0.2)
            await sim.start()
            await gateway.locker(1).open()


@pytest.mark.parametrize(
    ("code", "error", "may"),
    [
        (32, "NotSharedError", False),
        (35, "LockerIncompatibleError", False),
        (36, "InvalidKeyError", False),
        (37, "LockerFaultError", True),
        (400, "MissingParameterError", False),
    ],
)
async def test_a_refusal_is_not_asked_again(code: int, error: str, *, may: bool) -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST) as gateway:
        sim.error(code, on="open", times=_ALWAYS)
        caught = await _expect(getattr(thekeys_async, error), gateway.locker(1).open, may=may, timeout=5)
        assert caught.code == code
        assert len(sim.requests) == 1


async def test_34_is_asked_once_more() -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST) as gateway:
        sim.error(34, on="open")
        assert (await gateway.locker(1).open()).attempts == 2
        sim.vanish(1)
        await _expect(LockerNotDetectedError, gateway.locker(1).open, may=False, timeout=5)
        assert len(sim.requests) == 4


async def test_a_wrong_share_code_ends_as_such_and_says_what_else_it_may_be() -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, share_codes={1: "wrong"}, pacing=_FAST) as gateway:
        error = await _expect(InvalidHmacError, gateway.locker(1).open, may=False, timeout=5)
        assert len(sim.requests) == 2
        for cause in ("share code", "another program", "clock"):
            assert cause in str(error)


@pytest.mark.parametrize("number", [33, 34, 38])
async def test_a_command_is_not_sent_again_after_an_answer_that_contradicts_itself(serve, number: int) -> None:
    async def contradict(stream, _count) -> None:
        body = b'{"status": "ok", "code": %d}' % number
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with (
        serve(contradict) as seen,
        AsyncGateway(seen.address, share_codes={1: CODE}, pacing=_FAST) as gateway,
    ):
        error = await _expect(OutcomeUnknownError, gateway.locker(1).open, may=True, timeout=5)
        assert error.code == number
        first = driver_of(gateway).shared().allocator.last
        assert driver_of(gateway).shared().allocator.take().value > first  # it may have been accepted
        assert len(seen.requests) == 1


async def test_a_timestamp_left_behind_by_another_client_is_jumped_over() -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST) as gateway:
        sim.state.last_timestamp = int(sim.state.clock()) + 5
        assert (await gateway.locker(1).open()).attempts == 2


async def test_a_gateway_that_refuses_our_lead_is_asked_again_when_the_clock_has_caught_up() -> None:
    async with (
        _simulated(max_future=1, clock=time.time) as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST) as gateway,
    ):
        results = [await gateway.locker(1).open() for _ in range(4)]
        assert sim.lockers[1].opened_count == 4
        assert max(result.attempts for result in results) == 2


async def test_38_is_told_to_the_caller_when_it_may_not_be_mended() -> None:
    async with _simulated(clock_set=False) as sim:
        options = {"share_codes": {1: CODE}, "pacing": _FAST, "recover_clock": False}
        async with AsyncGateway(sim.address, **options) as gateway:
            await _expect(GatewayClockError, gateway.locker(1).open, may=False, timeout=5)
            assert len(sim.requests) == 1


async def test_38_that_a_synchronisation_does_not_cure_is_told() -> None:
    async with _simulated(synchronization=0) as sim:
        sim.error(38, on="open", times=_ALWAYS)
        async with AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST) as gateway:
            await _expect(GatewayClockError, gateway.locker(1).open, may=False, timeout=5)
            await _expect(GatewayClockError, gateway.locker(1).open, may=False, timeout=5)
        assert [record.endpoint for record in sim.requests] == ["open", "synchronize", "open", "open"]


async def test_without_a_share_code_nothing_is_sent() -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, pacing=_FAST) as gateway:
        await _expect(MissingShareCodeError, gateway.locker(1).open, may=False, timeout=5)
        assert sim.requests == ()


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_a_time_budget_is_positive(timeout: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        AsyncGateway("h", timeout=timeout)
    async with AsyncGateway("h", share_codes={1: CODE}) as gateway:
        for call in (gateway.lockers, gateway.synchronize, gateway.locker(1).open, gateway.locker(1).synchronize):
            with pytest.raises(ValueError, match="positive"):
                await call(timeout=timeout)


async def test_secrets_are_in_no_log_line_error_or_traceback(caplog: pytest.LogCaptureFixture, wire: Callable) -> None:
    caplog.set_level(logging.DEBUG)
    options = {"share_codes": {1: CODE}, "pacing": _FAST} | wire()
    async with _simulated() as sim, AsyncGateway(sim.address, **options) as gateway:
        shown = [repr(gateway), repr(gateway.locker(1)), repr(vars(gateway))]
        for fault in set(Fault) - {Fault.REFUSE, Fault.DRIP}:
            for method in (gateway.locker(1).open, gateway.locker(1).status):
                sim.fail(fault, times=_ALWAYS)
                shown.append(await _traceback(method))
                sim.clear_faults()
    text = "\n".join(shown) + caplog.text
    assert "OutcomeUnknownError" in text
    assert "Request(" in text
    assert CODE not in text
    assert "hash=" not in text


async def _traceback(call: Callable) -> str:
    """What a failure looks like to somebody who shows all local variables."""
    with pytest.raises(TheKeysError) as caught:
        await call(timeout=0.1)
    return "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())


@pytest.mark.parametrize(
    "wrong",
    [{"host": "bad host!"}, {"timeout": -1}, {"share_codes": {1: CODE + chr(233)}}, {"share_codes": {"1": CODE}}],
)
def test_a_gateway_that_is_made_wrongly_shows_no_share_code(wrong: dict) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        AsyncGateway(**({"host": "h", "share_codes": {1: CODE}} | wrong))
    ours = caught.value.__traceback__.tb_next
    shown = traceback.TracebackException(type(caught.value), caught.value, ours, capture_locals=True)
    assert CODE not in "".join(shown.format())


def _copy(request: httpx.Request) -> httpx.Request:
    extensions = {name: value for name, value in request.extensions.items() if name != "sent"}
    return httpx.Request(
        request.method, request.url, headers=request.headers, content=request.content, extensions=extensions
    )


@pytest.mark.parametrize("again", [lambda request: request, _copy])
@pytest.mark.parametrize(
    "inside", [lambda: httpx.AsyncHTTPTransport(trust_env=False, verify=False), GatewayTransport], ids=["httpx", "own"]
)
async def test_a_transport_that_repeats_by_itself_is_not_believed_when_it_says_that_it_could_not_connect(
    again: Callable, inside: Callable[[], httpx.AsyncBaseTransport]
) -> None:
    inner = inside()

    class Repeating(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await inner.handle_async_request(request)
            except httpx.TransportError:
                await sim.stop()
                return await inner.handle_async_request(again(request))

        async def aclose(self) -> None:
            await inner.aclose()

    async with _simulated() as sim:
        sim.fail(Fault.RESET_AFTER, on="open")
        options = {"share_codes": {1: CODE}, "pacing": _FAST, "transport": Repeating()}
        async with AsyncGateway(sim.address, **options) as gateway:
            await _expect(OutcomeUnknownError, gateway.locker(1).open, may=True, timeout=2)


async def test_38_whose_synchronisation_loses_its_answer_is_still_synchronised_once_for_all() -> None:
    async with _simulated(synchronization=0) as sim:
        sim.error(38, on="open", times=_ALWAYS)
        sim.fail(Fault.RESET_AFTER, on="synchronize", times=_ALWAYS)
        async with AsyncGateway(sim.address, share_codes={1: CODE}, pacing=_FAST) as gateway:
            for _ in range(3):
                await _expect(GatewayClockError, gateway.locker(1).open, may=False, timeout=5)
        assert [record.endpoint for record in sim.requests].count("synchronize") == 1


async def test_38_on_a_read_with_little_time_left_sends_no_synchronisation() -> None:
    async with _simulated(clock_set=False) as sim:
        async with AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0.4)) as gateway:
            await _expect(GatewayClockError, gateway.locker(1).status, may=False, timeout=0.7)
        assert [record.endpoint for record in sim.requests] == ["locker_status"]


@pytest.mark.parametrize("transport", [None, GatewayTransport])
async def test_one_gateway_under_two_addresses_has_one_connection(transport: type[GatewayTransport] | None) -> None:
    own = transport and transport()
    async with _simulated() as sim:
        port = sim.address.rpartition(":")[2]
        async with (
            AsyncGateway(sim.address, key="g", pacing=_FAST, transport=own) as one,
            AsyncGateway(f"localhost:{port}", key="g", pacing=_FAST) as other,
        ):
            await one.lockers()
            kept = (own._wire if own else driver_of(one).shared().wire(driver_of(one).address))._kept
            assert kept
            await other.lockers()
            assert kept._socket.fileno() == -1
