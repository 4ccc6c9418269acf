"""`send_within=`: an order that has an age does not leave late, whatever stands in its way."""

from typing import Any

import anyio
import pytest
import trio.testing

from thekeys_async import AsyncGateway, Fleet, GatewayBusyError, Pacing, RequestTimeoutError, TheKeysError
from thekeys_async.gateway import driver_of

pytestmark = pytest.mark.anyio

_DONE = b'{"status": "ok", "code": 0}'
_CLOSED = b'{"status": "Door closed", "code": 49}'
_BUSY = b'{"status": "500", "message": "busy"}'


@pytest.fixture
def anyio_backend(in_virtual_time: tuple[str, dict]) -> tuple[str, dict]:
    return in_virtual_time


def _gateway(wire: Any, name: str, pacing: Pacing = Pacing(0, 0)) -> AsyncGateway:  # noqa: B008 - frozen
    gateway = AsyncGateway(f"{name}.test", share_codes={1: "code"}, pacing=pacing, timeout=None)
    driver_of(gateway)._own_wire = wire
    return gateway


async def test_a_command_that_waits_behind_another_is_not_sent_late(scripted_wire: Any) -> None:
    async def slowly(sent: Any) -> bytes:
        await anyio.sleep(10)
        return _CLOSED if sent.path == "/locker_status" else _DONE

    wire = scripted_wire(slowly)
    async with _gateway(wire, "slow") as gateway, anyio.create_task_group() as group:
        group.start_soon(gateway.locker(1).status)
        await trio.testing.wait_all_tasks_blocked()
        began = anyio.current_time()
        with pytest.raises(RequestTimeoutError, match="not sent within 5 s") as caught:
            await gateway.locker(1).open(send_within=5)
        assert anyio.current_time() - began == pytest.approx(5)
        assert caught.value.may_have_executed is False
    assert wire.paths() == ["/locker_status"]


@pytest.mark.parametrize("method", ["open", "close", "calibrate"])
async def test_a_command_is_not_sent_again_after_its_age(scripted_wire: Any, method: str) -> None:
    async def busy(_sent: Any) -> bytes:
        return _BUSY

    wire = scripted_wire(busy)
    async with _gateway(wire, f"busy-{method}") as gateway:
        began = anyio.current_time()
        with pytest.raises(GatewayBusyError) as caught:
            await getattr(gateway.locker(1), method)(send_within=3)
        assert caught.value.may_have_executed is False
        assert anyio.current_time() - began <= 3
    assert len(wire.sent) > 2
    assert all(sent.at - began < 3 for sent in wire.sent)


async def test_a_connection_that_takes_too_long_makes_a_command_too_old(scripted_wire: Any) -> None:
    async def done(_sent: Any) -> bytes:
        return _DONE

    wire = scripted_wire(done, connecting=4)
    async with _gateway(wire, "far") as gateway:
        with pytest.raises(TheKeysError) as caught:
            await gateway.locker(1).open(send_within=3)
        assert caught.value.may_have_executed is False
        assert wire.sent == []
        await gateway.locker(1).open(send_within=5)


async def test_it_does_not_make_up_for_a_budget_that_leaves_no_time_to_hear_the_answer(scripted_wire: Any) -> None:
    async def done(_sent: Any) -> bytes:
        return _DONE

    wire = scripted_wire(done, connecting=6)
    async with _gateway(wire, "both") as gateway:
        with pytest.raises(TheKeysError) as caught:
            await gateway.locker(1).open(timeout=10, send_within=9)
        assert caught.value.may_have_executed is False
    assert wire.sent == []


async def test_its_answer_may_come_after_its_age(scripted_wire: Any) -> None:
    async def slowly(_sent: Any) -> bytes:
        await anyio.sleep(20)
        return _DONE

    async with _gateway(scripted_wire(slowly), "slow-answer") as gateway:
        assert (await gateway.locker(1).open(send_within=1)).duration == pytest.approx(20)


async def test_the_best_of_several_gateways_keeps_to_it(scripted_wire: Any) -> None:
    async def busy(sent: Any) -> bytes:
        return b'{"status": "ok", "devices": []}' if sent.path == "/lockers" else _BUSY

    wires = [scripted_wire(busy), scripted_wire(busy)]
    gateways = {f"g{number}": _gateway(wire, f"of-several-{number}") for number, wire in enumerate(wires)}
    async with Fleet(gateways, timeout=None) as fleet:
        began = anyio.current_time()
        with pytest.raises(GatewayBusyError):
            await fleet.locker(1).open(send_within=6)
        assert anyio.current_time() - began <= 6
    sent = [sent for wire in wires for sent in wire.sent if sent.path == "/open"]
    assert len(sent) > 2
    assert all(each.at - began < 6 for each in sent)


@pytest.mark.parametrize("gateways", [1, 2])
async def test_its_answer_may_come_after_its_age_through_a_fleet_too(scripted_wire: Any, gateways: int) -> None:
    async def slowly(sent: Any) -> bytes:
        if sent.path == "/lockers":
            return b'{"status": "ok", "devices": []}'
        await anyio.sleep(3)
        return _DONE

    wires = [scripted_wire(slowly) for _ in range(gateways)]
    of = {f"g{number}": _gateway(wire, f"slow-{gateways}-{number}") for number, wire in enumerate(wires)}
    async with Fleet(of, timeout=30) as fleet:
        assert (await fleet.locker(1).open(send_within=2)).duration == pytest.approx(3)


async def test_a_gateway_that_is_away_does_not_use_it_up(scripted_wire: Any) -> None:
    async def away(_sent: Any) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async def there(sent: Any) -> bytes:
        return b'{"status": "ok", "devices": []}' if sent.path == "/lockers" else _DONE

    of = {"away": _gateway(scripted_wire(away), "away"), "there": _gateway(scripted_wire(there), "there")}
    async with Fleet(of, timeout=30) as fleet:
        assert (await fleet.locker(1).open(send_within=2)).duration < 2


@pytest.mark.parametrize("wrong", [0, -1, float("nan")])
async def test_an_age_is_positive(scripted_wire: Any, wrong: float) -> None:
    async def never(_sent: Any) -> bytes:
        raise AssertionError

    async with _gateway(scripted_wire(never), f"wrong{wrong}") as gateway:
        with pytest.raises(ValueError, match="positive"):
            await gateway.locker(1).open(send_within=wrong)
