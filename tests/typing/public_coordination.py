"""The public interface of coordination, as type checkers see it. It is checked, not run."""

from pathlib import Path
from typing import assert_type

from thekeys_async import AsyncGateway, CoordinationError, Fleet
from thekeys_async.coordination import (
    Claim,
    Coordinator,
    FileCoordinator,
    LeaderLease,
    Lease,
    LeaseLostError,
    Pause,
    RedisCoordinator,
    Trouble,
    TurnTimeoutError,
    Wish,
)


async def coordinators(path: Path) -> None:
    async with FileCoordinator(path) as of_files, RedisCoordinator("redis://h", lease=5, prefix="doors") as of_redis:
        assert_type(of_files, FileCoordinator)
        assert_type(of_redis, RedisCoordinator)
        either: tuple[Coordinator, ...] = (of_files, of_redis, FileCoordinator("state"))
        async with (
            AsyncGateway("h", coordinator=either[0]) as gateway,
            Fleet({"h": "h"}, coordinator=of_redis) as fleet,
        ):
            assert_type(gateway, AsyncGateway)
            assert_type(fleet, Fleet)


async def turn(coordinator: Coordinator) -> int:
    async with coordinator as entered:
        wish = Wish(clock=lambda: 0.0, newer_than=0, max_lead=10.0, lead=5.0)
        trouble = Trouble()
        trouble.note("nothing was sent: the disk is full", after=0.5)
        trouble.clear()
        assert_type(trouble.text, str | None)
        claim = Claim(command=True, waited=0.0, until=1.0, rest=0.5, wish=wish, trouble=trouble)
        lease = assert_type(await entered.acquire("key", claim), Lease)
        lease.check()
        assert_type(lease.failures, int)
        lease.release(Pause(quiet=0.5, retry=1.0, failures=lease.failures))
        return lease.take_timestamp()


async def leading(of_files: FileCoordinator, of_redis: RedisCoordinator) -> None:
    assert_type(of_files.lead("reports"), LeaderLease)
    async with of_redis.lead("reports", lease=5) as lease:
        assert_type(lease, LeaderLease)
        assert_type(lease.lost, bool)
        lease.check()
        await lease.wait_lost()


def errors(lost: LeaseLostError, late: TurnTimeoutError) -> tuple[CoordinationError, Exception]:
    assert_type(lost.may_have_executed, bool)
    return lost, late
