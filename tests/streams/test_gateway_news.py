"""What a watcher hears of a gateway itself: its first answer, its firmware, a synchronisation that hangs; and reads
that are asked for. In virtual time."""

from datetime import UTC, datetime, timedelta, tzinfo

import anyio
import pytest

from thekeys_async import DoorState, GatewayUpdate, LockerUpdate
from thekeys_async.streams import poller
from thekeys_async.streams.gateway_changes import GatewayTracker
from thekeys_async.turns import shared
from thekeys_async.turns.shared import Phase

from .taking import take

pytestmark = pytest.mark.anyio


async def test_a_gateway_without_lockers_says_that_it_answers_once(canned) -> None:
    sim = canned()
    async with sim.client() as gateway, gateway.watch() as updates:
        (first,) = await take(updates, 100)
        assert isinstance(first, GatewayUpdate)
        assert (first.gateway, first.reachable, first.error) == ("hall", True, None)
        async with gateway.watch() as later:
            (known,) = await take(later, 1)  # without a poll of its own
            assert known.reachable
    assert sim.times("/status") == []


async def test_who_asks_for_its_status_hears_of_firmware_and_phase_at_once(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(status_interval=60.0) as updates:
        locker, first = await take(updates, 200)
        assert isinstance(locker, LockerUpdate)
        assert (first.reachable, first.version, first.phase) == (True, 65, "Scanning...")
        assert first.phase_since is not None
        assert len(sim.times("/status")) == 4
        sim.firmware = 66
        (updated,) = await take(updates, 100)
        assert (updated.reachable, updated.version) == (True, 66)


async def test_a_gateway_that_is_busy_is_asked_what_it_does_once_a_minute(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client() as gateway, gateway.watch() as updates:
        await take(updates, 5)
        sim.mode, sim.phase = "busy", "Synchronizing gw"
        (busy,) = await take(updates, 300)
        assert (busy.reachable, busy.phase) == (True, "Synchronizing gw")
        assert 5 <= len(sim.times("/status")) <= 6
        sim.mode, sim.phase = "ok", "Scanning..."
        (over,) = await take(updates, 300)
        assert (over.reachable, over.phase) == (True, "Scanning...")
        asked = len(sim.times("/status"))
        assert await take(updates, 300) == []
        assert len(sim.times("/status")) == asked


_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _minutes(minutes: float) -> datetime:
    return _BEGAN + timedelta(minutes=minutes)


def test_a_synchronisation_of_ten_minutes_is_news_once() -> None:
    tracker = GatewayTracker("hall")

    def answered(text: str, since: float, minutes: float) -> GatewayUpdate | None:
        phase = Phase(text, text.startswith("Synchronizing"), _minutes(since))
        return tracker.answered(phase, 65, _minutes(minutes), first_is_news=False)

    assert answered("Scanning...", 0, 0) is None
    begun = answered("Synchronizing gw", 1, 1)
    assert begun
    assert begun.phase_since == _minutes(1)
    assert answered("Synchronizing 45961123", 1, 10.9) is None
    hangs = answered("Synchronizing gw", 1, 11)
    assert hangs
    assert (hangs.phase, hangs.phase_since, hangs.reachable) == ("Synchronizing gw", _minutes(1), True)
    assert answered("Synchronizing gw", 1, 40) is None
    over = answered("Scanning...", 41, 41)
    assert over
    assert over.phase == "Scanning..."
    assert answered("Synchronizing gw", 50, 50)
    assert answered("Synchronizing gw", 50, 60)  # another one that hangs


class _ClockThatWasSet(datetime):
    """The wall clock, set forward by an hour."""

    @classmethod
    def now(cls, zone: tzinfo | None = None) -> datetime:
        return datetime.now(zone) + timedelta(hours=1)


async def test_a_clock_that_is_set_makes_no_synchronisation_hang(canned, monkeypatch: pytest.MonkeyPatch) -> None:
    sim = canned(phase="Synchronizing gw")
    sim.see(1)
    async with sim.client() as gateway, gateway.watch(status_interval=20.0) as updates:
        _, begun = await take(updates, 60)
        assert begun.phase == "Synchronizing gw"
        for module in (poller, shared):
            monkeypatch.setattr(module, "datetime", _ClockThatWasSet)
        assert await take(updates, 480) == []
        (hangs,) = await take(updates, 120)
        assert hangs.at - hangs.phase_since == pytest.approx(timedelta(minutes=10), abs=timedelta(seconds=30))


async def test_who_leaves_in_the_middle_of_a_status_leaves_it_to_another(canned) -> None:
    sim = canned(latency=1.0)
    async with sim.client() as gateway:
        first, second = anyio.Event(), anyio.Event()

        async def watch_for_a_moment() -> None:
            async with gateway.watch(status_interval=3600.0):
                first.set()
                await anyio.sleep(1.5)

        async def watch() -> None:
            await first.wait()
            async with gateway.watch(status_interval=3600.0) as updates:
                assert [update.version for update in await take(updates, 60)] == [65]
                second.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch_for_a_moment)
            tasks.start_soon(watch)
    assert second.is_set()


async def test_a_door_is_read_at_once_for_all_who_follow_it(canned) -> None:
    sim = canned()
    sim.see(1)
    codes = {"share_codes": {1: "code"}}
    async with (
        sim.client(**codes) as one,
        sim.client(**codes) as other,
        one.watch(100.0, follow_doors=True) as ours,
        other.watch(100.0, follow_doors=True) as theirs,
        other.watch(100.0) as strangers,
    ):
        for updates in (ours, theirs, strangers):
            await take(updates, 20)
        assert len(sim.times("/locker_status")) == 1
        sim.door = "Door open"
        one.read_now(1)
        one.read_now(2)  # nobody follows it
        (our,), (their,) = await take(ours, 10), await take(theirs, 1)
        assert our.status.state is their.status.state is DoorState.OPEN
        assert await take(strangers, 1) == []
        assert len(sim.times("/locker_status")) == 2
        assert len(sim.times("/lockers")) == 1


async def test_a_read_that_is_asked_for_while_the_door_is_being_read_comes_after_it(canned) -> None:
    sim = canned()
    sim.see(1)
    sim.latency = 1.0
    async with sim.client(share_codes={1: "code"}) as gateway, gateway.watch(100.0, follow_doors=True) as updates:
        await take(updates, 1.5)  # the list came after 1 s: now the door is being read
        gateway.read_now(1)
        await take(updates, 20)
        assert len(sim.times("/locker_status")) == 2


async def test_a_read_that_was_asked_for_while_the_gateway_was_busy_comes_with_a_later_poll(canned) -> None:
    sim = canned()
    sim.see(1)
    async with sim.client(share_codes={1: "code"}) as gateway, gateway.watch(10.0, follow_doors=True) as updates:
        await take(updates, 5)
        sim.mode = "busy with doors"
        gateway.read_now(1)
        assert await take(updates, 20) == []
        sim.mode, sim.door = "ok", "Door open"
        (update,) = await take(updates, 20)
        assert update.status.state is DoorState.OPEN


async def test_only_a_number_names_a_door_to_read(canned) -> None:
    async with canned().client() as gateway:
        with pytest.raises(TypeError):
            gateway.read_now(True)
