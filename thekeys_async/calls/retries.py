"""The retry policy, as one pure function."""

import enum
from collections.abc import Sequence

from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.errors import (
    CLOCK_NOT_SET,
    INVALID_HMAC,
    NOT_DETECTED,
    GatewayBusyError,
    GatewayRefusedError,
    TheKeysError,
)


class Step(enum.Enum):
    """The step after a failed attempt."""

    FAIL = "tell the caller"
    BACK_OFF = "ask again when the gateway's backoff is over"
    REPEAT = "a read that got no answer: ask again, twice at most"
    NEWER_TIMESTAMP = "ask again: another event loop's newer timestamp may have come to the gateway first"
    ONCE_MORE = "ask again after the rest"
    JUMP_AHEAD = "ask again with a timestamp that leads the clock"
    CATCH_UP = "ask again with a timestamp that leads the clock no farther than the gateway takes"
    SET_CLOCK = "synchronise the gateway, then ask again"


_LIMITS = {Step.REPEAT: 2, Step.ONCE_MORE: 1, Step.SET_CLOCK: 1}
_MOST_OVERTAKEN = 3
_OLD_TIMESTAMP = frozenset({Step.JUMP_AHEAD, Step.CATCH_UP})  # one of the two, once


def next_step(
    endpoint: Endpoint,
    error: TheKeysError,
    *,
    sent: bool,
    answered: bool,
    lead: float,
    taken: Sequence[Step],
    overtaken: bool = False,
) -> Step:
    """Decide the step after a failed attempt.

    Only what the gateway itself says it did not do is sent again, if it is a command.

    Args:
        endpoint: The request.
        error: The error.
        sent: Whether any byte may have reached the gateway.
        answered: Whether a complete answer came.
        lead: Seconds that the attempt's timestamp was ahead of the clock.
        taken: The steps that this call has already taken.
        overtaken: Whether another event loop has taken a newer timestamp since, which may have come there first.
    """
    step = _unlimited_step(endpoint, error, sent=sent, answered=answered, lead=lead)
    if step in _OLD_TIMESTAMP and overtaken and taken.count(Step.NEWER_TIMESTAMP) < _MOST_OVERTAKEN:
        return Step.NEWER_TIMESTAMP
    if step in _OLD_TIMESTAMP and not _OLD_TIMESTAMP.isdisjoint(taken):
        return Step.FAIL
    return Step.FAIL if step in _LIMITS and taken.count(step) >= _LIMITS[step] else step


def _unlimited_step(endpoint: Endpoint, error: TheKeysError, *, sent: bool, answered: bool, lead: float) -> Step:
    if not sent or isinstance(error, GatewayBusyError):
        return Step.BACK_OFF
    if not answered:
        return Step.FAIL if endpoint.command else Step.REPEAT
    if not endpoint.signed or not isinstance(error, GatewayRefusedError):
        return Step.FAIL  # also where a number stands in an answer that contradicts itself: it may have been done
    if error.code == INVALID_HMAC:
        return Step.CATCH_UP if lead > 0 else Step.JUMP_AHEAD
    return {NOT_DETECTED: Step.ONCE_MORE, CLOCK_NOT_SET: Step.SET_CLOCK}.get(error.code or 0, Step.FAIL)
