"""The same turns and timestamps across processes (`FileCoordinator`) and machines (`RedisCoordinator`).

Without a coordinator, `turns.queue` and `turns.timestamps` keep the same order inside one process.
What a coordinator is, for who writes another one: `Coordinator`.
"""

from typing import TYPE_CHECKING

from thekeys_async._lazy import SOURCELESS, public_names
from thekeys_async.coordination.base import (
    Claim as Claim,
    Coordinator as Coordinator,
    Lease as Lease,
    LeaseLostError as LeaseLostError,
    Pause as Pause,
    Trouble as Trouble,
    TurnTimeoutError as TurnTimeoutError,
    Wish as Wish,
)

if TYPE_CHECKING or SOURCELESS:
    from thekeys_async.coordination.file import FileCoordinator as FileCoordinator
    from thekeys_async.coordination.leader import LeaderLease as LeaderLease
    from thekeys_async.coordination.redis import RedisCoordinator as RedisCoordinator

if not (TYPE_CHECKING or SOURCELESS):  # type checkers would take every name for one that exists
    __all__, __getattr__, __dir__ = public_names(__name__)
