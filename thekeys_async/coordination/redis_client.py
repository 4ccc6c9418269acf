"""The client of Redis. Imported only for a `RedisCoordinator`, as it needs coredis."""

import contextlib
import functools
import hashlib
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis import ConnectionPool, Redis
from coredis.connection import BaseConnection
from coredis.credentials import AbstractCredentialProvider, UserPass
from coredis.exceptions import (
    ClusterDownError,
    ConnectionError as NotConnectedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from coredis.retry import NoRetryPolicy

from thekeys_async.protocol.secrets import Secret

_SCHEMES = {"redis", "rediss", "unix"}
_ANSWER_SECONDS = 2.0

PASSING = (NotConnectedError, ReadOnlyError, TryAgainError, ClusterDownError)
"""Errors that pass by themselves, when Redis is back or has loaded its data."""

PASSING_CODES = frozenset({"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM"})
"""Codes of refusals that pass by themselves: no memory, no room on the disk, another script, a cluster or replicas
that are not ready."""

REFUSED = RedisError
"""Any other error of Redis."""


def connect(url: Secret) -> Redis[str]:
    """Make a client; nothing is sent yet.

    Raises:
        ValueError: The URL makes no sense.
    """
    pool: ConnectionPool[Any] | None = None
    with contextlib.suppress(ValueError, TypeError, RuntimeError, OSError):
        if _makes_sense(url):
            pool = ConnectionPool.from_url(
                url.reveal(),
                decode_components=True,
                decode_responses=True,
                connect_timeout=_ANSWER_SECONDS,
                stream_timeout=_ANSWER_SECONDS,
            )
    if pool is None or pool.location is None:
        raise ValueError("the URL of Redis can't be used: redis://user:password@host:port/db, rediss:// or unix://")
    pool.connection_class = _tidy(pool.connection_class)
    _hide_password(cast("dict[str, Any]", pool.connection_kwargs))
    return Redis(connection_pool=pool, decode_responses=True, retry_policy=NoRetryPolicy())


async def evaluate(client: Redis[str], script: str, keys: Sequence[str], arguments: Sequence[str | float]) -> Any:
    """Run a script. coredis's own way for that does the same for half as much CPU again."""
    try:
        return await client.evalsha(_digest(script), keys=keys, args=arguments)
    except NoScriptError:
        return await client.eval(script, keys=keys, args=arguments)


@functools.cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


class _HiddenPassword(AbstractCredentialProvider):
    """The credentials, handed out when a connection is greeted; else each connection would have them as attributes."""

    def __init__(self, username: str | None, password: Secret) -> None:
        self._username = username
        self._password = password

    async def get_credentials(self) -> UserPass:
        """See coredis."""
        return UserPass(self._username or "default", self._password.reveal())


def _hide_password(options: dict[str, Any]) -> None:
    username, password = options.pop("username", None), Secret(options.pop("password", None) or "")
    if username or password.reveal():
        options["credential_provider"] = _HiddenPassword(username, password)


def _makes_sense(url: Secret) -> bool:
    scheme, _, *rest = urlsplit(url.reveal())
    # A "@" behind the host means that a password was not percent-encoded: a part of it would count as the host.
    return scheme in _SCHEMES and not any("@" in part for part in rest)


def _tidy(kind: type[BaseConnection]) -> type[BaseConnection]:
    """Make a kind of connection that closes its memory streams also if it never came about (coredis 6.9 leaks them)."""

    class Tidy(kind):  # type: ignore[valid-type, misc]
        """A connection that leaves nothing open."""

        async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
            """Connect, and serve until the connection ends."""
            try:
                await super().run(task_status=task_status)
            finally:
                for value in vars(self).values():
                    if isinstance(value, MemoryObjectReceiveStream | MemoryObjectSendStream):
                        value.close()

    return Tidy
