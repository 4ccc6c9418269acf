"""The same turns and timestamps across processes (`FileCoordinator`) and machines (`RedisCoordinator`).

Without a coordinator, `turns.queue` and `turns.timestamps` keep the same order inside one process.
What a coordinator is, for who writes another one: `Coordinator`.
"""

from typing import TYPE_CHECKING

from thekeys_async._lazy import loader
from thekeys_async.coordination.base import (
    Claim,
    Coordinator,
    Lease,
    LeaseLostError,
    Pause,
    Trouble,
    TurnTimeoutError,
    Wish,
)

if TYPE_CHECKING:
    from thekeys_async.coordination.file import FileCoordinator
    from thekeys_async.coordination.leader import LeaderLease
    from thekeys_async.coordination.redis import RedisCoordinator

__all__ = [
    "Claim",
    "Coordinator",
    "FileCoordinator",
    "LeaderLease",
    "Lease",
    "LeaseLostError",
    "Pause",
    "RedisCoordinator",
    "Trouble",
    "TurnTimeoutError",
    "Wish",
]

_HOMES = {
    "FileCoordinator": "file",
    "LeaderLease": "leader",
    "RedisCoordinator": "redis",
}

if not TYPE_CHECKING:  # type checkers would take every name for one that exists
    __getattr__ = loader(__name__, _HOMES)
