"""The connection to Redis: scripts run in tasks of its own, so that a cancelled caller cuts none in two.

What coredis raises stays here: its tracebacks pass by the password.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVarTuple

import anyio
import attrs
from anyio.abc import TaskGroup

from thekeys_async.protocol.secrets import Secret

_Ts = TypeVarTuple("_Ts")
_ERROR_CODE = re.compile(r"[A-Z]{2,}\b")


@attrs.define(eq=False)
class ScriptCall:
    """A script that was sent to Redis, and its outcome.

    Attributes:
        done: Set when there is an answer, or trouble.
        answer: The answer of Redis.
        trouble: The reason why there is no answer.
        refused: Whether Redis itself said so, for a reason that does not pass by itself.
    """

    done: anyio.Event = attrs.field(factory=anyio.Event)
    answer: Any = None
    trouble: str | None = "the coordinator was left"
    refused: bool = False


class RedisConnection:
    """A connection to Redis that is made again when it is lost.

    Attributes:
        place: Where Redis is: host and port, or the path of a socket.

    Raises:
        ImportError: coredis is missing.
        ValueError: The URL makes no sense.
    """

    def __init__(self, url: Secret) -> None:
        self.place = ""
        try:
            from thekeys_async.coordination import redis_client  # noqa: PLC0415 - only who uses Redis needs coredis
        except ImportError as error:
            raise ImportError("RedisCoordinator needs coredis: install thekeys-async[redis]") from error
        self._redis = redis_client
        self._client = redis_client.connect(url)
        self.place = str(self._client.connection_pool.location)
        self._tasks: TaskGroup | None = None
        self._unfinished = 0
        self._finished: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<RedisConnection to {self.place}>"

    @asynccontextmanager
    async def open(self, alongside: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
        """Own the connections and the tasks as long as the block lasts; its exceptions come out ungrouped.

        Whoever is cancelled together with the block may still have a turn to give back, and a lease: the tasks live
        until the end of the block, and `finish` says how long that waits for them.

        Args:
            alongside: Runs as long as the block.
        """
        scope, ready = anyio.CancelScope(shield=True), anyio.Event()
        async with _owned_tasks() as owner:
            owner.start_soon(self._serve, alongside, scope, ready)
            try:
                with anyio.CancelScope(shield=True):  # for no time: nothing is connected before it is needed
                    await ready.wait()
                yield
            finally:
                self._tasks = None
                scope.cancel()

    async def _serve(
        self, alongside: Callable[[], Awaitable[None]], scope: anyio.CancelScope, ready: anyio.Event
    ) -> None:
        """Keep the connections and the tasks until the scope is cancelled."""
        pool = self._client.connection_pool
        with scope:
            await pool.__aenter__()
            try:
                async with anyio.create_task_group() as self._tasks:
                    ready.set()
                    await alongside()
            finally:
                ready.set()
                pool.task_group.cancel_scope.shield = True
                await pool.__aexit__(None, None, None)

    def start(self, function: Callable[[*_Ts], Awaitable[None]], *arguments: *_Ts) -> None:
        """Start a task in the background that `finish` waits for; nothing is started when the block is over."""
        if self._tasks:
            self._unfinished += 1
            self._tasks.start_soon(self._count, function, arguments)

    async def finish(self, seconds: float) -> None:
        """Wait for the tasks that were started, but not for ever."""
        with anyio.move_on_after(seconds, shield=True):
            while self._unfinished:
                self._finished = anyio.Event()
                await self._finished.wait()

    def ask(self, script: str, keys: Sequence[str], arguments: Sequence[str | float]) -> ScriptCall:
        """Send a script in the background. It runs on, whatever becomes of the caller."""
        asked = ScriptCall()
        if self._tasks:
            self._tasks.start_soon(self.run, script, keys, arguments, asked)
        else:
            asked.done.set()
        return asked

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[str | float], asked: ScriptCall) -> None:
        """Send a script and wait for its answer, which goes into `asked`; not to be cancelled by a caller."""
        try:
            asked.answer = await self._redis.evaluate(self._client, script, keys, arguments)
            asked.trouble = None
        except (*self._redis.PASSING, OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            asked.trouble = f"Redis at {self.place} can't be reached ({type(error).__name__})"
            if isinstance(error, TimeoutError):
                # The connection may be dead without a word; the next script gets a new one.
                self._client.connection_pool.disconnect()
        except self._redis.REFUSED as error:
            # No more of the text: an old Redis quotes the arguments of what it does not know, the password too.
            code = _ERROR_CODE.match(str(error))
            asked.trouble = f"Redis at {self.place} refuses ({code[0] if code else type(error).__name__})"
            asked.refused = not (code and code[0] in self._redis.PASSING_CODES)
        except Exception as error:  # noqa: BLE001 - what a garbled reply raises in the client may be anything
            asked.trouble = f"Redis at {self.place} can't be understood ({type(error).__name__})"
            asked.refused = True
            self._client.connection_pool.disconnect()
        finally:
            asked.done.set()

    async def _count(self, function: Callable[[*_Ts], Awaitable[None]], arguments: tuple[*_Ts]) -> None:
        try:
            await function(*arguments)
        finally:
            self._unfinished -= 1
            if self._finished and not self._unfinished:
                self._finished.set()


@asynccontextmanager
async def _owned_tasks() -> AsyncGenerator[TaskGroup, None]:
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    try:
        yield tasks
    finally:
        tasks.cancel_scope.shield = True
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)
