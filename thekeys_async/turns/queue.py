"""The queue at one gateway: one request at a time, commands before reads, a rest after each.

No call holds the turn while it waits. Rest, backoff and the timestamps' lead belong to the gateway: who is next is
decided at the moment when the gateway may be asked again. There is no task of its own: the waiter that is next
sleeps until that moment, and whoever changes the order wakes the one that is next by then.
"""

import heapq
import math
import random
from collections.abc import Callable

import anyio
import attrs

from thekeys_async.coordination.base import COMMANDS_IN_A_ROW, Pause, TurnTimeoutError
from thekeys_async.protocol.errors import CoordinationError
from thekeys_async.protocol.replies import Reply
from thekeys_async.turns import pacing
from thekeys_async.turns.coordinated import CoordinatedTurn
from thekeys_async.turns.timestamps import Allocator


def _jitter() -> float:
    return random.uniform(0.75, 1.25)  # noqa: S311 - not a secret


class OutOfTime(Exception):  # noqa: N818 - never seen by callers
    """A waiter's time ran out before its turn came."""


class Dismissed(Exception):  # noqa: N818 - never seen by callers
    """A waiter gets no turn any more: the object that it came through is closed."""


@attrs.define(eq=False)
class Waiter:
    """One call's place in the queue; it keeps its place over its retries.

    Attributes:
        order: When the call came, as a running number.
        command: Whether it goes before reads.
        signed: Whether it needs a timestamp, and so waits for the lead.
        since: When its call began, in the event loop's time.
        coalesce: The name of the request, if another's answer to the same serves as well.
        shared_reply: Such an answer.
        catch_up: Whether its timestamp was refused for leading the clock; it waits for the clock apart from the
            others, and goes before those who have come later.
        dismissed: Whether it gets no turn any more.
    """

    order: int
    command: bool
    signed: bool
    since: float
    coalesce: str | None = None
    shared_reply: Reply | None = None
    catch_up: bool = False
    gone: bool = False
    dismissed: bool = False
    event: anyio.Event | None = None

    def __lt__(self, other: "Waiter") -> bool:
        return (not self.command, self.order) < (not other.command, other.order)


class Turns:
    """The queue at one gateway, in one event loop."""

    def __init__(
        self,
        allocator: Allocator,
        *,
        quiet_for: float = 0.0,
        coordinated: CoordinatedTurn | None = None,
        jitter: Callable[[], float] = _jitter,
    ) -> None:
        self._allocator = allocator
        self._coordinated = coordinated
        self._jitter = jitter
        self._commands: list[Waiter] = []
        self._reads: list[Waiter] = []
        self._late: list[Waiter] = []
        self._held = False
        self._arrivals = 0
        self._streak = 0
        self._rested_at = anyio.current_time() + quiet_for
        self._failures = 0
        self._failed_at = -math.inf
        self._backoff = 0.0

    @property
    def arrivals(self) -> int:
        """The number of calls so far; see `answer_waiting`."""
        return self._arrivals

    def enter(
        self, since: float, *, command: bool, signed: bool, coalesce: str | None = None, first: bool = False
    ) -> Waiter:
        """Take a place in the order of arrival. Harmless if `acquire` never follows.

        Args:
            since: When the call began, in the event loop's time.
            command: Whether it goes before reads.
            signed: Whether it needs a timestamp.
            coalesce: The name of the request, if another's answer to the same serves as well.
            first: Whether it goes before those of its kind that have come earlier.
        """
        self._arrivals += 1
        if command:
            # A person does not wait out the backoff that others have run up.
            self._failures = min(self._failures, 1)
            self._backoff = min(self._backoff, pacing.FIRST_BACKOFF)
        return Waiter(0 if first else self._arrivals, command, signed, since, coalesce)

    async def acquire(self, waiter: Waiter, now: float, until: float) -> float:
        """Wait for the turn, or for another call's answer (`Waiter.shared_reply`); with such an answer no turn is held.

        Args:
            waiter: The waiter.
            now: The event loop's time.
            until: When it gives up.

        Returns:
            The event loop's time by then.

        Raises:
            OutOfTime: `until` has come.
            Dismissed: It gets no turn any more.
            CoordinationError: The state shared with other processes can't be used.
        """
        if self._coordinated and waiter.catch_up and not waiter.dismissed:
            await self._let_clock_catch_up(until)
            now = anyio.current_time()
        heapq.heappush(self._queue(waiter), waiter)
        waiter.gone = waiter.dismissed
        try:
            if self._coordinated:
                # An older call that tries again takes a younger one's place among the other processes.
                self._wake_heads(self._coordinated)
            while waiter.shared_reply is None:
                if waiter.dismissed:
                    raise Dismissed
                if (delay := self._delay(waiter, now)) > 0:
                    if delay == math.inf:
                        # Time alone may have made another one the next, such as one that waited for the clock.
                        self._wake_next()
                    await self._pause(waiter, min(delay, until - now))
                elif now >= until:
                    raise self._out_of_time()
                elif self._coordinated is None or await self._reach(self._coordinated, waiter, until):
                    # Nothing was awaited since the turn was seen to be free, or the lease keeps all others out.
                    self._held = True
                    break
                now = anyio.current_time()
        finally:
            # However the wait ended, by cancellation too: another one may be the next now, and must not sleep on.
            waiter.gone = True
            waiter.event = None
            self._wake_next()
        if waiter.shared_reply is None and not waiter.command:
            self._streak = 0
        return anyio.current_time() if self._coordinated else now

    def release(
        self, now: float, *, rest: float, failed: bool, command: bool, sent: bool = True, refused: bool = False
    ) -> None:
        """Give the turn back.

        Args:
            now: The event loop's time.
            rest: Seconds before the gateway may be asked again.
            failed: Whether it was busy or could not be reached: then the gateway's backoff grows.
            command: Whether it was a command's turn.
            sent: Whether anything was sent; if not, and it did not fail, nothing is known that ends a backoff.
            refused: Whether the gateway has refused the timestamp, which then binds nobody.
        """
        self._held = False
        self._rested_at = max(self._rested_at, now + rest)
        if failed or sent:
            self._failures = self._failures + 1 if failed else 0
        if failed:
            self._failed_at = now
            self._backoff = self._jitter() * pacing.backoff(self._failures)
        if command:
            self._streak = self._streak + 1 if _first(self._reads) else 0
        if self._coordinated:
            self._hand_back(self._coordinated, rest, self._backoff if failed else 0.0, refused=refused)
        self._wake_next()

    def dismiss(self, waiter: Waiter) -> None:
        """Let a waiter go without a turn; one that has the turn keeps it, and gets no other."""
        waiter.dismissed = waiter.gone = True
        if waiter.event:
            waiter.event.set()
        self._wake_next()

    def answer_waiting(self, what: str, reply: Reply, arrivals: int) -> None:
        """Give an answer to all who were waiting for the same when it was asked for, and to nobody else."""
        for waiter in self._reads:
            if not waiter.gone and waiter.coalesce == what and waiter.order <= arrivals:
                waiter.shared_reply = reply
                waiter.gone = True
                if waiter.event:
                    waiter.event.set()

    async def _reach(self, coordinated: CoordinatedTurn, waiter: Waiter, until: float) -> bool:
        """Get the turn from the other processes; False if the queue is to be looked at afresh."""
        try:
            reached = await coordinated.acquire(
                waiter,
                command=waiter.command,
                signed=waiter.signed,
                since=waiter.since,
                until=until,
            )
        except TurnTimeoutError:
            raise OutOfTime from None
        rest = self._rested_at - anyio.current_time()
        if reached and (waiter.shared_reply is not None or waiter.dismissed or rest > 0):
            # It came too late; or the end of our last turn never reached the others.
            coordinated.release(Pause(quiet=max(0.0, rest), failures=coordinated.failures))
            return False
        if reached:
            self._failures = coordinated.failures
        return reached

    def _hand_back(self, coordinated: CoordinatedTurn, rest: float, retry: float, *, refused: bool) -> None:
        """Give the turn back to all processes; from here on the backoff is theirs."""
        pause = Pause(max(rest, min(retry, pacing.FIRST_BACKOFF)), max(rest, retry), self._failures)
        coordinated.release(pause, refused=refused)
        self._failures = 0

    def _next(self) -> Waiter | None:
        command, read = _first(self._commands), _first(self._reads)
        late = _first(self._late) if self._late else None
        if late and not (command or read):
            return late
        if late and self._allocator.wait(careful=True) <= 0:
            command, read = (_older(command, late), read) if late.command else (command, _older(read, late))
        if command and read:
            return command if self._streak < COMMANDS_IN_A_ROW else read
        return command or read

    def _queue(self, waiter: Waiter) -> list[Waiter]:
        # A call that waits for the clock must not keep the others waiting: its share code may just be wrong.
        if waiter.catch_up and not self._coordinated:
            return self._late
        return self._commands if waiter.command else self._reads

    def _delay(self, waiter: Waiter, now: float) -> float:
        """Return the seconds until this waiter may go, or may ask other processes; infinite while it is not next."""
        if self._coordinated:
            return 0.0 if waiter in self._heads() else math.inf
        if self._held or self._next() is not waiter:
            return math.inf
        ready_at = max(self._rested_at, self._failed_at + self._backoff if self._failures else -math.inf)
        # While a refused one waits, nobody takes more: it would be overtaken for ever, or refused a second time.
        lead = self._allocator.wait(careful=_first(self._late) is not None) if waiter.signed else 0.0
        return max(ready_at - now, lead)

    async def _let_clock_catch_up(self, until: float) -> None:
        """Wait outside the queue that is shared with other processes, where it would keep all of them waiting.

        Only once: others go on meanwhile, and it goes before those who came later.
        """
        await anyio.sleep(max(0.0, min(self._allocator.wait(careful=True), until - anyio.current_time())))
        if anyio.current_time() >= until:
            raise OutOfTime

    async def _pause(self, waiter: Waiter, seconds: float) -> None:
        if seconds <= 0:
            raise self._out_of_time()
        waiter.event = anyio.Event()
        with anyio.move_on_after(None if seconds == math.inf else seconds):
            await waiter.event.wait()

    def _out_of_time(self) -> Exception:
        """Make the error of a turn that did not come; the first waiters know the trouble with the shared state."""
        text = self._coordinated.trouble.text if self._coordinated else None
        return CoordinationError(text) if text else OutOfTime()

    def _heads(self) -> list[Waiter]:
        """The waiters that stand for this process among the others: its first command and its first read."""
        return [head for head in (_first(self._commands), _first(self._reads)) if head]

    def _wake_next(self) -> None:
        if self._coordinated:
            self._wake_heads(self._coordinated)
        elif not self._held and (waiter := self._next()) and waiter.event:
            waiter.event.set()

    def _wake_heads(self, coordinated: CoordinatedTurn) -> None:
        heads = self._heads()
        coordinated.keep(heads)
        for head in heads:
            if head.event:
                head.event.set()


def _first(queue: list[Waiter]) -> Waiter | None:
    while queue and queue[0].gone:
        heapq.heappop(queue)
    return queue[0] if queue else None


def _older(one: Waiter | None, other: Waiter) -> Waiter:
    return min(one, other) if one else other
