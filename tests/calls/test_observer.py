"""What an observer is told of waits, requests, calls and polls, over real sockets."""

import asyncio
import logging
import time

import anyio
import pytest

from tests.sample import CODE
from thekeys_async import (
    AsyncGateway,
    CallEnded,
    Fleet,
    GatewayBusyError,
    GatewayEvent,
    InvalidHmacError,
    Outcome,
    OutcomeUnknownError,
    Pacing,
    PollEnded,
    RequestEnded,
    RequestSent,
    RequestTimeoutError,
    Waited,
)
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio


def _simulated(**options: object) -> SimulatedGateway:
    return SimulatedGateway([SimulatedLocker(1, share_code=CODE, wander=0)], light=0, bluetooth=0, **options)


def _gateway(sim: SimulatedGateway, seen: list[GatewayEvent]) -> AsyncGateway:
    return AsyncGateway(
        sim.address, name="hall", share_codes={1: CODE}, pacing=Pacing(0, 0), timeout=5, observer=seen.append
    )


async def test_a_command_is_told_from_its_wait_to_its_end() -> None:
    seen: list[GatewayEvent] = []
    async with _simulated() as sim, _gateway(sim, seen) as gateway:
        result = await gateway.locker(1).open()
    waited, sent, ended, over = seen
    assert isinstance(waited, Waited)
    assert isinstance(sent, RequestSent)
    assert isinstance(ended, RequestEnded)
    assert isinstance(over, CallEnded)
    assert {(event.gateway, event.action, event.identifier) for event in (waited, sent, ended, over)} == {
        ("hall", "open", 1)
    }
    assert (waited.attempt, sent.attempt, ended.attempt, over.attempts) == (1, 1, 1, 1)
    assert sent.timestamp == result.timestamp
    assert (ended.outcome, ended.sent, ended.retried, ended.error) == (Outcome.DONE, True, False, None)
    assert over.outcome is Outcome.DONE
    assert waited.at <= sent.at <= ended.at <= over.at
    assert 0 <= waited.seconds <= over.seconds
    assert ended.seconds <= over.seconds


@pytest.mark.virtual_time
async def test_a_busy_answer_and_the_retry_that_follows_are_told() -> None:
    seen: list[GatewayEvent] = []
    async with _simulated() as sim, _gateway(sim, seen) as gateway:
        sim.fail(Fault.BUSY)
        await gateway.locker(1).open()
    ended = [event for event in seen if isinstance(event, RequestEnded)]
    assert [(event.attempt, event.outcome, event.retried) for event in ended] == [
        (1, Outcome.BUSY, True),
        (2, Outcome.DONE, False),
    ]
    assert isinstance(ended[0].error, GatewayBusyError)
    second = [event for event in seen if isinstance(event, Waited)][1]
    assert second.attempt == 2
    assert second.seconds > 0.1  # the backoff


@pytest.mark.virtual_time
async def test_failures_are_told_as_what_they_mean() -> None:
    seen: list[GatewayEvent] = []
    async with _simulated() as sim, _gateway(sim, seen) as gateway:
        sim.fail(Fault.HANG_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await gateway.locker(1).open(timeout=0.5)
        with pytest.raises(InvalidHmacError):
            await gateway.locker(1, share_code="a wrong one").status()
        sim.fail(Fault.HANG)
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=0.3)
        sim.fail(Fault.HANG)
        with anyio.move_on_after(1.5):
            await gateway.locker(1).open()
    over = [event for event in seen if isinstance(event, CallEnded)]
    assert [event.outcome for event in over] == [
        Outcome.UNKNOWN,
        Outcome.REFUSED,
        Outcome.TIMED_OUT,
        Outcome.CANCELLED,
    ]
    hung, last = [event for event in seen if isinstance(event, RequestEnded)][-2:]
    assert (hung.outcome, hung.retried) == (Outcome.TIMED_OUT, False)
    assert (last.outcome, last.sent, last.retried) == (Outcome.CANCELLED, True, False)


@pytest.mark.virtual_time
async def test_what_waits_in_vain_is_no_request() -> None:
    seen: list[GatewayEvent] = []
    async with _simulated() as sim, _gateway(sim, seen) as gateway:
        sim.fail(Fault.HANG)
        async with anyio.create_task_group() as tasks:

            async def hang() -> None:
                with pytest.raises(RequestTimeoutError):
                    await gateway.locker(1).status(timeout=0.6)

            tasks.start_soon(hang)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RequestTimeoutError):
                await gateway.lockers(timeout=0.2)
    (vain,) = [event for event in seen if event.action == "lockers"]
    assert isinstance(vain, CallEnded)
    assert (vain.outcome, vain.attempts) == (Outcome.TIMED_OUT, 0)


async def test_polls_are_told_and_a_fleet_observes_all_that_have_no_observer_of_their_own() -> None:
    seen: list[GatewayEvent] = []
    own: list[GatewayEvent] = []
    async with _simulated() as hall, _simulated() as annex:
        gateways = {"hall": hall.address, "annex": AsyncGateway(annex.address, observer=own.append)}
        async with Fleet(gateways, observer=seen.append) as fleet, fleet.watch(0.02) as updates:
            heard = set()
            with anyio.fail_after(10):
                while len(heard) < 2:
                    heard.add((await anext(updates)).gateway)
            polls = [event for event in seen + own if isinstance(event, PollEnded)]
            assert {event.outcome for event in polls} == {Outcome.DONE}
    assert {event.gateway for event in seen} == {"hall"}
    assert {event.gateway for event in own} == {"annex"}


async def test_an_observer_that_fails_moves_no_door_and_stops_none(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: GatewayEvent) -> None:
        raise RuntimeError(type(event).__name__)

    async with _simulated() as sim:
        gateway = AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0), observer=fail)
        async with gateway:
            with caplog.at_level(logging.ERROR, "thekeys_async"):
                assert (await gateway.locker(1).open()).attempts == 1
    assert len(caplog.records) == 4
    assert all("the observer failed" in record.getMessage() for record in caplog.records)


async def test_an_order_does_not_leave_late_because_its_observer_is_slow() -> None:
    seen: list[GatewayEvent] = []

    def slow(event: GatewayEvent) -> None:
        seen.append(event)
        if isinstance(event, RequestSent):
            time.sleep(1.2)

    async with _simulated() as sim, AsyncGateway(sim.address, share_codes={1: CODE}, observer=slow) as gateway:
        with pytest.raises(RequestTimeoutError) as caught:
            await gateway.locker(1).open(send_within=1)
        assert caught.value.may_have_executed is False
        assert sim.requests == ()
    ended = seen[-2]
    assert isinstance(ended, RequestEnded)
    assert (ended.sent, ended.retried, ended.outcome) == (False, False, Outcome.TIMED_OUT)


@pytest.mark.virtual_time
async def test_a_call_that_was_cancelled_on_the_wire_has_been_sent_once() -> None:
    seen: list[GatewayEvent] = []
    async with _simulated() as sim, _gateway(sim, seen) as gateway:
        sim.fail(Fault.HANG_AFTER)
        with anyio.move_on_after(0.3):
            await gateway.locker(1).open()
    over = seen[-1]
    assert isinstance(over, CallEnded)
    assert (over.outcome, over.attempts) == (Outcome.CANCELLED, 1)


class _Events(list[GatewayEvent]):
    """An observer that is false while it has seen nothing."""

    def __call__(self, event: GatewayEvent) -> None:
        self.append(event)


async def test_an_observer_may_be_an_empty_container() -> None:
    seen, of_fleet = _Events(), _Events()
    async with _simulated() as sim, AsyncGateway(sim.address, observer=seen) as gateway:
        await gateway.lockers()
        async with gateway.watch(interval=0.1) as updates:
            async for _ in updates:
                break
    async with _simulated() as sim, Fleet({"hall": sim.address}, observer=of_fleet) as fleet:
        await fleet.lockers()
    assert {type(event) for event in seen} >= {RequestSent, CallEnded}
    assert [type(event) for event in of_fleet] == [Waited, RequestSent, RequestEnded, CallEnded]


async def test_a_cancellation_of_the_observers_own_is_none_of_the_call() -> None:
    def looks_at_a_future(_: GatewayEvent) -> None:
        raise asyncio.CancelledError

    async with _simulated() as sim:
        async with AsyncGateway(sim.address, share_codes={1: CODE}, observer=looks_at_a_future) as gateway:
            await gateway.locker(1).open()
        assert sim.lockers[1].opened_count == 1
