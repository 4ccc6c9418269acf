"""What follows a failed attempt: the whole policy, case by case."""

import itertools

import pytest

from thekeys_async.calls.retries import Step, next_step
from thekeys_async.protocol import endpoints
from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayClockError,
    GatewayRefusedError,
    GatewayUnreachableError,
    InvalidHmacError,
    LockerNotDetectedError,
    OutcomeUnknownError,
    ProtocolError,
    TheKeysError,
)

COMMANDS = [endpoints.OPEN, endpoints.CLOSE, endpoints.CALIBRATE, endpoints.SYNCHRONIZE, endpoints.UPDATE]
READS = [endpoints.LOCKERS, endpoints.STATUS, endpoints.LOCKER_STATUS]
SIGNED = [endpoints.OPEN, endpoints.CLOSE, endpoints.CALIBRATE, endpoints.LOCKER_STATUS]
ALL = COMMANDS + READS
BUSY = GatewayBusyError("busy", code=500)
OLD = InvalidHmacError("33", code=33)
UNSET = GatewayClockError("38", code=38)
UNSEEN = LockerNotDetectedError("34", code=34)
OTHERS = [
    GatewayRefusedError("32", code=32),
    GatewayRefusedError("no number"),
    OutcomeUnknownError("33", code=33),
    ProtocolError("38", code=38),
    GatewayUnreachableError("34", code=34),
]


def _step(
    endpoint: Endpoint,
    error: TheKeysError,
    *taken: Step,
    sent: bool = True,
    answered: bool = True,
    lead: float = 0.0,
    overtaken: bool = False,
) -> Step:
    return next_step(endpoint, error, sent=sent, answered=answered, lead=lead, taken=taken, overtaken=overtaken)


@pytest.mark.parametrize("endpoint", ALL, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("error", [BUSY, OLD, UNSET, UNSEEN, *OTHERS], ids=str)
def test_what_was_not_sent_is_sent_when_the_backoff_is_over(endpoint: Endpoint, error: TheKeysError) -> None:
    for answered, lead in itertools.product((True, False), (0.0, 5.0)):
        assert _step(endpoint, error, *Step, sent=False, answered=answered, lead=lead) is Step.BACK_OFF


@pytest.mark.parametrize("endpoint", ALL, ids=lambda endpoint: endpoint.name)
def test_a_busy_gateway_is_asked_again_however_often(endpoint: Endpoint) -> None:
    assert _step(endpoint, BUSY) is Step.BACK_OFF
    assert _step(endpoint, BUSY, *[Step.BACK_OFF] * 100, *Step) is Step.BACK_OFF


@pytest.mark.parametrize("error", [OLD, UNSET, UNSEEN, *OTHERS], ids=str)
def test_without_an_answer_a_read_is_repeated_twice_and_a_command_never(error: TheKeysError) -> None:
    for endpoint in COMMANDS:
        assert _step(endpoint, error, answered=False) is Step.FAIL
    for endpoint in READS:
        assert _step(endpoint, error, answered=False) is Step.REPEAT
        assert _step(endpoint, error, Step.REPEAT, answered=False) is Step.REPEAT
        assert _step(endpoint, error, Step.REPEAT, Step.BACK_OFF, Step.REPEAT, answered=False) is Step.FAIL


@pytest.mark.parametrize("endpoint", ALL, ids=lambda endpoint: endpoint.name)
def test_what_no_signature_explains_is_told(endpoint: Endpoint) -> None:
    for error in OTHERS:
        assert _step(endpoint, error) is Step.FAIL
    if endpoint not in SIGNED:
        for error in (OLD, UNSET, UNSEEN):
            assert _step(endpoint, error) is Step.FAIL


@pytest.mark.parametrize("endpoint", SIGNED, ids=lambda endpoint: endpoint.name)
def test_a_refused_timestamp_is_tried_once_more_the_other_way(endpoint: Endpoint) -> None:
    for lead in (-100.0, 0.0):
        assert _step(endpoint, OLD, lead=lead) is Step.JUMP_AHEAD
    for lead in (0.001, 1.0, 100.0):
        assert _step(endpoint, OLD, lead=lead) is Step.CATCH_UP
    for first, lead in itertools.product((Step.JUMP_AHEAD, Step.CATCH_UP), (0.0, 5.0)):
        assert _step(endpoint, OLD, first, lead=lead) is Step.FAIL
        assert _step(endpoint, OLD, Step.BACK_OFF, first, Step.BACK_OFF, lead=lead) is Step.FAIL
    assert _step(endpoint, OLD, Step.SET_CLOCK, Step.ONCE_MORE, Step.REPEAT, Step.BACK_OFF) is Step.JUMP_AHEAD


@pytest.mark.parametrize("endpoint", SIGNED, ids=lambda endpoint: endpoint.name)
def test_an_unset_clock_is_set_once_and_an_unseen_locker_looked_for_once(endpoint: Endpoint) -> None:
    for error, step in ((UNSET, Step.SET_CLOCK), (UNSEEN, Step.ONCE_MORE)):
        assert _step(endpoint, error) is step
        assert _step(endpoint, error, *[each for each in Step if each is not step]) is step
        assert _step(endpoint, error, step) is Step.FAIL
        assert _step(endpoint, error, step, Step.BACK_OFF, step) is Step.FAIL


@pytest.mark.parametrize("endpoint", SIGNED, ids=lambda endpoint: endpoint.name)
def test_a_timestamp_that_another_event_loop_has_overtaken_says_nothing_of_the_lead(endpoint: Endpoint) -> None:
    for lead in (-100.0, 0.0, 5.0):
        taken = [Step.NEWER_TIMESTAMP] * 3
        assert _step(endpoint, OLD, *taken[1:], lead=lead, overtaken=True) is Step.NEWER_TIMESTAMP
        assert _step(endpoint, OLD, *taken, lead=lead, overtaken=True) is _step(endpoint, OLD, lead=lead)
    assert _step(endpoint, BUSY, overtaken=True) is Step.BACK_OFF
