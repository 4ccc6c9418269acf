"""Following doors, in virtual time: when they are read over Bluetooth, and what the consumer hears of them."""

import logging

import anyio
import pytest

from tests.sample import CODE
from thekeys_async import DoorState, InvalidHmacError, UpdateKind

from .taking import take

pytestmark = pytest.mark.anyio


@pytest.fixture
def sim(canned):
    """One that takes its time, as instant news would fold before it is taken."""
    return canned(latency=0.1)


_CODES = {1: CODE, 2: "another-code"}


def _reads(sim) -> int:
    return len(sim.times("/locker_status"))


async def test_a_door_is_read_when_first_seen_and_when_its_log_has_grown(sim) -> None:
    sim.see(1)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        appeared, read = await take(updates)
        assert (appeared.kind, appeared.status) == (UpdateKind.APPEARED, None)
        assert (read.kind, read.changed, read.status.state) == (UpdateKind.CHANGED, {"status"}, DoorState.CLOSED)
        assert not await take(updates, 3600)
        assert _reads(sim) == 1
        sim.see(1, rssi=-60)
        (update,) = await take(updates, 60)
        assert update.changed == {"rssi"}
        assert update.status.state is DoorState.CLOSED
        sim.see(1, rssi=-60, last_log=101)
        sim.door = "Door open"
        grown, read = await take(updates, 60)
        assert grown.changed == {"last_log"}
        assert (read.changed, read.status.state) == ({"status"}, DoorState.OPEN)
        assert _reads(sim) == 2


async def test_a_log_that_was_reset_is_followed_from_there(sim) -> None:
    sim.see(1)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        await take(updates)
        sim.see(1, last_log=3)
        await take(updates, 60)
        assert _reads(sim) == 1
        sim.see(1, last_log=4)
        await take(updates, 60)
        assert _reads(sim) == 2


async def test_a_door_is_read_after_a_command_of_our_own_through_any_object(sim) -> None:
    sim.see(1)
    async with (
        sim.client(share_codes=_CODES) as gateway,
        sim.client() as other,
        gateway.watch(follow_doors=True) as updates,
    ):
        await take(updates, 15)
        sim.door = "Door open"
        await other.locker(1, share_code=_CODES[1]).open()
        (read,) = await take(updates, 60)
        assert (read.changed, read.status.state) == ({"status"}, DoorState.OPEN)
        assert _reads(sim) == 2


async def test_without_a_log_a_door_is_read_at_an_interval_of_its_own_and_again_when_the_bolt_has_moved(sim) -> None:
    sim.see(1, last_log=None)
    async with (
        sim.client(share_codes=_CODES) as gateway,
        gateway.watch(follow_doors=True, door_interval=600) as updates,
    ):
        await take(updates, 3605)
        before = _reads(sim)
        assert before in {6, 7}
        await gateway.locker(1).open()
        await take(updates, 12)
        assert _reads(sim) == before + 1
        sim.door = "Door open"
        assert [u.status.state for u in await take(updates, 12)] == [DoorState.OPEN]
        await take(updates, 550)
        assert _reads(sim) == before + 2


async def test_a_wrong_share_code_is_told_once_and_tried_less_and_less_often(sim) -> None:
    sim.mode = "wrong code"
    sim.see(1)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        appeared, failed = await take(updates, 280)
        assert appeared.kind is UpdateKind.APPEARED
        assert (failed.status, failed.changed) == (None, {"status_error"})
        assert isinstance(failed.status_error, InvalidHmacError)
        # After 10 s, 20, 40, 80; each with a newer timestamp once more, in case that was what the gateway meant.
        assert _reads(sim) == 2 * 5
        sim.mode = "ok"
        (read,) = await take(updates, 170)
        assert read.status_error is None
        assert read.changed == {"status", "status_error"}
        assert read.status.state is DoorState.CLOSED


async def test_a_refused_hash_is_tried_again_when_the_gateway_accepts_one(sim) -> None:
    sim.mode = "wrong code"
    sim.see(1)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        await take(updates, 200)
        before = _reads(sim)
        sim.mode = "ok"
        await gateway.locker(2).status()
        (read,) = await take(updates, 15)
        assert read.status.state is DoorState.CLOSED
        assert read.status_error is None
        assert _reads(sim) == before + 2


async def test_the_last_known_status_outlives_a_read_that_failed_and_a_locker_that_was_lost(sim) -> None:
    sim.see(1)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        await take(updates)
        sim.mode = "wrong code"
        sim.see(1, last_log=101)
        _, failed = await take(updates, 60)
        assert failed.status.state is DoorState.CLOSED
        assert failed.status_error is not None
        device = sim.lockers.pop(1)
        (lost,) = await take(updates, 60)
        assert (lost.kind, lost.status.state) == (UpdateKind.LOST, DoorState.CLOSED)
        sim.lockers[1] = device
        (again,) = await take(updates, 15)
        assert (again.kind, again.status.state) == (UpdateKind.APPEARED, DoorState.CLOSED)
        assert "status" not in again.changed


async def test_a_busy_gateway_is_asked_again_after_the_next_poll_and_nothing_is_told(sim) -> None:
    sim.see(1)
    sim.mode = "busy with doors"
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        (appeared,) = await take(updates, 35)
        assert appeared.kind is UpdateKind.APPEARED
        assert _reads(sim) == 4
        sim.mode = "ok"
        (read,) = await take(updates, 35)
        assert (read.changed, read.status_error) == ({"status"}, None)
    assert _reads(sim) == 5


async def test_lockers_without_a_share_code_are_skipped_with_one_warning(sim, caplog) -> None:
    caplog.set_level(logging.WARNING, "thekeys_async")
    for identifier in (1, 8, 9):
        sim.see(identifier)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        heard = await take(updates, 3600)
    assert len(heard) == 4
    assert [(u.status, u.status_error) for u in heard if u.identifier in {8, 9}] == [(None, None)] * 2
    (record,) = caplog.records
    assert "8, 9" in record.getMessage()
    assert "Zmo" not in caplog.text


async def test_watchers_with_the_same_code_share_a_read_and_others_use_their_own(sim) -> None:
    sim.see(1)
    sim.see(2)
    ours, theirs, third = (sim.client(share_codes=codes) for codes in (_CODES, {2: "another-code"}, {1: "a third"}))
    async with (
        ours, theirs, third,
        ours.watch(follow_doors=True) as our_updates,
        theirs.watch(follow_doors=True) as their_updates,
        third.watch(follow_doors=True),
        third.watch() as plain_updates,
    ):  # fmt: skip
        await anyio.sleep(9)
        assert _reads(sim) == 3
        assert [u.identifier for u in await take(our_updates) if u.status] == [1, 2]
        assert [u.identifier for u in await take(their_updates) if u.status] == [2]
        assert not [u for u in await take(plain_updates) if u.status]
        async with ours.watch(follow_doors=True) as late:
            known = await take(late, 100)
            assert [(u.kind, u.status.state, "status" in u.changed) for u in known] == [
                (UpdateKind.APPEARED, DoorState.CLOSED, False)
            ] * 2
        assert _reads(sim) == 3


async def test_a_watcher_that_leaves_in_mid_read_leaves_it_to_another(sim) -> None:
    sim.see(1)
    sim.latency = 1.0
    leaves = anyio.CancelScope()

    async def leave() -> None:
        with leaves:
            async with gateway.watch(follow_doors=True):
                await anyio.sleep_forever()

    async with sim.client(share_codes=_CODES) as gateway, anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        await anyio.sleep(0.5)
        async with gateway.watch(follow_doors=True) as updates:
            await anyio.sleep(1.0)
            assert _reads(sim) == 1
            leaves.cancel()
            assert [u.changed for u in await take(updates, 5)][-1] == {"status"}
            assert _reads(sim) == 2


async def test_polls_go_on_while_doors_are_slow(sim) -> None:
    codes = dict.fromkeys(range(20), "code")
    for identifier in codes:
        sim.see(identifier)
    start = anyio.current_time()
    sim.latency = 4.0
    async with sim.client(share_codes=codes) as gateway, gateway.watch(follow_doors=True) as updates:
        await take(updates, 119)
    assert _reads(sim) >= 15
    lateness = [at - start - 10 * i for i, at in enumerate(sim.times())]
    assert len(lateness) == 12
    assert max(lateness) <= 4


async def test_no_door_is_read_while_the_gateway_is_away(sim) -> None:
    sim.see(1)
    async with sim.client(share_codes=_CODES) as gateway, gateway.watch(follow_doors=True) as updates:
        await take(updates)
        await gateway.locker(1).open()
        sim.mode = "gone"
        await take(updates, 600)
        assert _reads(sim) == 1
        sim.mode = "ok"
        assert [u.status.state for u in await take(updates, 61) if hasattr(u, "status")] == [DoorState.CLOSED]


async def test_doors_that_still_wait_are_not_read_from_a_gateway_that_went_away(sim) -> None:
    codes = dict.fromkeys(range(20), "code")
    for identifier in codes:
        sim.see(identifier)
    sim.latency = 4.0
    async with sim.client(share_codes=codes) as gateway, gateway.watch(follow_doors=True) as updates:
        await take(updates, 9)
        sim.mode = "gone"
        await take(updates, 300)
        assert _reads(sim) < 5
