"""A caller that waits for a turn from Redis."""

import secrets

import anyio
import attrs

from thekeys_async.coordination.base import (
    LONGEST_SLEEP,
    NEXT_TRY,
    SAFE_PART,
    SLOW,
    Claim,
    Freshness,
    TurnTimeoutError,
    far_ahead,
    look_again_after,
)
from thekeys_async.coordination.redis_connection import RedisConnection, ScriptCall
from thekeys_async.coordination.redis_scripts import GIVE_BACK, TAKE, understood
from thekeys_async.protocol.errors import CoordinationError

# Twice the longest time between two looks. A late waiter is only passed over: its next look puts it back in its place.
_WAITER_LIVES = 2 * LONGEST_SLEEP
_NO_LIMIT = 1e15
_FAR_AHEAD = 2  # what the script answers, instead of 0 or 1


@attrs.frozen
class Grant:
    """The answer with which Redis gave the turn.

    Attributes:
        timestamp: The timestamp, or 0.
        failures: See `Lease.failures`.
        freshness: When the timestamp was asked for.
        valid_until: Until when the lease is safe, in boot time.
    """

    timestamp: int
    failures: int
    freshness: Freshness
    valid_until: float


class RedisClaimant:
    """A caller that waits for the turn. It has one token over all its attempts, so that a lost answer loses no turn."""

    def __init__(self, connection: RedisConnection, keys: list[str], claim: Claim, lease: float) -> None:
        self.token = secrets.token_hex(16)
        self.keys = keys
        self._connection = connection
        self._claim = claim
        self._lease = lease
        self._started = anyio.current_time()
        self._asked: ScriptCall | None = None
        self._next_since: float | None = None

    async def look(self) -> Grant | float:
        """Take the turn if it is time; if not, say after how many seconds to look again.

        Raises:
            CoordinationError: Redis refuses.
        """
        freshness = Freshness()
        asked = self._asked = self._connection.ask(TAKE, self.keys, self._arguments())
        self.expect_answer()
        with anyio.CancelScope(deadline=self._claim.until):
            await asked.done.wait()
        if not asked.done.is_set():
            return NEXT_TRY
        if asked.trouble:
            text = self._note(asked.trouble)
            if asked.refused:
                raise CoordinationError(text)
            return NEXT_TRY
        self._claim.trouble.clear()
        granted, first, second = self._understood(asked.answer)
        if granted == _FAR_AHEAD:
            raise CoordinationError(far_ahead(f"the field 'last' of {self.keys[1]} in Redis", first))
        if granted:
            return Grant(first, second, freshness, freshness.boot + self._lease * SAFE_PART)
        return self._next_look(ahead=first, wait=second / 1000)

    def expect_answer(self) -> None:
        """Note that Redis does not answer, should it not within a while from now on."""
        self._note(f"Redis at {self._connection.place} does not answer", after=SLOW)

    def _understood(self, answer: object) -> tuple[int, int, int]:
        """Check the script's answer; it comes from outside, as all that a server says.

        Raises:
            CoordinationError: It is not what the script answers.
        """
        found = understood(answer, signed=self._claim.wish is not None)
        if found is None:
            raise CoordinationError(self._note(f"Redis at {self._connection.place} answers what its scripts never do"))
        return found

    def _note(self, trouble: str, *, after: float = 0.0) -> str:
        """Note a trouble, also for those who queue behind this caller, unless a worse one is noted already."""
        text = f"nothing was sent: {trouble}"
        if not (after and self._claim.trouble.text):
            self._claim.trouble.note(text, after=after)
        return text

    async def sleep(self, seconds: float) -> None:
        """Sleep until the next look.

        Raises:
            CoordinationError: The time is over, and Redis was not to be reached.
            TurnTimeoutError: The time is over.
        """
        left = self._claim.until - anyio.current_time()
        if left <= 0 and self._claim.trouble.text:
            raise CoordinationError(self._claim.trouble.text)
        if left <= 0:
            raise TurnTimeoutError
        await anyio.sleep(min(seconds, left, LONGEST_SLEEP))

    def leave(self) -> None:
        """Leave nothing behind, not even a turn that comes only now."""
        if self._asked:
            self._connection.start(self._leave, self._asked)

    async def _leave(self, asked: ScriptCall) -> None:
        await asked.done.wait()
        await self._connection.ask(GIVE_BACK, self.keys, [self.token]).done.wait()

    def _next_look(self, ahead: int, wait: float) -> float:
        now = anyio.current_time()
        if ahead:
            self._next_since = None
            return look_again_after(ahead, 0.0)
        self._next_since = self._next_since or now
        return wait or look_again_after(0, now - self._next_since)

    def _arguments(self) -> list[str | int | float]:
        claim, wish = self._claim, self._claim.wish
        waited = claim.waited + anyio.current_time() - self._started
        found: list[str | int | float] = [self.token, 0 if claim.command else 1]
        found += [round(seconds * 1000) for seconds in (waited, self._lease, _WAITER_LIVES)]
        if wish is None:
            return [*found, 0]
        leads = [min(lead, _NO_LIMIT) for lead in (wish.max_lead, wish.lead)]
        return [*found, 1, wish.clock(), wish.newer_than, *leads]
