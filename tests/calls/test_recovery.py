"""A gateway whose clock is not set is synchronised on the way of a call; a person does not wait for that of a read."""

import math
from typing import Any

import anyio
import pytest
import trio.testing

from thekeys_async import AsyncGateway, GatewayClockError, Pacing
from thekeys_async.gateway import driver_of

pytestmark = pytest.mark.anyio

_DONE = b'{"status": "ok", "code": 0}'
_NOT_SET = b'{"status": "ko", "code": 38}'
_CLOSED = b'{"status": "Door closed", "code": 49}'
_BUSY = b'{"status": "500", "message": "busy"}'


@pytest.fixture
def anyio_backend(in_virtual_time: tuple[str, dict]) -> tuple[str, dict]:
    return in_virtual_time


def _gateway(wire: Any, name: str) -> AsyncGateway:
    gateway = AsyncGateway(f"{name}.test", share_codes={1: "code"}, pacing=Pacing(0, 0), timeout=None)
    driver_of(gateway)._own_wire = wire
    return gateway


async def _hang_in_synchronization(sent: Any) -> bytes:
    if sent.path == "/synchronize":
        await anyio.sleep_forever()
    return _NOT_SET


async def test_a_command_waits_for_a_reads_recovery_no_longer_than_for_a_read(scripted_wire: Any) -> None:
    wire = scripted_wire(_hang_in_synchronization)
    async with _gateway(wire, "hanging") as gateway, anyio.create_task_group() as group:

        async def read() -> None:
            with pytest.raises(GatewayClockError):
                await gateway.locker(1).status()

        group.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        arrived = anyio.current_time()
        with pytest.raises(GatewayClockError):
            await gateway.locker(1).open()
        assert next(sent.at for sent in wire.sent if sent.path == "/open") - arrived <= 15
    assert wire.paths().count("/synchronize") == 1


async def test_a_read_whose_recovery_takes_minutes_is_answered_after_a_single_one(
    scripted_wire: Any,
) -> None:
    done_at = math.inf

    async def synchronize_for_two_minutes(sent: Any) -> bytes:
        nonlocal done_at
        if sent.path == "/synchronize":
            done_at = anyio.current_time() + 120
            await anyio.sleep(120)
            return _DONE
        if done_at == math.inf:
            return _NOT_SET
        return _CLOSED if anyio.current_time() >= done_at else _BUSY

    wire = scripted_wire(synchronize_for_two_minutes)
    async with _gateway(wire, "slow") as gateway, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(gateway.locker(1).status)
    assert wire.paths().count("/synchronize") == 1


async def test_a_commands_recovery_may_take_minutes(scripted_wire: Any) -> None:
    synchronized = False

    async def synchronize_for_four_minutes(sent: Any) -> bytes:
        nonlocal synchronized
        if sent.path == "/synchronize":
            await anyio.sleep(240)
            synchronized = True
        return _DONE if synchronized else _NOT_SET

    wire = scripted_wire(synchronize_for_four_minutes)
    async with _gateway(wire, "patient") as gateway:
        await gateway.locker(1).open()
    assert wire.paths() == ["/open", "/synchronize", "/open"]
