"""One attempt of a call, and what it means to the caller when it fails."""

import logging
import sys
from contextlib import AbstractContextManager, nullcontext

import attrs

from thekeys_async.calls.budgets import Budget
from thekeys_async.calls.observing import CallObserver
from thekeys_async.calls.retries import Step
from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayUnreachableError,
    OutcomeUnknownError,
    RequestTimeoutError,
    TheKeysError,
    unusable,
)
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Request, SignedRequest
from thekeys_async.transport.wire import Attempt, ExchangeError, NoAnswerError, UnusableAnswerError
from thekeys_async.turns.queue import Dismissed, OutOfTime, Waiter
from thekeys_async.turns.shared import SharedGateway
from thekeys_async.turns.timestamps import Stamp

_log = logging.getLogger("thekeys_async")


@attrs.define
class CallAttempt(Attempt):
    """One attempt and how it went: without an error, its value was understood."""

    shared: SharedGateway = attrs.field(kw_only=True)
    waiter: Waiter = attrs.field(kw_only=True)
    observer: CallObserver | None = attrs.field(kw_only=True, default=None)
    number: int = attrs.field(kw_only=True, default=0)
    request: Request = attrs.field(kw_only=True)
    budget: Budget = attrs.field(kw_only=True)
    began: float = attrs.field(kw_only=True)
    ended: float = 0.0
    stamp: Stamp | None = None
    reply: Reply | None = None
    value: object = None
    error: TheKeysError | None = None
    hung: bool = False
    refused: bool = False
    overtaken: bool = False
    announced: bool = False
    step: Step = Step.FAIL

    @property
    def would_wait(self) -> bool:
        """Whether trying again takes long; a connection that broke is worth another try at once."""
        return self.step is Step.BACK_OFF or self.hung

    def prepare(self) -> SignedRequest:
        """Take a timestamp and sign, at the last moment.

        Raises:
            OutOfTime: Too little of the budget is left to hear the answer.
            Dismissed: The gateway object was closed while the connection was opened.
        """
        if self.waiter.dismissed:
            raise Dismissed
        if self.budget.is_too_late:
            raise OutOfTime
        self.stamp = self.shared.stamp(signed=self.request.endpoint.signed)
        timestamp = self.stamp.value if self.stamp else None
        signed = self.request.sign(timestamp)
        if self.observer:
            self.announced = True
            self.observer.sent(self.number, timestamp)
            if self.budget.is_too_late:  # it took its time
                raise OutOfTime
        return signed

    def departure(self) -> AbstractContextManager[None]:
        """See `Attempt.departure`: timestamps leave in the order in which they were taken."""
        return self.shared.departure(self.stamp) if self.stamp else nullcontext()

    def tell_end(self, *, retried: bool) -> None:
        """Tell the observer the outcome; nothing is told of an attempt that ended before it began."""
        raised = sys.exception()
        if not self.observer or (self.error is None and not self.sent and not self.announced):
            return
        if isinstance(raised, OutOfTime):
            raised = why_not_sent(self.request.endpoint, self.budget, self.shared)
        seconds = self.ended - self.began
        self.observer.ended(
            self.number, raised or self.error, sent=self.sent, retried=retried and not raised, seconds=seconds
        )

    def warn_if_command_was_sent(self) -> None:
        """Log a warning if a cancelled command had been sent: its caller can't be told that the door may have moved."""
        endpoint = self.request.endpoint
        if self.sent and endpoint.command:
            what = "the door may have moved" if endpoint.door else "it may have been carried out"
            _log.warning("%s %s was cancelled after it had been sent: %s", self.shared.key, endpoint.name, what)


def why_not_sent(endpoint: Endpoint, budget: Budget, shared: SharedGateway) -> TheKeysError:
    """Make the error of a call whose time ran out in the queue."""
    text = f"{endpoint.name} was not sent within its time budget of {budget.seconds:g} s"
    if budget.send_within is not None:
        text = f"{endpoint.name} was not sent within {budget.send_within:g} s, as its caller asked"
    match shared.trouble:
        case GatewayBusyError() as busy:
            phase = shared.phase_text
            return GatewayBusyError(f"{text}: {busy}", code=busy.code, cause=busy.cause, phase=phase)
        case GatewayUnreachableError() as unreachable:
            return GatewayUnreachableError(f"{text}: {unreachable}")
        case _:
            return RequestTimeoutError(f"{text}: too little of that was left when its turn came, or would have come")


def failure(endpoint: Endpoint, error: ExchangeError) -> TheKeysError:
    """Make the caller's error of an exchange without a usable answer."""
    if isinstance(error, UnusableAnswerError):
        return unusable(endpoint, str(error))
    if isinstance(error, NoAnswerError) and endpoint.command:
        return OutcomeUnknownError(f"{endpoint.name} was sent, and may have been carried out: {error}")
    return GatewayUnreachableError(f"{endpoint.name}: {error}")


def given_up(endpoint: Endpoint, budget: Budget, *, sent: bool) -> TheKeysError:
    """Make the error of an attempt that has used up its time."""
    if not sent:
        return GatewayUnreachableError(f"{endpoint.name} was not sent: no connection to the gateway in time")
    if endpoint.command:
        return OutcomeUnknownError(
            f"{endpoint.name} was sent, and may have been carried out: no answer within {budget.seconds:g} s"
        )
    if budget.left <= 0:
        return RequestTimeoutError(f"{endpoint.name}: no answer within {budget.seconds:g} s")
    return GatewayUnreachableError(f"{endpoint.name}: the gateway took the request and did not answer")
