"""The promises, kept towards a simulated gateway over real sockets."""

import json
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise

import anyio
import httpx
import pytest

from tests.sample import CODE
from thekeys_async import (
    AsyncGateway,
    CommandResult,
    DoorState,
    GatewayBusyError,
    OutcomeUnknownError,
    Pacing,
    RequestTimeoutError,
    Timestamps,
)
from thekeys_async.simulator import Fault, RequestRecord, SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

_CODES = {1: CODE, 2: "another-code", 3: "third"}
_FAST = Pacing(0, 0)
_UNLIMITED = Timestamps(max_lead=math.inf)


def _simulated(**options: object) -> SimulatedGateway:
    lockers = [SimulatedLocker(identifier, share_code=code) for identifier, code in _CODES.items()]
    return SimulatedGateway(lockers, **({"light": 0, "bluetooth": 0} | options))


def _client(sim: SimulatedGateway, **options: object) -> AsyncGateway:
    return AsyncGateway(sim.address, **({"share_codes": _CODES, "pacing": _FAST} | options))


def _signed(sim: SimulatedGateway) -> list[RequestRecord]:
    return [record for record in sim.requests if record.timestamp is not None]


def _assert_in_order(sim: SimulatedGateway) -> None:
    assert sim.overlaps == 0
    assert not any(record.busy for record in sim.requests)
    timestamps = [record.timestamp for record in _signed(sim)]
    assert all(a < b for a, b in pairwise(timestamps))
    assert all(record.code == 0 or record.code in {48, 49, 50} for record in sim.requests)


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_200_callers_through_three_objects_never_meet_busy_or_a_stale_timestamp(*, keep_alive: bool) -> None:
    async with _simulated(light=0.005, bluetooth=0.02 if keep_alive else 0.005, keep_alive=keep_alive) as sim:
        async with AsyncExitStack() as stack:
            objects = [
                await stack.enter_async_context(_client(sim, timestamps=_UNLIMITED, timeout=120)) for _ in range(3)
            ]
            answers = []

            async def caller(n: int) -> None:
                gateway = objects[n % 3]
                door = gateway.locker(1 + n % len(_CODES))
                answers.append(await [door.open, door.close, door.status, gateway.lockers][n % 4]())

            async with anyio.create_task_group() as group:
                for n in range(200):
                    group.start_soon(caller, n)
        assert len(answers) == 200
        assert len(_signed(sim)) == 150
        _assert_in_order(sim)
        results = [answer for answer in answers if isinstance(answer, CommandResult)]
        assert sorted(r.timestamp for r in results) == [
            r.timestamp for r in _signed(sim) if r.endpoint in {"open", "close"}
        ]
        assert {r.attempts for r in results} == {1}


async def test_the_default_pacing_gives_the_gateway_its_rest() -> None:
    async with _simulated() as sim, AsyncGateway(sim.address, share_codes=_CODES) as gateway:
        async with anyio.create_task_group() as group:
            group.start_soon(gateway.locker(1).open)
            await sim.wait_for_requests(1)
            group.start_soon(gateway.locker(2).status)
            group.start_soon(gateway.lockers)
            group.start_soon(gateway.status)
        _assert_in_order(sim)
        records = sim.requests
    assert records[0].endpoint == "open"
    for before, after in pairwise(records):
        rest = 1.0 if before.endpoint in {"open", "locker_status"} else 0.5
        assert after.arrived - before.ended >= rest - 0.01


async def test_a_command_is_the_next_on_the_wire_while_50_reads_wait() -> None:
    async with _simulated(bluetooth=0.02) as sim, _client(sim, timestamps=_UNLIMITED) as gateway:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(gateway.locker(2).status)
            await sim.wait_for_requests(3)
            begun = len(sim.requests)
            await gateway.locker(1).open()
            group.cancel_scope.cancel()
        assert [record.endpoint for record in sim.requests][begun] == "open"


async def test_a_command_is_the_next_on_the_wire_while_reads_back_off() -> None:
    async with _simulated() as sim, _client(sim, timestamps=_UNLIMITED) as gateway:
        sim.fail(Fault.BUSY, on="locker_status", times=None, share=1.0)
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(gateway.locker(2).status)
            await sim.wait_for_requests(4)
            begun = len(sim.requests)
            started = anyio.current_time()
            await gateway.locker(1).open()
            waited = anyio.current_time() - started
            group.cancel_scope.cancel()
        assert [record.endpoint for record in sim.requests][begun] == "open"
        assert waited < 0.9, "the fourth busy answer in a row would have been followed by 2 s of backoff"


async def test_three_ways_of_writing_an_address_share_a_turn() -> None:
    under_way = most = 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.sleep(0.005)
        under_way -= 1
        return httpx.Response(200, json={"status": "ok", "code": 49})

    async with AsyncExitStack() as stack, anyio.create_task_group() as group:
        for host in ("192.168.0.26", "192.168.0.26:80", "http://192.168.0.26/"):
            options = {"share_codes": _CODES, "pacing": _FAST, "timestamps": _UNLIMITED}
            gateway = AsyncGateway(host, transport=httpx.MockTransport(answer), **options)
            await stack.enter_async_context(gateway)
            for _ in range(5):
                group.start_soon(gateway.locker(1).status)
    assert most == 1


async def test_a_gateway_that_refuses_the_future_opens_25_times_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    # The wall clock runs 20 times as fast: a burst of 25 takes 14 s with a lead of 10.
    real, started = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: started + 20 * (real() - started))

    def now() -> float:
        return time.time()

    async with _simulated(max_future=11, clock=now) as sim, _client(sim, timeout=120) as gateway:
        async with anyio.create_task_group() as group:
            for _ in range(25):
                group.start_soon(gateway.locker(1).open)
        assert len(sim.requests) == 25
        assert sim.lockers[1].opened_count == 25
        _assert_in_order(sim)


async def test_the_clock_stepping_back_an_hour_blocks_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        first = await gateway.locker(1).open()
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3600)
        second = await gateway.locker(1).open()
        _assert_in_order(sim)
    assert second.timestamp > first.timestamp
    assert second.attempts == 1
    assert second.duration < 1


def test_two_event_loops_in_one_second_never_repeat_a_timestamp() -> None:
    stamps = []

    async def once(sim: SimulatedGateway) -> None:
        async with sim, _client(sim) as gateway:
            stamps.append((await gateway.locker(1).open()).timestamp)

    port = 0
    for backend in ("asyncio", "trio", "asyncio"):
        sim = _simulated(port=port)
        anyio.run(once, sim, backend=backend)
        port = sim.port
    assert len(set(stamps)) == 3
    assert stamps == sorted(stamps)


async def test_an_abandoned_request_is_waited_out() -> None:
    async with _simulated(bluetooth=0.4) as sim, _client(sim) as gateway:
        with anyio.move_on_after(0.1):
            await gateway.locker(1).open()
        result = await gateway.locker(2).open()
        records = sim.requests
    assert records[0].acted
    assert any(record.busy for record in records)
    assert records[-1].acted
    assert result.attempts == len(records) - 1


async def test_a_foreign_program_that_keeps_the_gateway_busy_is_waited_out() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        sim.start_synchronizing("gw", 0.6)
        assert (await gateway.locker(1).open()).attempts > 1
        assert sim.lockers[1].opened_count == 1


async def test_a_gateway_that_stays_busy_ends_in_its_own_error_with_its_phase() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        with sim.synchronizing():
            assert (await gateway.status()).synchronizing
            with pytest.raises(GatewayBusyError) as caught:
                await gateway.locker(1).open(timeout=0.8)
        assert caught.value.phase == "Synchronizing gw"
        assert not caught.value.may_have_executed
        assert sim.lockers[1].opened_count == 0


async def test_busy_callers_ask_as_one_gateway_and_not_as_twenty() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        with sim.synchronizing():
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(_expect_busy, gateway.locker(1).status, 1.5)
        assert len(sim.requests) <= 5


async def _expect_busy(call: Callable, timeout: float) -> None:
    with pytest.raises(GatewayBusyError):
        await call(timeout=timeout)


async def test_a_command_with_too_little_time_left_to_hear_the_answer_is_not_sent() -> None:
    async with _simulated(bluetooth=0.6) as sim, _client(sim) as gateway:
        async with anyio.create_task_group() as group:
            group.start_soon(gateway.locker(1).status)
            await sim.wait_for_requests(1)
            with pytest.raises(RequestTimeoutError) as caught:
                await gateway.locker(1).open(timeout=1.0)
        assert not caught.value.may_have_executed
        assert isinstance(caught.value, TimeoutError)
        await gateway.lockers()
        assert [record.endpoint for record in sim.requests] == ["locker_status", "lockers"]


async def test_a_command_whose_answer_does_not_come_says_that_it_may_have_moved_the_door() -> None:
    async with _simulated(bluetooth=0.3) as sim, _client(sim) as gateway:
        with pytest.raises(OutcomeUnknownError) as caught:
            await gateway.locker(1).open(timeout=0.1)
        assert caught.value.may_have_executed
        await gateway.locker(1).status()
        assert sim.lockers[1].opened_count == 1


async def test_cancelling_a_command_that_was_sent_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with _simulated(bluetooth=0.2) as sim, _client(sim) as gateway:
        async with anyio.create_task_group() as group:
            group.start_soon(gateway.locker(1).open)
            group.start_soon(gateway.locker(2).close)
            await sim.wait_for_requests(1)
            group.cancel_scope.cancel()
        await gateway.lockers()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    warnings = [warning for warning in warnings if "share codes" not in warning]  # those of this file are short
    assert len(warnings) == 1
    assert "the door may have moved" in warnings[0]


async def test_automatic_synchronisation_is_switched() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        assert (await gateway.automatic_synchronization(enabled=False)).attempts == 1
        assert sim.state.automatic_synchronization is False
        await gateway.automatic_synchronization(enabled=True)
        assert sim.state.automatic_synchronization is True


async def test_settings_of_one_gateway_have_to_agree() -> None:
    async with _simulated() as sim:
        early = _client(sim, pacing=Pacing(2, 2))
        await _disagree(sim, early)
    async with _client(sim, pacing=Pacing(1, 1)):
        pass


async def _disagree(sim: SimulatedGateway, early: AsyncGateway) -> None:
    async with _client(sim) as first:
        for other in ({"pacing": Pacing(1, 1)}, {"timestamps": _UNLIMITED}, {"coordinator": object()}):
            with pytest.raises(ValueError, match="in use with"):
                _client(sim, **other)
        with pytest.raises(ValueError, match="in use with"):
            await early.lockers()
        await first.lockers()


async def test_a_gateway_object_outlives_its_event_loop_but_not_its_end() -> None:
    async with _simulated() as sim:
        gateway = _client(sim)
        await gateway.lockers()
        await gateway.aclose()
        await gateway.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await gateway.lockers()


def test_an_object_may_be_used_in_one_event_loop_after_the_other() -> None:
    gateway = AsyncGateway("127.0.0.1:1", pacing=_FAST)

    async def use(*, last: bool) -> None:
        with pytest.raises(Exception, match="no connection"):
            await gateway.lockers(timeout=0.1)
        if last:
            await gateway.aclose()

    anyio.run(lambda: use(last=False), backend="asyncio")
    anyio.run(lambda: use(last=True), backend="trio")


async def test_38_synchronises_once_for_all_and_then_every_door_opens() -> None:
    async with _simulated(clock_set=False, synchronization=0.05) as sim, _client(sim) as gateway:
        async with anyio.create_task_group() as group:
            for n in range(10):
                group.start_soon(gateway.locker(1 + n % 3).open)
        names = [record.endpoint for record in sim.requests]
        assert names.count("synchronize") == 1
        assert names[:3] == ["open", "synchronize", "open"]
        assert sum(locker.opened_count for locker in sim.lockers.values()) == 10
        assert sim.overlaps == 0


async def test_identical_reads_that_wait_together_are_asked_once() -> None:
    async with _simulated(light=0.05) as sim, _client(sim) as gateway:
        answers = []

        async def read() -> None:
            answers.append(await gateway.lockers())

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(read)
        assert len(answers) == 20
        assert len(sim.requests) == 2


async def test_wait_for_asks_again_until_the_bolt_is_there() -> None:
    async with _simulated(bolt_delay=0.5) as sim, _client(sim) as gateway:
        door = gateway.locker(1)
        await door.open()
        assert (await door.status()).state is DoorState.CLOSED
        assert (await door.wait_for(DoorState.OPEN, timeout=10)).locked is False
        asked = [record.arrived for record in sim.requests if record.endpoint == "locker_status"]
        assert asked[-1] - asked[-2] >= 2 - 0.01 or len(asked) == 2


async def test_wait_for_ends_in_time_when_the_bolt_does_not_come() -> None:
    async with _simulated() as sim, _client(sim) as gateway:
        with pytest.raises(RequestTimeoutError, match="it said closed"):
            await gateway.locker(1).wait_for(DoorState.OPEN, timeout=0.2)


async def test_old_firmware_is_asked_for_its_root() -> None:
    async with _simulated(status_path=False, version=12) as sim, _client(sim) as gateway:
        assert (await gateway.status()).version == 12
        assert [record.path for record in sim.requests] == ["/status", "/"]


async def test_every_command_reaches_its_path() -> None:
    async with _simulated(restart=0.0) as sim, _client(sim) as gateway:
        door = gateway.locker(1)
        await door.calibrate()
        await door.synchronize()
        await door.update_firmware()
        await gateway.synchronize()
        await gateway.update_firmware()
        assert [(record.method, record.path) for record in sim.requests] == [
            ("POST", "/calibrate"),
            ("POST", "/locker/synchronize"),
            ("POST", "/locker/update"),
            ("GET", "/synchronize"),
            ("POST", "/update"),
        ]


async def test_a_gateway_that_restarts_after_its_update_is_found_again() -> None:
    async with _simulated(restart=0.3) as sim, _client(sim) as gateway:
        before = (await gateway.status()).version
        await gateway.update_firmware()
        await sim.wait_until(lambda: sim.requests[-1].ended is not None)
        assert (await gateway.locker(1).open()).duration >= 0
        assert (await gateway.status()).version == before + 1


async def test_the_share_code_given_to_the_locker_wins() -> None:
    async with _simulated() as sim, _client(sim, share_codes={1: "wrong"}) as gateway:
        await gateway.locker(1, share_code=_CODES[1]).open()
        assert sim.lockers[1].opened_count == 1


@pytest.mark.parametrize(("hours", "opened"), [(1, 0), (0, 1)])
async def test_a_command_is_not_sent_when_the_machine_wakes_up_hours_later(
    monkeypatch: pytest.MonkeyPatch, hours: int, opened: int
) -> None:
    slept = 1000.0
    monkeypatch.setattr("thekeys_async.calls.budgets.seconds_slept", lambda: slept)
    async with _simulated() as sim, _client(sim, pacing=Pacing(0.3, 0.3)) as gateway:
        await gateway.lockers()
        async with anyio.create_task_group() as group:

            async def call() -> None:
                if opened:
                    await gateway.locker(1).open()
                    return
                with pytest.raises(RequestTimeoutError) as caught:
                    await gateway.locker(1).open()
                assert not caught.value.may_have_executed

            group.start_soon(call)
            await anyio.wait_all_tasks_blocked()  # it waits until the gateway has rested
            slept += 3600 * hours
        await gateway.lockers()
        assert sim.lockers[1].opened_count == opened


@pytest.fixture
async def echo() -> AsyncIterator[AsyncGateway]:
    """A gateway that echoes what it was sent in the words of a refusal."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, text=json.dumps({"status": "ko", "code": 36, "cause": request.content.decode()}))

    async with AsyncGateway("h", share_codes=_CODES, pacing=_FAST, transport=httpx.MockTransport(answer)) as gateway:
        yield gateway


async def test_an_error_does_not_repeat_a_hash_that_the_gateway_echoes(echo: AsyncGateway) -> None:
    with pytest.raises(Exception, match="refused the key") as caught:
        await echo.locker(1).open()
    assert "***" in str(caught.value)
    assert "%" not in str(caught.value)
