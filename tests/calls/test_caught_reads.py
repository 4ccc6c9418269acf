"""A signed read that got no answer leaves a hash that opens doors, until a newer signed request was accepted."""

import itertools
import logging
from typing import Any

import anyio
import pytest
import trio.testing

from tests.sample import CODE, LOCKER
from thekeys_async import AsyncGateway, DoorState, GatewayUnreachableError, Pacing, RequestTimeoutError, TheKeysError
from thekeys_async.gateway import driver_of

pytestmark = pytest.mark.anyio

_DONE = b'{"status": "ok", "code": 0}'
_CLOSED = b'{"status": "Door closed", "code": 49}'
_NONE_SEEN = b'{"status": "ok", "devices": []}'
_SCANS = b'{"version": 65, "current_status": "Scanning..."}'


@pytest.fixture
def anyio_backend(in_virtual_time: tuple[str, dict]) -> tuple[str, dict]:
    return in_virtual_time


class _Box:
    """A gateway that hangs when it is told to."""

    hangs = True

    async def answer(self, sent: Any) -> bytes:
        if self.hangs:
            await anyio.sleep_forever()
        return {"/locker_status": _CLOSED, "/lockers": _NONE_SEEN, "/status": _SCANS}.get(sent.path, _DONE)


def _gateway(wire: Any, name: str, **options: Any) -> AsyncGateway:
    codes = {1: CODE, 2: CODE}
    gateway = AsyncGateway(f"{name}.test", share_codes=codes, pacing=Pacing(0, 0), timeout=60, **options)
    driver_of(gateway)._own_wire = wire
    return gateway


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "caught" in record.getMessage()]


async def test_it_is_told_and_spent_before_other_reads_once_the_gateway_answers(
    scripted_wire: Any, caplog: pytest.LogCaptureFixture
) -> None:
    box = _Box()
    wire = scripted_wire(box.answer)
    async with _gateway(wire, "spent") as gateway, anyio.create_task_group() as group:
        with caplog.at_level(logging.WARNING, "thekeys_async"), pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        assert len(_warnings(caplog)) == 1
        assert CODE not in caplog.text
        left = wire.sent[-1].timestamp
        box.hangs = False
        for _ in range(3):
            group.start_soon(gateway.locker(2).status)  # they came first, and yet one goes before them
        await gateway.lockers()
    after = wire.sent[wire.paths().index("/lockers") :] if "/lockers" in wire.paths() else []
    assert after
    signed = [sent for sent in wire.sent if sent.timestamp and sent.timestamp > left]
    assert len(signed) >= 3
    async with _gateway(wire, "spent-2") as gateway:
        await gateway.lockers()
    assert wire.paths()[-1] == "/lockers"


async def test_the_first_answer_is_followed_by_a_signed_read_before_those_that_wait(scripted_wire: Any) -> None:
    box = _Box()
    wire = scripted_wire(box.answer)
    async with _gateway(wire, "order") as gateway, anyio.create_task_group() as group:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        box.hangs = False
        before = len(wire.sent)
        group.start_soon(gateway.lockers)
        for _ in range(3):
            group.start_soon(gateway.status)
            await trio.testing.wait_all_tasks_blocked()
    assert wire.paths()[before : before + 2] in (["/lockers", "/locker_status"], ["/status", "/locker_status"])
    assert wire.paths()[before:].count("/locker_status") == 1


async def test_a_newer_signed_request_that_is_accepted_has_spent_it(scripted_wire: Any) -> None:
    box = _Box()
    wire = scripted_wire(box.answer)
    async with _gateway(wire, "command") as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        box.hangs = False
        await gateway.locker(2).open()
        await gateway.lockers()
    assert wire.paths()[-2:] == ["/open", "/lockers"]


async def test_one_that_was_cancelled_is_told_and_spent_too(
    scripted_wire: Any, caplog: pytest.LogCaptureFixture
) -> None:
    box = _Box()
    wire = scripted_wire(box.answer)
    async with _gateway(wire, "cancelled") as gateway:
        with caplog.at_level(logging.WARNING, "thekeys_async"), anyio.move_on_after(3):
            await gateway.locker(1).status()
        assert len(_warnings(caplog)) == 1
        box.hangs = False
        await gateway.lockers()
    assert wire.paths() == ["/locker_status", "/lockers", "/locker_status"]


async def test_a_read_that_was_repeated_and_answered_is_no_news(
    scripted_wire: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def once_hanging(sent: Any) -> bytes:
        if len(wire.sent) == 1:
            await anyio.sleep_forever()
        return _CLOSED if sent.path == "/locker_status" else _NONE_SEEN

    wire = scripted_wire(once_hanging)
    async with _gateway(wire, "repeated") as gateway:
        with caplog.at_level(logging.WARNING, "thekeys_async"):
            await gateway.locker(1).status()
        await gateway.lockers()
    assert _warnings(caplog) == []
    assert wire.paths() == ["/locker_status", "/locker_status", "/lockers"]


async def test_a_gateway_that_still_does_not_answer_gets_no_more_of_them(scripted_wire: Any) -> None:
    box = _Box()
    wire = scripted_wire(box.answer)
    async with _gateway(wire, "dead") as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        sent = wire.paths().count("/locker_status")
        with pytest.raises((RequestTimeoutError, GatewayUnreachableError)):
            await gateway.lockers(timeout=30)
        assert wire.paths().count("/locker_status") == sent


async def test_who_has_no_time_for_it_leaves_it_to_the_next(scripted_wire: Any) -> None:
    box = _Box()
    wire = scripted_wire(box.answer)
    async with _gateway(wire, "hurried") as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        box.hangs = False
        await gateway.lockers(timeout=2)
        assert wire.paths()[-1] == "/lockers"
        await gateway.lockers()
        assert wire.paths()[-1] == "/locker_status"


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (b'{"status": "ko", "code": 32}', False),
        (b'{"status": "ko", "code": 33}', False),
        (b'{"status": "ko", "code": 38}', False),
        (b"<html>", False),
        (b'{"status": "ko", "code": 34}', True),
        (b'{"status": "ko", "code": 37}', True),
    ],
)
async def test_only_a_request_that_was_accepted_spends_it(scripted_wire: Any, answer: bytes, accepted: bool) -> None:
    box = _Box()

    async def one_locker_is_odd(sent: Any) -> bytes:
        return answer if sent.path == "/open" else await box.answer(sent)

    wire = scripted_wire(one_locker_is_odd)
    async with _gateway(wire, f"odd-{answer.hex()[-12:]}", recover_clock=False) as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        box.hangs = False
        with pytest.raises(TheKeysError):
            await gateway.locker(2).open()
        before = len(wire.sent)
        await gateway.lockers()
    assert wire.paths()[before:] == ["/lockers"] + ["/locker_status"] * (not accepted)


async def test_a_locker_that_goes_on_hanging_does_not_hold_up_every_other_read(scripted_wire: Any) -> None:
    async def without_bluetooth(sent: Any) -> bytes:
        if sent.path == "/locker_status":
            await anyio.sleep_forever()
        return _NONE_SEEN

    wire = scripted_wire(without_bluetooth)
    async with _gateway(wire, "hung-locker") as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        before, began = wire.paths().count("/locker_status"), anyio.current_time()
        lists = 0
        while anyio.current_time() - began < 600:
            await gateway.lockers()
            lists += 1
            await anyio.sleep(10)
    assert 2 <= wire.paths().count("/locker_status") - before <= 6
    assert lists > 50


async def test_a_hash_that_is_refused_is_not_sent_with_every_read(scripted_wire: Any) -> None:
    async def lost_then_refused(sent: Any) -> bytes:
        if sent.path == "/locker_status" and len(wire.sent) < 3:
            await anyio.sleep_forever()
        return b'{"status": "ko", "code": 33}' if sent.path == "/locker_status" else _NONE_SEEN

    wire = scripted_wire(lost_then_refused)
    async with _gateway(wire, "wrong-code") as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).status(timeout=10)
        before = len(wire.sent)
        for _ in range(20):
            await gateway.lockers()
    assert wire.paths()[before:].count("/locker_status") <= 2


async def test_nothing_is_sent_for_an_object_that_was_closed_meanwhile(scripted_wire: Any) -> None:
    box = _Box()

    async def slowly(sent: Any) -> bytes:
        await anyio.sleep(1)
        return await box.answer(sent)

    wire = scripted_wire(slowly)
    gateway = _gateway(wire, "left")
    with anyio.move_on_after(2):
        await gateway.locker(1).status()
    box.hangs = False
    async with anyio.create_task_group() as group:
        group.start_soon(gateway.lockers)
        await anyio.sleep(0.5)
        await gateway.aclose()
    assert wire.paths() == ["/locker_status", "/lockers"]


async def test_the_status_of_old_firmware_keeps_its_budget(scripted_wire: Any) -> None:
    async def old(sent: Any) -> bytes:
        if sent.path == "/locker_status":
            await anyio.sleep_forever()
        await anyio.sleep(4)
        return b'{"status": "ko", "code": 404}' if sent.path == "/status" else b"nothing that makes sense"

    async with _gateway(scripted_wire(old), "old") as gateway:
        with anyio.move_on_after(2):
            await gateway.locker(1).status()
        began = anyio.current_time()
        with pytest.raises(TheKeysError):
            await gateway.status(timeout=21)
        assert anyio.current_time() - began <= 21


async def test_the_looks_at_a_bolt_become_rare(scripted_wire: Any) -> None:
    async def closed(_sent: Any) -> bytes:
        return _CLOSED

    wire = scripted_wire(closed)
    async with _gateway(wire, "rare") as gateway:
        with pytest.raises(RequestTimeoutError):
            await gateway.locker(1).wait_for(DoorState.OPEN, timeout=100)
    times = [sent.at - wire.sent[0].at for sent in wire.sent]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[:5] == pytest.approx([2, 2, 2, 3, 4.5])
    assert gaps[-2:] == pytest.approx([10, 10])


@pytest.mark.parametrize(
    ("code", "told"), [("123456", True), ("abcdef", True), (CODE, False), ("1234567890123", False)]
)
async def test_a_code_that_one_request_tells_is_told_without_it(
    code: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "thekeys_async"):
        AsyncGateway("gateway.test", share_codes={LOCKER: code, 2: CODE})
    assert ["45961123" in record.getMessage() for record in caplog.records] == [True] * told
    assert code not in caplog.text
