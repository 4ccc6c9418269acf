"""A gateway that takes a request and says nothing, or that cannot be reached: what the caller and the log are told."""

import logging
from typing import Any

import anyio
import pytest

from thekeys_async import AsyncGateway, GatewayUnreachableError, Pacing, RequestTimeoutError
from thekeys_async.gateway import driver_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(in_virtual_time: tuple[str, dict]) -> tuple[str, dict]:
    return in_virtual_time


async def _silent(_sent: Any) -> bytes:
    await anyio.sleep_forever()
    raise AssertionError


def _gateway(wire: Any, name: str) -> AsyncGateway:
    gateway = AsyncGateway(f"{name}.test", share_codes={1: "code-of-a-locker"}, pacing=Pacing(0, 0), timeout=None)
    driver_of(gateway)._own_wire = wire
    return gateway


async def test_a_read_whose_time_is_up_says_so_and_one_that_has_time_left_that_nobody_answers(
    scripted_wire: Any,
) -> None:
    async with _gateway(scripted_wire(_silent), "silent") as gateway:
        with pytest.raises(RequestTimeoutError, match="no answer within 3 s"):
            await gateway.lockers(timeout=3)
        with pytest.raises(GatewayUnreachableError, match="took the request and did not answer"):
            await gateway.lockers()


@pytest.mark.parametrize(("connecting", "warned"), [(10, False), (0, True)])
async def test_the_log_says_that_a_door_may_have_moved_only_if_the_command_had_left(
    scripted_wire: Any, caplog: pytest.LogCaptureFixture, *, connecting: int, warned: bool
) -> None:
    async with _gateway(scripted_wire(_silent, connecting=connecting), f"cancelled-{connecting}") as gateway:
        with anyio.move_on_after(5):
            await gateway.locker(1).open()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert any("the door may have moved" in record.getMessage() for record in warnings) is warned
