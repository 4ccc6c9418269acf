"""The same turns and timestamps across processes (`FileCoordinator`) and machines (`RedisCoordinator`).

Without a coordinator, `thekeys_async.turns` and `thekeys_async.timestamps` keep the same order inside one process.
What a coordinator is, for who writes another one: `Coordinator`.
"""

from thekeys_async.coordination.base import Claim, Coordinator, Lease, LeaseLostError, Pause, TurnTimeoutError, Wish
from thekeys_async.coordination.file import FileCoordinator
from thekeys_async.coordination.redis import RedisCoordinator

__all__ = [
    "Claim",
    "Coordinator",
    "FileCoordinator",
    "Lease",
    "LeaseLostError",
    "Pause",
    "RedisCoordinator",
    "TurnTimeoutError",
    "Wish",
]
