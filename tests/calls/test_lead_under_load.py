"""A gateway that refuses the future, under a load that lasts; in virtual time."""

import time
from typing import Any

import anyio
import pytest

from thekeys_async import AsyncGateway, InvalidHmacError, Pacing, TheKeysError
from thekeys_async.gateway import driver_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(in_virtual_time: tuple[str, dict]) -> tuple[str, dict]:
    return in_virtual_time


class _Checking:
    """Takes a timestamp that is newer than the last it took, and at most `future` seconds ahead of its clock."""

    def __init__(self, clock: Any, future: float) -> None:
        self.clock, self.future, self.last = clock, future, 0
        self.refused: list[int] = []
        self.accepted: list[int] = []

    async def answer(self, sent: Any) -> bytes:
        await anyio.sleep(0.05)
        if sent.timestamp <= self.last or sent.timestamp > self.clock() + self.future:
            self.refused.append(sent.timestamp)
            return b'{"status": "ko", "code": 33}'
        self.last = sent.timestamp
        self.accepted.append(sent.timestamp)
        return b'{"status": "ok", "code": 0}'


async def test_about_one_signed_call_a_second_goes_on_and_each_is_refused_once_at_most(
    scripted_wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = anyio.current_time()

    def wall() -> float:
        return 1_700_000_000.3 + anyio.current_time() - started

    monkeypatch.setattr(time, "time", wall)
    checking = _Checking(wall, 5)
    gateway = AsyncGateway("under-load.test", share_codes={1: "code"}, pacing=Pacing(0, 0))
    driver_of(gateway)._own_wire = scripted_wire(checking.answer)
    attempts: list[int] = []
    errors: list[TheKeysError] = []

    async def call() -> None:
        try:
            attempts.append((await gateway.locker(1).open()).attempts)
        except TheKeysError as error:
            errors.append(error)

    async with gateway, anyio.create_task_group() as group:
        for _ in range(300):
            group.start_soon(call)
            await anyio.sleep(0.4)
    seconds = anyio.current_time() - started
    assert not [error for error in errors if isinstance(error, InvalidHmacError)]  # nobody's share code is wrong
    assert max(attempts) <= 2
    assert len(attempts) >= 0.9 * seconds
    assert len(checking.refused) <= 6
