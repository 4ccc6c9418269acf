"""Carries out the orders that the judge has let through, so that nothing of one leaves after its deadline."""

import logging
import math
from collections.abc import Mapping
from typing import Final, Literal, Protocol

import anyio
import anyio.abc
import attrs

from thekeys_async.bridge import clocks
from thekeys_async.bridge.house import House
from thekeys_async.bridge.messages import Action
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.orders import Order
from thekeys_async.bridge.topics import escaped
from thekeys_async.bridge.verdicts import Decision, Judge, Refusal, Verdict
from thekeys_async.calls.observing import RequestSent
from thekeys_async.gateway import AsyncGateway
from thekeys_async.protocol.errors import CoordinationError, RequestTimeoutError, TheKeysError
from thekeys_async.protocol.text import printable

_log = logging.getLogger("thekeys_async.bridge")

Outcome = Literal["done", "not done", "unknown", "refused"]

# Seconds from look to look: the bolt arrives about 5 s after the reply, and after 15 s it does not come any more.
_LOOKS_AFTER: Final = (5.5, 4.0, 6.0)
_LOOKS_IN_DOUBT: Final = (0.0, 5.0, 10.0, 15.0, 20.0)
_LOOK_TAKES: Final = 20.0

_NAMES: Final = {
    Action.UNLOCK: "open",
    Action.LOCK: "close",
    Action.CALIBRATE: "calibrate",
    Action.SYNCHRONISE: "synchronize",
}


class Leadership(Protocol):
    """Whether this bridge may act, where several stand by."""

    @property
    def lost(self) -> bool:
        """Whether another one may act by now."""
        ...


class Commands:
    """Carries out orders, each in a task of its own; at one locker, one at a time.

    Args:
        gateways: By name.
        house: What is told of the outcome.
        judge: Who lets the next one through.
        metrics: What counts them.
        tasks: Who owns the tasks.
        leadership: Looked at right before each command; None if nobody stands by.
    """

    def __init__(
        self,
        gateways: Mapping[str, AsyncGateway],
        house: House,
        judge: Judge,
        metrics: Metrics,
        *,
        tasks: anyio.abc.TaskGroup,
        leadership: Leadership | None = None,
    ) -> None:
        self._gateways = gateways
        self._house = house
        self._judge = judge
        self._metrics = metrics
        self._tasks = tasks
        self._leadership = leadership
        self._under_way: dict[tuple[str, int | None], _Sending] = {}
        self._looks: dict[int, anyio.Event] = {}
        self._ends: anyio.Event | None = None

    def take(self, verdict: Verdict) -> None:
        """Do what a verdict says about an order that it does not refuse."""
        if verdict.replaced is not None:
            self.refuse(verdict.replaced, Refusal.REPLACED)
        if verdict.order is not None and verdict.decision is Decision.RUN:
            self._tasks.start_soon(self._run, verdict.order)

    def refuse(self, order: Order, refusal: Refusal) -> None:
        """Say that an order is refused."""
        self._metrics.refused(refusal)
        topic = f"{order.target.kind}/{order.target.name}/{order.target.channel}"
        _log.warning("refused a command on %s: %s", printable(topic), refusal.value)
        self._house.result(order, "refused", refusal.value, clocks.now().wall)

    def bytes_left(self, sent: RequestSent) -> None:
        """Take the news that the bytes of a request leave."""
        sending = self._under_way.get((sent.gateway, sent.identifier))
        if sending is None or _NAMES.get(sending.order.request.action) != sent.action:
            return
        is_first, sending.sent = not sending.sent, True
        sending.scope.deadline = math.inf
        self._metrics.command_sent()
        if is_first and sent.identifier is not None:
            self._house.command_sent(sent.identifier, sending.order.request.action, clocks.now().boot)

    def looked(self, identifier: int) -> None:
        """Take the news that somebody has tried to read a bolt."""
        if (event := self._looks.pop(identifier, None)) is not None:
            event.set()

    async def idle(self) -> None:
        """Wait until no command is on its way to a gateway."""
        while self._under_way:
            self._ends = self._ends or anyio.Event()
            await self._ends.wait()

    async def _run(self, order: Order) -> None:
        """Carry out an order, and the one that has waited for its end."""
        following: Order | None = order
        while following is not None:
            order, following = following, None
            await self._perform(order)
            verdict = self._judge.next(order, clocks.now())
            if verdict is not None and verdict.order is not None:
                if verdict.refusal is not None:
                    self.refuse(verdict.order, verdict.refusal)
                else:
                    following = verdict.order

    async def _perform(self, order: Order) -> None:
        """Carry an order out, and say what is known of that, also if this is cancelled."""
        sending = _Sending(order)
        key = self._gateway(order).name, order.target.identifier
        if not order.request.action.is_read:
            self._under_way[key] = sending
        began = anyio.current_time()
        outcome: Outcome = "unknown"
        reason: str | None = "the bridge was stopped"
        try:
            await self._send(sending)
        except TheKeysError as error:
            outcome, reason = ("unknown" if error.may_have_executed else "not done"), str(error)
        except anyio.get_cancelled_exc_class():
            outcome = "unknown" if sending.sent else "not done"
            raise
        else:
            outcome, reason = "done", None
        finally:
            if self._under_way.get(key) is sending:
                del self._under_way[key]
            if self._ends is not None:
                self._ends.set()
                self._ends = None
            self._ended(sending, outcome)
            self._metrics.command_ended(order.request.action, outcome, anyio.current_time() - began)
            self._house.result(self._judge.newest_of(order), outcome, reason, clocks.now().wall)

    def _ended(self, sending: "_Sending", outcome: Outcome) -> None:
        action, identifier = sending.order.request.action, sending.order.target.identifier
        if identifier is None or action.is_read:
            return
        now = clocks.now()
        if outcome == "done":
            self._house.command_replied(identifier, action, now.boot)
            self._tasks.start_soon(self._look_until_known, identifier, _LOOKS_AFTER)
        else:
            unknown = outcome == "unknown"
            self._house.command_failed(identifier, now.boot, may_have_executed=unknown, was_sent=sending.sent)
            if outcome == "unknown":
                self._tasks.start_soon(self._look_until_known, identifier, _LOOKS_IN_DOUBT)

    async def _send(self, sending: "_Sending") -> None:
        order = sending.order
        left = order.deadline - clocks.now().boot
        if left <= 0:
            raise RequestTimeoutError("nothing was sent: it was too late")
        if self._leadership is not None and self._leadership.lost:
            raise CoordinationError("nothing was sent: another bridge leads")
        gateway, identifier = self._gateway(order), order.target.identifier
        if identifier is None:
            sending.scope.deadline = anyio.current_time() + left
            with sending.scope:
                await gateway.synchronize()
            if sending.scope.cancelled_caught:
                raise RequestTimeoutError("nothing was sent: the gateway had no time for it")
            return
        match order.request.action:
            case Action.LOCK:
                await gateway.locker(identifier).close(send_within=left)
            case Action.UNLOCK:
                await gateway.locker(identifier).open(send_within=left)
            case Action.CALIBRATE:
                await gateway.locker(identifier).calibrate(send_within=left)
            case _:
                await self._look(identifier)

    async def _look(self, identifier: int) -> None:
        """Have a bolt read, and wait until that was tried.

        Raises:
            TheKeysError: It could not be read.
        """
        lock = self._house.locks[identifier]
        self._gateways[lock.locker.gateway].read_now(identifier)
        event = self._looks.setdefault(identifier, anyio.Event())
        with anyio.move_on_after(_LOOK_TAKES):
            await event.wait()
        if not event.is_set():
            raise RequestTimeoutError(f"locker {identifier} was not read in time")
        if lock.error is not None:
            raise lock.error.with_traceback(None)

    async def _look_until_known(self, identifier: int, pauses: tuple[float, ...]) -> None:
        """Look where the bolt is, until that is known or it makes no sense any more."""
        for pause in pauses:
            await anyio.sleep(pause)
            if not self._house.locks[identifier].state.awaits_read:
                return
            try:
                await self._look(identifier)
            except TheKeysError as error:
                _log.debug("locker %d could not be read: %s", identifier, error)

    def _gateway(self, order: Order) -> AsyncGateway:
        identifier = order.target.identifier
        if identifier is not None:
            return self._gateways[self._house.locks[identifier].locker.gateway]
        return next(each for name, each in self._gateways.items() if escaped(name) == order.target.name)


@attrs.define(eq=False)
class _Sending:
    """An order that is being carried out.

    Attributes:
        order: Which.
        sent: Whether any byte of it has left.
        scope: Ends it before its bytes have left, where the library can't be told to.
    """

    order: Order
    sent: bool = False
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
