"""`RedisCoordinator`: turns and timestamps that hold across machines."""

import logging
import math
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import anyio
import attrs

from thekeys_async.coordination.base import (
    LONGEST_SLEEP,
    SLOW,
    Claim,
    Freshness,
    LeaseLostError,
    Pause,
    TurnTimeoutError,
    boot_time,
    far_ahead,
    look_again_after,
)
from thekeys_async.coordination.leader import LeaderLease, check_arguments
from thekeys_async.coordination.redis_connection import Asked, RedisLine
from thekeys_async.coordination.redis_leader import RedisLeader
from thekeys_async.coordination.redis_scripts import GIVE_BACK, RENEW, TAKE, is_yes, understood
from thekeys_async.protocol.errors import CoordinationError
from thekeys_async.protocol.secrets import Secret

_log = logging.getLogger("thekeys_async")

# Twice the longest time between two looks. Who is late is only passed over: its next look puts it back in its place.
_WAITER_LIVES = 2 * LONGEST_SLEEP
_NEXT_TRY = 0.25
_TO_FINISH = 1.0
_SAFE_PART = 0.9
_NO_LIMIT = 1e15
_FAR_AHEAD = 2  # what the script answers, instead of 0 or 1


class RedisCoordinator:
    """Shares turns and timestamps between machines, through Redis 7 (extra ``redis``).

    The turn is a lease: it is renewed while it is held, and ends by itself when its holder dies or is stopped; what is
    left of it then is the gateway's rest. A holder
    that finds its lease over before the first byte sends nothing and takes another turn. One that is stopped between
    that look and the first byte is late; then the gateway refuses its signed request, if it has accepted a newer one.

    In Redis each gateway has three keys: ``<prefix>:{<gateway>}:turn``, ``:state`` and ``:waiting``; the first and the
    last expire. If Redis is lost with its memory, timestamps carry on from the clock.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user and password percent-encoded; see coredis's
            ``Redis.from_url``. It is neither logged nor shown.
        lease: Seconds after which a holder that is not heard of has lost the turn.
        prefix: What the names of its keys begin with.

    Raises:
        ImportError: The client is missing: install ``thekeys-async[redis]``.
        ValueError: The URL or the lease makes no sense.
    """

    def __init__(self, url: str, *, lease: float = 10.0, prefix: str = "thekeys") -> None:
        self._lease = lease
        hidden = Secret(url)
        del url
        if not 0 < lease < math.inf:
            raise ValueError("a lease is a positive number of seconds")
        self._line = RedisLine(hidden)
        self._prefix = prefix
        self._held: set[RedisLease] = set()
        self._returning: dict[str, anyio.Event] = {}
        self._stack: AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<RedisCoordinator lease={self._lease:g}>"

    async def __aenter__(self) -> Self:
        """Begin. Redis need not be there yet."""
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(self._line.open())
            tasks.start_soon(self._keep_leases)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, when what was to be given back has been, or after a second."""
        stack, self._stack = self._stack, None
        if stack:
            await self._line.finish(_TO_FINISH)
            self._held.clear()
            self._returning.clear()
            await stack.__aexit__(None, None, None)

    async def acquire(self, key: str, claim: Claim) -> "RedisLease":
        """See `thekeys_async.coordination.base.Coordinator.acquire`."""
        self._check_entered()
        claimant = _Claimant(self._line, self._keys(key), claim, self._lease)
        try:
            claimant.expect_answer()
            await self._until_returned(claimant.keys[0], claim.until)
            while not isinstance(found := await claimant.look(), Grant):
                await claimant.sleep(found)
        except BaseException:
            claimant.leave()
            raise
        lease = RedisLease(self, claimant, found)
        self._held.add(lease)
        return lease

    def lead(self, name: str, *, lease: float = 10.0) -> LeaderLease:
        """Ask for the right to lead, which one program at a time holds: ``async with`` waits for it.

        A leader that dies or is stopped has lost it after `lease` seconds. If Redis is lost with its memory, a leader
        that goes on tells it again; nobody else takes over for that time.

        Args:
            name: What is led.
            lease: Seconds for which a leader that is not heard of is waited for.

        Raises:
            ValueError: An argument makes no sense.
            RuntimeError: The coordinator was not entered.
        """
        check_arguments(name, lease)
        self._check_entered()
        return LeaderLease(RedisLeader(self._line, f"{self._prefix}:{{{name}}}:leader", lease), name, lease)

    def give_back(self, lease: "RedisLease", pause: Pause, refused: int) -> None:
        """Give a turn back in the background; `RedisLease.release` is what a holder calls."""
        if lease in self._held:
            self._held.remove(lease)
            returned = self._returning[lease.keys[0]] = anyio.Event()
            self._line.start(self._give_back, lease, pause, refused, returned)

    async def _give_back(self, lease: "RedisLease", pause: Pause, refused: int, returned: anyio.Event) -> None:
        milliseconds = [round(seconds * 1000) for seconds in (pause.quiet, pause.retry)]
        arguments: list[str | float] = [lease.token, *milliseconds, pause.failures, refused]
        trouble: str | None = None
        try:
            while trouble is None or not lease.over:
                asked = Asked()
                await self._line.run(GIVE_BACK, lease.keys, arguments, asked)
                if asked.trouble is None:
                    return
                returned.set()
                trouble = asked.trouble
                await anyio.sleep(_NEXT_TRY)
        finally:
            returned.set()
        _log.warning("a turn could not be given back: %s; it is free when the lease is over", trouble)

    async def _keep_leases(self) -> None:
        while True:
            await anyio.sleep(self._lease / 3)
            for lease in tuple(self._held):
                self._line.start(self._renew, lease)

    async def _renew(self, lease: "RedisLease") -> None:
        while lease in self._held and not lease.over:
            sent_at = boot_time()
            asked = Asked()
            await self._line.run(RENEW, lease.keys, [lease.token, round(self._lease * 1000)], asked)
            if not asked.trouble:
                lease.renew(sent_at + self._lease * _SAFE_PART if is_yes(asked.answer) else None)
                return
            await anyio.sleep(_NEXT_TRY)

    def _check_entered(self) -> None:
        if self._stack is None:
            raise RuntimeError("enter the coordinator first: async with RedisCoordinator(...) as coordinator")

    async def _until_returned(self, turn: str, until: float) -> None:
        """Let our own last turn arrive first: asking before it has would be in vain."""
        if turn in self._returning:
            with anyio.CancelScope(deadline=until):
                await self._returning[turn].wait()

    def _keys(self, key: str) -> list[str]:
        return [f"{self._prefix}:{{{key}}}:{what}" for what in ("turn", "state", "waiting")]


@attrs.frozen
class Grant:
    """What Redis said when it gave the turn.

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


class _Claimant:
    """One caller on the way to the turn. One token over all its attempts, so that a lost answer loses no turn."""

    def __init__(self, line: RedisLine, keys: list[str], claim: Claim, lease: float) -> None:
        self.token = secrets.token_hex(16)
        self.keys = keys
        self._line = line
        self._claim = claim
        self._lease = lease
        self._started = anyio.current_time()
        self._asked: Asked | None = None
        self._next_since: float | None = None

    async def look(self) -> Grant | float:
        """Take the turn if it is time; if not, say after how many seconds to look again.

        Raises:
            CoordinationError: Redis refuses.
        """
        freshness = Freshness()
        asked = self._asked = self._line.ask(TAKE, self.keys, self._arguments())
        self.expect_answer()
        with anyio.CancelScope(deadline=self._claim.until):
            await asked.done.wait()
        if not asked.done.is_set():
            return _NEXT_TRY
        if asked.trouble:
            text = self._note(asked.trouble)
            if asked.refused:
                raise CoordinationError(text)
            return _NEXT_TRY
        self._claim.trouble.clear()
        granted, first, second = self._understood(asked.answer)
        if granted == _FAR_AHEAD:
            raise CoordinationError(far_ahead(f"the field 'last' of {self.keys[1]} in Redis", first))
        if granted:
            return Grant(first, second, freshness, freshness.boot + self._lease * _SAFE_PART)
        return self._next_look(ahead=first, wait=second / 1000)

    def expect_answer(self) -> None:
        """Note that Redis does not answer, if it does not for a while from now on."""
        self._note(f"Redis at {self._line.place} does not answer", after=SLOW)

    def _understood(self, answer: object) -> tuple[int, int, int]:
        """Check what the script answered; that comes from outside, as all that a server says.

        Raises:
            CoordinationError: It is not what the script answers.
        """
        found = understood(answer, signed=self._claim.wish is not None)
        if found is None:
            raise CoordinationError(self._note(f"Redis at {self._line.place} answers what its scripts never do"))
        return found

    def _note(self, trouble: str, *, after: float = 0.0) -> str:
        """Note what is wrong, also for those who queue behind this caller, unless something worse is noted already."""
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
            self._line.start(self._leave, self._asked)

    async def _leave(self, asked: Asked) -> None:
        await asked.done.wait()
        await self._line.ask(GIVE_BACK, self.keys, [self.token]).done.wait()

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


class RedisLease:
    """The turn of one gateway, lent by Redis. See `thekeys_async.coordination.base.Lease`."""

    def __init__(self, owner: RedisCoordinator, claimant: _Claimant, grant: Grant) -> None:
        self.keys = claimant.keys
        self.token = claimant.token
        self._owner = owner
        self._grant = grant
        self._valid_until = grant.valid_until

    @property
    def failures(self) -> int:
        """See `thekeys_async.coordination.base.Lease.failures`."""
        return self._grant.failures

    @property
    def over(self) -> bool:
        """Whether another may hold the turn by now."""
        return boot_time() >= self._valid_until

    def renew(self, valid_until: float | None) -> None:
        """Note until when, in boot time, the lease is safe; None if it is lost."""
        self._valid_until = max(self._valid_until, valid_until) if valid_until else 0.0

    def check(self) -> None:
        """See `thekeys_async.coordination.base.Lease.check`."""
        if self.over:
            raise LeaseLostError(
                "nothing was sent: the lease was over; was the process stopped, or Redis not to be reached?"
            )

    def take_timestamp(self) -> int:
        """See `thekeys_async.coordination.base.Lease.take_timestamp`."""
        self.check()
        self._grant.freshness.check()
        return self._grant.timestamp

    def release(self, pause: Pause, *, refused: bool = False) -> None:
        """See `thekeys_async.coordination.base.Lease.release`; done in the background."""
        self._owner.give_back(self, pause, self._grant.timestamp if refused else 0)
