"""The record of the leader among the programs that share a Redis, as a hash: `<prefix>:{<name>}:leader`."""

import secrets

from thekeys_async.coordination.leader import AwayError
from thekeys_async.coordination.redis_connection import RedisConnection, ScriptCall
from thekeys_async.coordination.redis_scripts import LEAD, RESIGN, STAY, numbers
from thekeys_async.protocol.errors import CoordinationError


class RedisLeader:
    """One candidate's view of the hash; see `thekeys_async.coordination.leader.LeaderRecord`."""

    intact = True

    def __init__(self, connection: RedisConnection, key: str, lease: float) -> None:
        self._connection = connection
        self._key = key
        self._lease = lease
        self._token = secrets.token_hex(16)
        self._asked: ScriptCall | None = None

    async def take(self) -> float:
        """See `thekeys_async.coordination.leader.LeaderRecord.take`."""
        leads, milliseconds = await self._ask(LEAD, round(self._lease * 1000))
        return 0.0 if leads else max(milliseconds, 1) / 1000

    async def renew(self) -> bool:
        """See `thekeys_async.coordination.leader.LeaderRecord.renew`."""
        leads, _ = await self._ask(STAY, round(self._lease * 1000))
        return leads == 1

    async def release(self) -> None:
        """See `thekeys_async.coordination.leader.LeaderRecord.release`."""
        if self._asked:
            self._connection.start(self._resign, self._asked)
            self._asked = None

    async def _resign(self, asked: ScriptCall) -> None:
        # What was asked last may still be on its way, and make this one the leader again.
        await asked.done.wait()
        await self._connection.ask(RESIGN, [self._key], [self._token]).done.wait()

    async def _ask(self, script: str, *arguments: int) -> tuple[int, int]:
        """Run a script that answers whether this candidate leads, and for how many milliseconds another one does.

        Raises:
            AwayError: Redis can't be reached, or not just now.
            CoordinationError: It refuses, or answers what the script never does.
        """
        asked = self._asked = self._connection.ask(script, [self._key], [self._token, *arguments])
        await asked.done.wait()
        if asked.refused:
            raise CoordinationError(f"nothing was done: {asked.trouble}")
        if asked.trouble:
            raise AwayError(asked.trouble)
        match numbers(asked.answer):
            case [0 | 1 as leads, milliseconds]:
                return leads, milliseconds
            case _:
                raise CoordinationError(
                    f"nothing was done: Redis at {self._connection.place} answers what no script does"
                )
