"""`RedisCoordinator`: turns and timestamps that hold across machines."""

import logging
import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import anyio

from thekeys_async._clocks import boot_time
from thekeys_async.coordination.base import (
    NEXT_TRY,
    SAFE_PART,
    Claim,
    LeaseLostError,
    Pause,
)
from thekeys_async.coordination.leader import LeaderLease, check_arguments
from thekeys_async.coordination.redis_claim import Grant, RedisClaimant
from thekeys_async.coordination.redis_connection import RedisConnection, ScriptCall
from thekeys_async.coordination.redis_leader import RedisLeader
from thekeys_async.coordination.redis_scripts import GIVE_BACK, RENEW, is_yes
from thekeys_async.protocol.secrets import Secret

_log = logging.getLogger("thekeys_async")

_TO_FINISH = 1.0


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
        prefix: The first part of its keys' names.

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
        self._connection = RedisConnection(hidden)
        self._prefix = prefix
        self._held: set[RedisLease] = set()
        self._returning: dict[str, anyio.Event] = {}
        self._stack: AsyncExitStack | None = None

    def __repr__(self) -> str:
        return f"<RedisCoordinator lease={self._lease:g}>"

    async def __aenter__(self) -> Self:
        """Begin. Redis need not be there yet."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._connection.open(self._keep_leases))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End when all turns have been given back, or after a second."""
        stack, self._stack = self._stack, None
        if stack:
            await self._connection.finish(_TO_FINISH)
            self._held.clear()
            self._returning.clear()
            await stack.__aexit__(None, None, None)

    async def acquire(self, key: str, claim: Claim) -> "RedisLease":
        """See `thekeys_async.coordination.base.Coordinator.acquire`."""
        self._check_entered()
        claimant = RedisClaimant(self._connection, self._keys(key), claim, self._lease)
        try:
            claimant.expect_answer()
            await self._until_returned(claimant.keys[0], claim.until)
            while not isinstance(found := await claimant.look(), Grant):
                await claimant.sleep(found)
        except BaseException:
            claimant.leave()
            raise
        lease = RedisLease(self._begin_to_give_back, claimant, found)
        self._held.add(lease)
        return lease

    def lead(self, name: str, *, lease: float = 10.0) -> LeaderLease:
        """Ask for the right to lead, which one program at a time holds: ``async with`` waits for it.

        A leader that dies or is stopped has lost it after `lease` seconds. If Redis is lost with its memory, a leader
        that goes on tells it again; nobody else takes over for that time.

        Args:
            name: The name of the work to lead.
            lease: Seconds for which a leader that is not heard of is waited for.

        Raises:
            ValueError: An argument makes no sense.
            RuntimeError: The coordinator was not entered.
        """
        check_arguments(name, lease)
        self._check_entered()
        return LeaderLease(RedisLeader(self._connection, f"{self._prefix}:{{{name}}}:leader", lease), name, lease)

    def _begin_to_give_back(self, lease: "RedisLease", pause: Pause, refused: int) -> None:
        if lease in self._held:
            self._held.remove(lease)
            returned = self._returning[lease.keys[0]] = anyio.Event()
            self._connection.start(self._give_back, lease, pause, refused, returned)

    async def _give_back(self, lease: "RedisLease", pause: Pause, refused: int, returned: anyio.Event) -> None:
        milliseconds = [round(seconds * 1000) for seconds in (pause.quiet, pause.retry)]
        arguments: list[str | float] = [lease.token, *milliseconds, pause.failures, refused]
        trouble: str | None = None
        try:
            while trouble is None or not lease.over:
                asked = ScriptCall()
                await self._connection.run(GIVE_BACK, lease.keys, arguments, asked)
                if asked.trouble is None:
                    return
                returned.set()
                trouble = asked.trouble
                await anyio.sleep(NEXT_TRY)
        finally:
            returned.set()
        _log.warning("a turn could not be given back: %s; it is free when the lease is over", trouble)

    async def _keep_leases(self) -> None:
        while True:
            await anyio.sleep(self._lease / 3)
            for lease in tuple(self._held):
                self._connection.start(self._renew, lease)

    async def _renew(self, lease: "RedisLease") -> None:
        while lease in self._held and not lease.over:
            sent_at = boot_time()
            asked = ScriptCall()
            await self._connection.run(RENEW, lease.keys, [lease.token, round(self._lease * 1000)], asked)
            if not asked.trouble:
                lease.renew(sent_at + self._lease * SAFE_PART if is_yes(asked.answer) else None)
                return
            await anyio.sleep(NEXT_TRY)

    def _check_entered(self) -> None:
        if self._stack is None:
            raise RuntimeError("enter the coordinator first: async with RedisCoordinator(...) as coordinator")

    async def _until_returned(self, turn: str, until: float) -> None:
        """Wait until our own last turn has been given back: asking before would be in vain."""
        if turn in self._returning:
            with anyio.CancelScope(deadline=until):
                await self._returning[turn].wait()

    def _keys(self, key: str) -> list[str]:
        return [f"{self._prefix}:{{{key}}}:{what}" for what in ("turn", "state", "waiting")]


GiveBack = Callable[["RedisLease", Pause, int], None]
"""Gives a turn back in the background, with the pause and the timestamp that was refused, or 0."""


class RedisLease:
    """The turn of one gateway, lent by Redis. See `thekeys_async.coordination.base.Lease`."""

    def __init__(self, give_back: GiveBack, claimant: RedisClaimant, grant: Grant) -> None:
        self.keys = claimant.keys
        self.token = claimant.token
        self._give_back = give_back
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
        self._give_back(self, pause, self._grant.timestamp if refused else 0)
