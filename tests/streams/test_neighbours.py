"""What is not the gateway's fault is not told as if it were: another address that is dead, coordination that fails."""

import logging

import pytest

from thekeys_async import CoordinationError, GatewayUpdate, LockerUpdate

from .taking import take

pytestmark = pytest.mark.anyio


async def test_an_address_that_is_dead_is_no_news_at_the_other_one(canned) -> None:
    healthy, dead = canned(latency=0.01), canned(latency=0.01)
    healthy.see(1)
    dead.mode = "gone"
    async with (
        healthy.client(key="the same gateway") as one,
        dead.client(key="the same gateway", name="away") as two,
        one.watch(interval=1.0) as good,
        two.watch(interval=1.0) as bad,
    ):
        news = await take(good, 60)
        assert [type(update) for update in news] == [LockerUpdate]
        (lost,) = await take(bad, 60)
        assert not lost.reachable


class _Failing:
    """A coordinator whose state can't be used while a test says so."""

    def __init__(self) -> None:
        self.fails = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def acquire(self, key: str, claim: object):
        if self.fails:
            raise CoordinationError("nothing was sent: the disk is on fire")
        return _Lease()


class _Lease:
    failures = 0

    def check(self) -> None:
        pass

    def take_timestamp(self) -> int:
        return 1

    def release(self, pause: object, *, refused: bool = False) -> None:
        pass


async def test_coordination_that_fails_is_told_and_the_gateway_is_not_lost(canned, caplog) -> None:
    sim, coordinator = canned(), _Failing()
    sim.see(1)
    caplog.set_level(logging.INFO)
    async with sim.client(coordinator=coordinator) as gateway, gateway.watch() as updates:
        await anext(updates)
        coordinator.fails = True
        (told,) = await take(updates, 300)
        assert isinstance(told, GatewayUpdate)
        assert told.reachable
        assert isinstance(told.error, CoordinationError)
        coordinator.fails = False
        (again,) = await take(updates, 300)
        assert (again.reachable, again.error) == (True, None)
    assert "is lost" not in caplog.text
    assert "on fire" in caplog.text
