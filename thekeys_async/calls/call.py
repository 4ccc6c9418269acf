"""One call to a gateway from beginning to end: wait for the turn, send, parse_reply, try again where that is right."""

import logging
import math
import sys
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import anyio
import attrs

from thekeys_async.calls.budgets import Budget
from thekeys_async.calls.observing import CallObserver
from thekeys_async.calls.open_calls import OpenCalls
from thekeys_async.calls.retries import Step, next_step
from thekeys_async.protocol import replies
from thekeys_async.protocol.endpoints import SYNCHRONIZE, Endpoint
from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayClosedError,
    GatewayUnreachableError,
    InvalidHmacError,
    OutcomeUnknownError,
    RequestTimeoutError,
    TheKeysError,
    unusable,
)
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Request, SignedRequest
from thekeys_async.protocol.secrets import Signed
from thekeys_async.transport.wire import Attempt, ExchangeError, NoAnswerError, UnusableAnswerError, Wire
from thekeys_async.turns.queue import Dismissed, OutOfTime, Waiter
from thekeys_async.turns.shared import SharedGateway
from thekeys_async.turns.timestamps import Stamp, TooFarAheadError

_log = logging.getLogger("thekeys_async")
_T = TypeVar("_T")
_CLOCK_STAYS_SET = 300.0
_PASSING = {Step.BACK_OFF, Step.REPEAT}

ParseReply = Callable[[Endpoint, Reply], _T]
"""Makes a value of a reply, or raises what the reply means."""


@attrs.frozen
class Answer(Generic[_T]):
    """What a call brought.

    Attributes:
        value: What was understood of the reply.
        timestamp: The timestamp that was accepted, for a signed request.
        attempts: How often the request was sent; 0 if another call's answer served as well.
        duration: Seconds from the call to the reply.
        at: When it came, in the event loop's time.
    """

    value: _T
    timestamp: int | None
    attempts: int
    duration: float
    at: float


@attrs.define
class _Try(Attempt):
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
            self.observer.sent(self.number, timestamp)
        return signed


class Call(Generic[_T]):
    """One call of one method, over all its attempts."""

    def __init__(
        self,
        shared: SharedGateway,
        wire: Wire,
        request: Request,
        parse_reply: ParseReply[_T],
        *,
        open_calls: OpenCalls,
        recover_clock: bool,
        observer: CallObserver | None,
    ) -> None:
        self._open_calls = open_calls
        self._observer = observer
        self._shared = shared
        self._wire = wire
        self._request = request
        self._endpoint = request.endpoint
        self._parse_reply = parse_reply
        self._recover_clock = recover_clock
        self._taken: tuple[Step, ...] = ()
        self._attempts = 0
        self._wait_if_busy = True

    async def run(
        self,
        timeout: float | None,
        *,
        send_within: float | None = None,
        coalesce: bool = False,
        wait_if_busy: bool = True,
    ) -> Answer[_T]:
        """Make the call.

        Args:
            timeout: The time budget in seconds; None for no limit.
            send_within: Seconds after which it is not sent any more; None if its time budget alone says so.
            coalesce: Whether another call's answer to the same request serves as well.
            wait_if_busy: Whether it is asked again when the gateway is busy, hangs or is not there; a poll is not, as
                the next one comes anyway.

        Raises:
            TheKeysError: See each method of `AsyncGateway` and `AsyncLocker`.
        """
        budget = Budget.start(timeout, command=self._endpoint.command, send_within=send_within)
        self._wait_if_busy = wait_if_busy
        self._shared.enter()
        try:
            answer = await self._until_answered(budget, self._endpoint.name if coalesce else None)
        except BaseException as error:
            if self._observer:
                self._observer.over(self._attempts, error, anyio.current_time() - budget.started)
            raise
        else:
            if self._observer:
                self._observer.over(self._attempts, None, answer.duration)
            return answer
        finally:
            self._shared.leave()

    async def _until_answered(self, budget: Budget, coalesce: str | None) -> Answer[_T]:
        turns = self._shared.turns
        endpoint = self._endpoint
        waiter = turns.enter(budget.started, command=endpoint.command, signed=endpoint.signed, coalesce=coalesce)
        self._open_calls.add(waiter, turns)
        try:
            return await self._with_retries(waiter, budget, coalesce)
        except Dismissed:
            raise GatewayClosedError(f"{endpoint.name} was not sent: the gateway object was closed meanwhile") from None
        finally:
            self._open_calls.remove(waiter)

    async def _with_retries(self, waiter: Waiter, budget: Budget, coalesce: str | None) -> Answer[_T]:
        turns = self._shared.turns
        endpoint = self._endpoint
        last: TheKeysError | None = None
        now = since = budget.started
        while True:
            try:
                now = await turns.acquire(waiter, now, budget.send_by)
                if waiter.shared_reply is not None:
                    return self._answer(self._parse_reply(endpoint, waiter.shared_reply), None, budget, now)
                if self._observer:
                    self._observer.waited(self._attempts + 1, now - since)
                tried = await self._take_turn(waiter, budget, coalesce, now)
            except TooFarAheadError:
                now = anyio.current_time()
                continue
            except OutOfTime:
                raise last or self._not_sent(budget) from None
            if tried.error is None:
                return self._answer(cast("_T", tried.value), tried.stamp, budget, tried.ended)
            if tried.step is Step.FAIL or (tried.would_wait and not self._wait_if_busy):
                raise tried.error
            last, now = tried.error, tried.ended
            since = now
            waiter.catch_up = tried.step is Step.CATCH_UP
            if waiter.catch_up:
                last = self._out_of_time_for_the_clock(tried.error)

    def _answer(self, value: _T, stamp: Stamp | None, budget: Budget, at: float) -> Answer[_T]:
        return Answer(value, stamp.value if stamp else None, self._attempts, at - budget.started, at)

    async def _take_turn(self, waiter: Waiter, budget: Budget, coalesce: str | None, now: float) -> _Try:
        """Send the request once, and give the turn back however that ends."""
        arrivals = self._shared.turns.arrivals
        tried = _Try(
            shared=self._shared,
            waiter=waiter,
            request=self._request,
            budget=budget,
            began=now,
            send_by=budget.send_by,
            observer=self._observer,
            number=self._attempts + 1,
        )
        try:
            if now >= budget.send_by:  # the turn came too late, by no fault of the gateway's
                raise OutOfTime
            await self._exchange(tried, self._parse_reply)
            self._attempts += tried.sent
            self._learn(tried)
            if tried.error:
                tried.step = await self._decide(tried, tried.error, budget)
            elif coalesce and tried.reply:
                self._shared.turns.answer_waiting(coalesce, tried.reply, arrivals)
        finally:
            failed = tried.step in _PASSING
            tried.ended = anyio.current_time()
            if failed or tried.sent:
                self._shared.trouble = tried.error if failed else None
            self._shared.release(tried.ended, self._endpoint, sent=tried.sent, failed=failed, refused=tried.refused)
            if self._endpoint.command and tried.sent:
                self._shared.count_command(self._request.identifier)
            if self._observer:
                self._tell_end(self._observer, tried)
        return tried

    def _tell_end(self, observer: CallObserver, tried: _Try) -> None:
        """Tell the observer what came of an attempt; of one that came to nothing before it was begun, nothing."""
        raised = sys.exception()
        if tried.error is None and not tried.sent:
            return
        retried = tried.error is not None and tried.step is not Step.FAIL and raised is None
        retried = retried and (self._wait_if_busy or not tried.would_wait)
        seconds = tried.ended - tried.began
        observer.ended(tried.number, raised or tried.error, sent=tried.sent, retried=retried, seconds=seconds)

    def _learn(self, tried: _Try) -> None:
        """Remember whether the gateway has refused the timestamp: then it binds nobody."""
        if not tried.stamp or not tried.sent:
            return
        tried.refused = isinstance(tried.error, InvalidHmacError)
        allocator = self._shared.allocator
        if not tried.error:
            self._shared.accepted += 1
        if not tried.refused:
            allocator.may_be_accepted(tried.stamp)
        elif Step.CATCH_UP in self._taken:
            allocator.refused(tried.stamp)
            allocator.lead_was_not_refused()
        else:
            allocator.refused(tried.stamp)

    async def _decide(self, tried: _Try, error: TheKeysError, budget: Budget) -> Step:
        lead = (math.inf if tried.stamp.beyond else tried.stamp.lead) if tried.stamp else 0.0
        step = next_step(
            self._endpoint,
            error,
            sent=tried.sent,
            answered=tried.reply is not None,
            lead=lead,
            taken=self._taken,
        )
        self._taken += (step,)
        if step is Step.SET_CLOCK:
            return await self._set_clock(tried, budget)
        if step is Step.JUMP_AHEAD:
            self._shared.allocator.jump_ahead()
        elif step is Step.CATCH_UP and self._shared.allocator.wait(careful=True) > budget.left_to_send:
            tried.error = self._out_of_time_for_the_clock(error)
            return Step.FAIL
        return step

    def _out_of_time_for_the_clock(self, error: TheKeysError) -> TheKeysError:
        """Say that no time was left to ask again after a timestamp was refused, most likely for leading the clock."""
        what = f"{self._endpoint.name}: a timestamp that led the clock was refused, and no time was left to ask again"
        return RequestTimeoutError(what, code=error.code, cause=error.cause)

    async def _set_clock(self, tried: _Try, budget: Budget) -> Step:
        """Synchronise the gateway because its clock is not set, once for all who meet that, inside this turn."""
        shared = self._shared
        if not self._recover_clock or anyio.current_time() - shared.clock_set_at < _CLOCK_STAYS_SET:
            return Step.FAIL
        _log.warning("%s: the clock is not set; synchronising the gateway", shared.key)
        await anyio.sleep(shared.settings.pacing.bluetooth)
        now = anyio.current_time()
        allowed = budget.for_recovery(self._endpoint, now)
        request = Request(SYNCHRONIZE)
        synchronization = _Try(
            shared=shared, waiter=tried.waiter, request=request, budget=allowed, began=now, send_by=allowed.send_by
        )
        try:
            await self._exchange(synchronization, replies.check_done)
        except (OutOfTime, Dismissed):
            return Step.FAIL
        if isinstance(synchronization.error, GatewayBusyError) or not synchronization.sent:
            self._taken = tuple(step for step in self._taken if step is not Step.SET_CLOCK)
            tried.error = synchronization.error
            return Step.BACK_OFF
        # Also if its answer was lost: it may have worked, and asking every caller's own would be no better.
        shared.clock_set_at = anyio.current_time()
        return Step.ONCE_MORE

    async def _exchange(self, tried: _Try, parse_reply: ParseReply[object]) -> None:
        """Send a request and understand the answer, all that can be known of it going into `tried`.

        Raises:
            OutOfTime: Nothing was sent, because too little of the budget was left.
            Dismissed: Nothing was sent, because the gateway object was closed.
        """
        endpoint, budget = tried.request.endpoint, tried.budget
        scope = anyio.CancelScope(deadline=budget.attempt_ends(endpoint, tried.began))
        try:
            with scope:
                self._shared.use(self._wire)
                tried.reply = await self._wire.exchange(tried.prepare, tried, fresh=endpoint.command)
                if tried.stamp and tried.request.code:
                    tried.reply = attrs.evolve(tried.reply, signed=Signed(tried.request.code, tried.stamp.value))
                tried.value = parse_reply(endpoint, tried.reply)
        except ExchangeError as error:
            tried.error = _failure(endpoint, error)
        except TheKeysError as error:
            tried.error = error
        except BaseException:
            self._warn_if_command_was_sent(tried)
            raise
        if scope.cancelled_caught:
            tried.hung = True
            tried.error = _given_up(endpoint, budget, sent=tried.sent)
        if isinstance(tried.error, GatewayBusyError):
            tried.error.phase = self._shared.phase
        _log.debug("%s %s: %s", self._shared.key, endpoint.name, tried.error or "answered")

    def _warn_if_command_was_sent(self, tried: _Try) -> None:
        endpoint = tried.request.endpoint
        if tried.sent and endpoint.command:
            what = "the door may have moved" if endpoint.door else "it may have been carried out"
            _log.warning("%s %s was cancelled after it had been sent: %s", self._shared.key, endpoint.name, what)

    def _not_sent(self, budget: Budget) -> TheKeysError:
        """Why a call has spent its time in the queue."""
        text = f"{self._endpoint.name} was not sent within its time budget of {budget.seconds:g} s"
        match self._shared.trouble:
            case GatewayBusyError() as busy:
                return GatewayBusyError(f"{text}: {busy}", code=busy.code, cause=busy.cause, phase=self._shared.phase)
            case GatewayUnreachableError() as unreachable:
                return GatewayUnreachableError(f"{text}: {unreachable}")
            case _:
                return RequestTimeoutError(f"{text}: too little of that was left when its turn came")


def _failure(endpoint: Endpoint, error: ExchangeError) -> TheKeysError:
    """What an exchange without a usable answer means to the caller."""
    if isinstance(error, UnusableAnswerError):
        return unusable(endpoint, str(error))
    if isinstance(error, NoAnswerError) and endpoint.command:
        return OutcomeUnknownError(f"{endpoint.name} was sent, and may have been carried out: {error}")
    return GatewayUnreachableError(f"{endpoint.name}: {error}")


def _given_up(endpoint: Endpoint, budget: Budget, *, sent: bool) -> TheKeysError:
    """What it means that an attempt has used up its time."""
    if not sent:
        return GatewayUnreachableError(f"{endpoint.name} was not sent: no connection to the gateway in time")
    if endpoint.command:
        return OutcomeUnknownError(
            f"{endpoint.name} was sent, and may have been carried out: no answer within {budget.seconds:g} s"
        )
    if budget.left <= 0:
        return RequestTimeoutError(f"{endpoint.name}: no answer within {budget.seconds:g} s")
    return GatewayUnreachableError(f"{endpoint.name}: the gateway took the request and did not answer")
