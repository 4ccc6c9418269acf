"""Carries out the commands that are admitted, so that nothing of one leaves after its deadline."""

import logging
import math
from collections.abc import Mapping
from typing import Final, Literal, Protocol

import anyio
import anyio.abc
import attrs

from thekeys_async.bridge import clocks
from thekeys_async.bridge.command_history import Command
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.messages import Action
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.refusals import Refusals
from thekeys_async.bridge.topics import escaped
from thekeys_async.bridge.verdicts import Decision, Judge, Refusal, Verdict
from thekeys_async.calls.observing import RequestSent
from thekeys_async.gateway import AsyncGateway
from thekeys_async.protocol.errors import CoordinationError, RequestTimeoutError, TheKeysError

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
    """The lease of the bridge that leads, where several stand by."""

    @property
    def lost(self) -> bool:
        """Whether another bridge may lead by now."""
        ...


class CommandRunner:
    """Carries out commands, each in a task of its own; at one locker, one at a time.

    Args:
        gateways: By name.
        devices: Take the outcome.
        judge: Admits commands.
        metrics: The counters.
        refusals: Tell of what is refused.
        tasks: The owner of the tasks.
        leadership: Looked at right before each command; None if nobody stands by.
    """

    def __init__(
        self,
        gateways: Mapping[str, AsyncGateway],
        devices: Devices,
        judge: Judge,
        metrics: Metrics,
        refusals: Refusals,
        *,
        tasks: anyio.abc.TaskGroup,
        leadership: Leadership | None = None,
    ) -> None:
        self._gateways = gateways
        self._devices = devices
        self._judge = judge
        self._metrics = metrics
        self._refusals = refusals
        self._tasks = tasks
        self._leadership = leadership
        self._under_way: dict[tuple[str, int | None], _Sending] = {}
        self._looks: dict[int, _Look] = {}
        self._ends: anyio.Event | None = None

    def take(self, verdict: Verdict) -> None:
        """Do what a verdict says about a command that it does not refuse."""
        if verdict.replaced is not None:
            self._refuse(verdict.replaced, Refusal.REPLACED)
        if verdict.command is not None and verdict.decision is Decision.RUN:
            self._tasks.start_soon(self._run, verdict.command)

    def bytes_left(self, sent: RequestSent) -> None:
        """Note that the bytes of a request leave."""
        sending = self._under_way.get((sent.gateway, sent.identifier))
        if sending is None or _NAMES.get(sending.command.message.action) != sent.action:
            return
        is_first, sending.sent = not sending.sent, True
        sending.scope.deadline = math.inf
        self._metrics.command_sent()
        if is_first and sent.identifier is not None:
            self._devices.command_sent(sent.identifier, sending.command.message.action, clocks.now().boot)

    def looked(self, identifier: int, error: TheKeysError | None) -> None:
        """Note that somebody has read a bolt, or could not."""
        if (look := self._looks.pop(identifier, None)) is not None:
            look.error = error
            look.over.set()

    async def idle(self) -> None:
        """Wait until no command is on its way to a gateway."""
        while self._under_way:
            self._ends = self._ends or anyio.Event()
            await self._ends.wait()

    async def _run(self, command: Command) -> None:
        """Carry out a command, and the one that has waited for its end."""
        following: Command | None = command
        while following is not None:
            try:
                await self._perform(following)
            finally:
                following = self._after(following)

    def _after(self, command: Command) -> Command | None:
        """Get the command to carry out after one that has ended, if there is one, or refuse it."""
        verdict = self._judge.next(command, clocks.now())
        if verdict is None or verdict.command is None:
            return None
        if verdict.refusal is not None:
            self._refuse(verdict.command, verdict.refusal)
            return None
        return verdict.command

    def _refuse(self, command: Command, refusal: Refusal) -> None:
        self._refusals.tell(command.target, command.message, refusal)

    async def _perform(self, command: Command) -> None:
        """Carry a command out, and publish what is known of that, also if this is cancelled."""
        sending = _Sending(command)
        key = self._gateway(command).name, command.target.identifier
        if not command.message.action.is_read:
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
            self._metrics.command_ended(command.message.action, outcome, anyio.current_time() - began)
            for each in self._judge.served_by(command):
                self._devices.result(each.target, each.message, outcome, reason, clocks.now().wall)

    def _ended(self, sending: "_Sending", outcome: Outcome) -> None:
        action, identifier = sending.command.message.action, sending.command.target.identifier
        if identifier is None or action.is_read:
            return
        now = clocks.now()
        if outcome == "done":
            self._devices.command_replied(identifier, action, now.boot)
            self._tasks.start_soon(self._look_until_known, identifier, _LOOKS_AFTER)
        else:
            unknown = outcome == "unknown"
            self._devices.command_failed(identifier, now.boot, may_have_executed=unknown, was_sent=sending.sent)
            if outcome == "unknown":
                self._tasks.start_soon(self._look_until_known, identifier, _LOOKS_IN_DOUBT)

    async def _send(self, sending: "_Sending") -> None:
        command = sending.command
        left = command.deadline - clocks.now().boot
        if left <= 0:
            raise RequestTimeoutError("nothing was sent: it was too late")
        if self._leadership is not None and self._leadership.lost:
            raise CoordinationError("nothing was sent: another bridge leads")
        gateway, identifier = self._gateway(command), command.target.identifier
        if identifier is None:
            sending.scope.deadline = anyio.current_time() + left
            with sending.scope:
                await gateway.synchronize()
            if sending.scope.cancelled_caught:
                raise RequestTimeoutError("nothing was sent: the gateway had no time for it")
            return
        match command.message.action:
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
        self._gateways[self._devices.locks[identifier].locker.gateway].read_now(identifier)
        look = self._looks.setdefault(identifier, _Look())
        with anyio.move_on_after(_LOOK_TAKES):
            await look.over.wait()
        if not look.over.is_set():
            raise RequestTimeoutError(f"locker {identifier} was not read in time")
        if look.error is not None:
            raise look.error.with_traceback(None)

    async def _look_until_known(self, identifier: int, pauses: tuple[float, ...]) -> None:
        """Look where the bolt is, until that is known or it makes no sense any more."""
        for pause in pauses:
            await anyio.sleep(pause)
            if not self._devices.locks[identifier].state.awaits_read:
                return
            try:
                await self._look(identifier)
            except TheKeysError as error:
                _log.debug("locker %d could not be read: %s", identifier, error)

    def _gateway(self, command: Command) -> AsyncGateway:
        identifier = command.target.identifier
        if identifier is not None:
            return self._gateways[self._devices.locks[identifier].locker.gateway]
        return next(each for name, each in self._gateways.items() if escaped(name) == command.target.name)


@attrs.define(eq=False)
class _Look:
    """A read of a bolt that somebody waits for.

    Attributes:
        over: Set when it has been read, or could not be.
        error: Why it could not.
    """

    over: anyio.Event = attrs.field(factory=anyio.Event)
    error: TheKeysError | None = None


@attrs.define(eq=False)
class _Sending:
    """A command that is being carried out.

    Attributes:
        command: Which.
        sent: Whether any byte of it has left.
        scope: Ends it before its bytes have left, where the library can't be told to.
    """

    command: Command
    sent: bool = False
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
