"""One call to a gateway from beginning to end: wait for the turn, send, parse the reply, retry where that is right."""

import logging
import math
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import anyio
import attrs

from thekeys_async.calls.attempt import CallAttempt, failure, given_up, why_not_sent
from thekeys_async.calls.budgets import Budget
from thekeys_async.calls.observing import CallObserver
from thekeys_async.calls.open_calls import OpenCalls
from thekeys_async.calls.retries import Step, next_step
from thekeys_async.protocol import replies
from thekeys_async.protocol.endpoints import SYNCHRONIZE, Endpoint
from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayClosedError,
    InvalidHmacError,
    InvalidKeyError,
    LockerFaultError,
    LockerIncompatibleError,
    LockerNotDetectedError,
    RequestTimeoutError,
    TheKeysError,
)
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import Signed
from thekeys_async.transport.wire import ExchangeError, ExchangeTrace, Wire
from thekeys_async.turns.queue import Dismissed, OutOfTime, Waiter
from thekeys_async.turns.shared import SharedGateway
from thekeys_async.turns.timestamps import OvertakenError, Stamp, TooFarAheadError

_log = logging.getLogger("thekeys_async")
_T = TypeVar("_T")
_CLOCK_STAYS_SET = 300.0
_CAUGHT = (
    "%s %s was sent and not answered: whoever caught it on its way can use it, also to open the door, until the "
    "gateway has accepted a newer signed request; one follows when it answers again"
)
# The gateway has accepted the request, and asked the locker; all other refusals come before that.
_REFUSALS_OF_A_LOCKER = (InvalidKeyError, LockerFaultError, LockerIncompatibleError, LockerNotDetectedError)
_PASSING = (Step.BACK_OFF, Step.REPEAT)

ParseReply = Callable[[Endpoint, Reply], _T]
"""Makes a value of a reply, or raises what the reply means."""


@attrs.define  # not frozen, which costs three times as much: each call makes one
class Answer(Generic[_T]):
    """The result of a call.

    Attributes:
        value: The parsed reply.
        timestamp: The timestamp that was accepted, for a signed request.
        attempts: How many times the request was sent; 0 if another call's answer served as well.
        duration: Seconds from the call to the reply.
        at: When it came, in the event loop's time.
    """

    value: _T
    timestamp: int | None
    attempts: int
    duration: float
    at: float


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
        recorder: Callable[[CallAttempt], None] | None,
    ) -> None:
        self._recorder = recorder
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
        self._coalesce: str | None = None

    async def run(
        self,
        timeout: float | None,
        *,
        send_within: float | None = None,
        coalesce: bool = False,
        wait_if_busy: bool = True,
        first: bool = False,
    ) -> Answer[_T]:
        """Make the call.

        Args:
            timeout: The time budget in seconds; None for no limit.
            send_within: Seconds after which it is not sent any more; None if its time budget alone says so.
            coalesce: Whether another call's answer to the same request serves as well.
            wait_if_busy: Whether it is asked again when the gateway is busy, hangs or is not there; a poll is not, as
                the next one comes anyway.
            first: Whether it goes before calls of its kind that have come earlier.

        Raises:
            TheKeysError: See each method of `AsyncGateway` and `AsyncLocker`.
        """
        endpoint, shared = self._endpoint, self._shared
        budget = Budget.start(timeout, command=endpoint.command, send_within=send_within)
        self._wait_if_busy = wait_if_busy
        self._coalesce = endpoint.name if coalesce else None
        waiter = shared.turns.enter(
            budget.started, command=endpoint.command, signed=endpoint.signed, coalesce=self._coalesce, first=first
        )
        shared.enter()
        self._open_calls.add(waiter, shared.turns)
        try:
            answer = await self._with_retries(waiter, budget)
        except BaseException as error:
            if self._observer:
                self._observer.over(self._attempts, error, anyio.current_time() - budget.started)
            raise
        else:
            if self._observer:
                self._observer.over(self._attempts, None, answer.duration)
            return answer
        finally:
            self._open_calls.remove(waiter)
            if shared.unanswered.request is self._request and not shared.unanswered.invalidating:
                _log.warning(_CAUGHT, shared.key, endpoint.name)
            shared.leave()

    async def _with_retries(self, waiter: Waiter, budget: Budget) -> Answer[_T]:
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
                tried = await self._take_turn(waiter, budget, now)
            except (TooFarAheadError, OvertakenError):
                now = anyio.current_time()
                continue
            except OutOfTime:
                raise last or why_not_sent(endpoint, budget, self._shared) from None
            except Dismissed:
                what = f"{endpoint.name} was not sent: the gateway object was closed meanwhile"
                raise GatewayClosedError(what) from None
            if tried.error is None:
                return self._answer(cast("_T", tried.value), tried.stamp, budget, tried.ended)
            if self._ends_with(tried):
                raise tried.error
            last, now = tried.error, tried.ended
            since = now
            waiter.catch_up = tried.step is Step.CATCH_UP
            if waiter.catch_up:
                last = self._out_of_time_for_the_clock(tried.error)

    def _answer(self, value: _T, stamp: Stamp | None, budget: Budget, at: float) -> Answer[_T]:
        return Answer(value, stamp.value if stamp else None, self._attempts, at - budget.started, at)

    async def _take_turn(self, waiter: Waiter, budget: Budget, now: float) -> CallAttempt:
        """Send the request once, and give the turn back however that ends."""
        arrivals = self._shared.turns.arrivals
        tried = CallAttempt(
            shared=self._shared,
            waiter=waiter,
            request=self._request,
            budget=budget,
            began=now,
            send_by=budget.send_by,
            observer=self._observer,
            number=self._attempts + 1,
            trace=ExchangeTrace() if self._recorder else None,
        )
        try:
            if now >= budget.send_by:  # the turn came too late, by no fault of the gateway's
                raise OutOfTime
            await self._exchange(tried, self._parse_reply)
            self._learn(tried)
            if tried.error:
                tried.step = await self._decide(tried, tried.error, budget)
            elif self._coalesce and tried.reply:
                self._shared.turns.answer_waiting(self._coalesce, tried.reply, arrivals)
        finally:
            self._attempts += tried.sent
            failed = tried.step in _PASSING
            tried.ended = anyio.current_time()
            self._note_unanswered(tried)
            if failed or tried.sent:
                self._shared.trouble = tried.error if failed else None
            self._shared.release(tried.ended, self._endpoint, sent=tried.sent, failed=failed, refused=tried.refused)
            if self._endpoint.command and tried.sent:
                self._shared.count_command(self._request.identifier)
            if self._recorder:
                self._recorder(tried)
            if self._observer:
                again = tried.error is not None and not self._ends_with(tried)
                tried.tell_end(retried=again and tried.ended < budget.send_by)
        return tried

    def _ends_with(self, tried: CallAttempt) -> bool:
        """Tell whether the call ends with this failure; else it is tried again."""
        return tried.step is Step.FAIL or (tried.would_wait and not self._wait_if_busy)

    def _learn(self, tried: CallAttempt) -> None:
        """Note whether the gateway has refused the timestamp: then it binds nobody."""
        if not tried.stamp or not tried.sent:
            return
        tried.refused = isinstance(tried.error, InvalidHmacError)
        allocator = self._shared.allocator
        if not tried.error:
            self._shared.accepted += 1
        if not tried.refused:
            allocator.may_be_accepted(tried.stamp)
        elif not self._shared.coordinated and allocator.was_overtaken(tried.stamp):
            tried.overtaken = True
        elif Step.CATCH_UP in self._taken:
            allocator.refused(tried.stamp)
            allocator.lead_was_not_refused()
        else:
            allocator.refused(tried.stamp)

    def _note_unanswered(self, tried: CallAttempt) -> None:
        """Note a signed read that got no answer, or that the gateway has accepted a newer signed request."""
        if not tried.stamp or not tried.sent:
            return
        if tried.reply is not None:
            if tried.error is None or isinstance(tried.error, _REFUSALS_OF_A_LOCKER):
                self._shared.unanswered.invalidated()
        elif not self._endpoint.command:
            self._shared.unanswered.request = self._request

    async def _decide(self, tried: CallAttempt, error: TheKeysError, budget: Budget) -> Step:
        lead = (math.inf if tried.stamp.beyond else tried.stamp.lead) if tried.stamp else 0.0
        step = next_step(
            self._endpoint,
            error,
            sent=tried.sent,
            answered=tried.reply is not None,
            lead=lead,
            taken=self._taken,
            overtaken=tried.overtaken,
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
        """Make the error of a call whose timestamp was refused, most likely for its lead, and whose time is up."""
        what = f"{self._endpoint.name}: a timestamp that led the clock was refused, and no time was left to ask again"
        return RequestTimeoutError(what, code=error.code, cause=error.cause)

    async def _set_clock(self, tried: CallAttempt, budget: Budget) -> Step:
        """Synchronise the gateway inside this turn, as its clock is not set; once for all callers."""
        shared = self._shared
        if not self._recover_clock or anyio.current_time() - shared.clock_set_at < _CLOCK_STAYS_SET:
            return Step.FAIL
        _log.warning("%s: the clock is not set; synchronising the gateway", shared.key)
        await anyio.sleep(shared.settings.pacing.bluetooth)
        now = anyio.current_time()
        allowed = budget.for_recovery(self._endpoint, now)
        request = Request(SYNCHRONIZE)
        synchronization = CallAttempt(
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

    async def _exchange(self, tried: CallAttempt, parse_reply: ParseReply[object]) -> None:
        """Send a request and parse the reply; the outcome goes into `tried`.

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
            tried.error = failure(endpoint, error)
        except TheKeysError as error:
            tried.error = error
        except BaseException:
            tried.warn_if_command_was_sent()
            raise
        if scope.cancelled_caught:
            tried.hung = True
            tried.error = given_up(endpoint, budget, sent=tried.sent)
        if isinstance(tried.error, GatewayBusyError):
            tried.error.phase = self._shared.phase_text
        _log.debug("%s %s: %s", self._shared.key, endpoint.name, tried.error or "answered")
