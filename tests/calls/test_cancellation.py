"""A call cancelled at every point where it can wait: nothing stays behind, and what had not left never arrives."""

import time
from collections.abc import Callable, Iterator

import anyio
import pytest

from tests.sample import CODE
from thekeys_async import AsyncGateway, DoorState, Pacing, Timestamps
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.usefixtures("quick_backoff")]

_WAITS = ("wait_readable", "wait_writable", "sleep", "sleep_until")
_MOST = 60
_BRIEF = Pacing(0.01, 0.01)


class Walker:
    """Cancels a scope when the library waits for the nth time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scope: anyio.CancelScope | None = None
        self.left = 0
        self.inside = False
        for name in _WAITS:
            monkeypatch.setattr(anyio, name, self._counted(getattr(anyio, name)))
        walker, event = self, anyio.Event

        class Counted:
            def __init__(self) -> None:
                self._event = event()

            def set(self) -> None:
                self._event.set()

            async def wait(self) -> None:
                await walker.step()
                await self._event.wait()

        monkeypatch.setattr("thekeys_async.turns.queue.anyio.Event", Counted)

    def _counted(self, wait: Callable) -> Callable:
        async def counted(*args: object) -> None:
            await self.step()
            await wait(*args)

        return counted

    async def step(self) -> None:
        """One more wait; only those of the call itself count."""
        if self.scope is None or anyio.get_current_task().id != self.task:
            return
        if self.left == 0:
            self.scope.cancel()
        self.left -= 1

    async def cancel_at(self, point: int, call: Callable) -> bool:
        """Make the call and cancel it at one point; returns whether it came that far."""
        self.task = anyio.get_current_task().id
        self.left = point
        with anyio.CancelScope() as scope:
            self.scope = scope
            await call()
        self.scope = None
        return scope.cancelled_caught


@pytest.fixture
def walker(monkeypatch: pytest.MonkeyPatch) -> Walker:
    return Walker(monkeypatch)


def _trouble(sim: SimulatedGateway) -> Iterator[Callable[[], None]]:
    """What the gateway does to a command, so that the call waits for something: each kind of wait comes up."""
    yield lambda: None
    yield lambda: sim.fail(Fault.BUSY, on="open", times=2)
    yield lambda: sim.error(34, on="open")
    yield lambda: sim.error(33, on="open")
    yield lambda: sim.error(38, on="open")
    yield lambda: sim.fail(Fault.REFUSE, seconds=0.02)


@pytest.mark.parametrize("case", range(6))
async def test_a_door_command_cancelled_at_every_wait(
    walker: Walker, case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, started = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: started + 50 * (real() - started))
    async with SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0, synchronization=0) as sim:
        points = 0
        for point in range(_MOST):
            async with AsyncGateway(
                sim.address, share_codes={1: CODE}, pacing=_BRIEF, timestamps=Timestamps(max_lead=1)
            ) as gateway:
                list(_trouble(sim))[case]()
                before = len(sim.requests)
                cancelled = await walker.cancel_at(point, gateway.locker(1).open)
                sim.clear_faults()
                await gateway.lockers()
                await gateway.locker(1).close()
                sent = [record.endpoint for record in sim.requests][before:]
                assert sent[-2:] == ["lockers", "close"]
                assert cancelled or "open" in sent
            points += cancelled
            if not cancelled:
                break
        assert points >= 2
        assert point < _MOST - 1


async def test_a_command_cancelled_before_its_bytes_left_never_arrives(walker: Walker) -> None:
    async with (
        SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0) as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0.02, 0.02)) as gateway,
    ):
        await gateway.lockers()
        assert await walker.cancel_at(0, gateway.locker(1).open)
        await gateway.lockers()
        assert await walker.cancel_at(1, gateway.locker(1).open)
        await gateway.lockers()
        assert [record.endpoint for record in sim.requests] == ["lockers"] * 3
        assert sim.lockers[1].opened_count == 0


async def test_a_command_cancelled_when_its_connection_has_just_opened_is_not_sent() -> None:
    """The task is about to run again, and finds itself cancelled."""
    async with (
        SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0) as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as gateway,
    ):
        with anyio.CancelScope() as scope, pytest.MonkeyPatch.context() as patch:

            async def cancelled(*_: object) -> None:
                await connected(*_)
                scope.cancel()

            connected = anyio.wait_writable
            patch.setattr(anyio, "wait_writable", cancelled)
            await gateway.locker(1).open()
        assert scope.cancelled_caught
        await gateway.lockers()
        assert [record.endpoint for record in sim.requests] == ["lockers"]


async def test_a_wait_for_the_bolt_is_cancelled_at_every_wait(walker: Walker) -> None:
    async with (
        SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0) as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as gateway,
    ):
        for point in range(3):
            assert await walker.cancel_at(point, lambda: gateway.locker(1).wait_for(DoorState.OPEN, timeout=20))
            await gateway.lockers()


async def test_a_read_cancelled_before_it_began_does_not_leave_on_a_kept_connection() -> None:
    async with (
        SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=0, bluetooth=0) as sim,
        AsyncGateway(sim.address, share_codes={1: CODE}, pacing=Pacing(0, 0)) as gateway,
    ):
        await gateway.lockers()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await gateway.locker(1).status()
        await gateway.lockers()
        assert [request.path for request in sim.requests] == ["/lockers", "/lockers"]
