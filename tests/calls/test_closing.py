"""An object that is closed while calls are under way: what is on the wire ends well, the rest is not sent."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from tests.sample import CODE
from thekeys_async import (
    AsyncGateway,
    DoorState,
    Fleet,
    GatewayClockError,
    GatewayClosedError,
    GatewayTransport,
    Pacing,
    TheKeysError,
)
from thekeys_async.coordination import FileCoordinator
from thekeys_async.gateway import driver_of
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio
_CODES = {1: CODE}


def _simulated(**options: object) -> SimulatedGateway:
    options = {"light": 0.02, "bluetooth": 0.2} | options
    return SimulatedGateway([SimulatedLocker(1, share_code=_CODES[1])], **options)


def _gateway(address: str, **options: object) -> AsyncGateway:
    return AsyncGateway(address, share_codes=_CODES, pacing=Pacing(0, 0), **options)


class _Ended:
    """How calls in tasks of their own ended."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.errors: list[TheKeysError] = []

    async def run(self, call: Callable[[], Awaitable[object]]) -> None:
        try:
            self.values.append(await call())
        except TheKeysError as error:
            self.errors.append(error)


@pytest.mark.parametrize("through", ["our own wire", "a transport", "httpx", "a coordinator"])
async def test_the_one_on_the_wire_ends_well_and_the_queued_are_not_sent(tmp_path, through: str) -> None:
    async with _simulated() as sim, FileCoordinator(tmp_path) as coordinator:
        options = {
            "our own wire": {},
            "a transport": {"transport": GatewayTransport()},
            "httpx": {"transport": httpx.AsyncHTTPTransport()},
            "a coordinator": {"coordinator": coordinator},
        }[through]
        gateway, ended = _gateway(sim.address, **options), _Ended()
        door = gateway.locker(1)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(ended.run, door.open)
                await sim.wait_until(lambda: len(sim.requests) > 0)
                for call in (door.close, door.status, gateway.lockers, gateway.status):
                    group.start_soon(ended.run, call)
                await anyio.wait_all_tasks_blocked()
                await gateway.aclose()
        assert len(ended.values) == 1
        assert [type(error) for error in ended.errors] == [GatewayClosedError] * 4
        assert not any(error.may_have_executed for error in ended.errors)
        assert [record.path for record in sim.requests] == ["/open"]


async def test_a_status_on_the_wire_ends_as_it_would_have() -> None:
    async with _simulated(light=0.2) as sim:
        gateway, ended = _gateway(sim.address), _Ended()
        async with anyio.create_task_group() as group:
            group.start_soon(ended.run, gateway.status)
            await sim.wait_until(lambda: len(sim.requests) > 0)
            await gateway.aclose()
        assert not ended.errors
        assert len(ended.values) == 1


@pytest.mark.virtual_time
async def test_waiting_for_a_bolt_ends_with_its_gateway() -> None:
    async with _simulated() as sim:
        gateway, ended = _gateway(sim.address), _Ended()
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(ended.run, lambda: gateway.locker(1).wait_for(DoorState.JAMMED, timeout=None))
                await sim.wait_until(lambda: len(sim.requests) > 0)
                await gateway.aclose()
        assert [type(error) for error in ended.errors] == [GatewayClosedError]


async def test_a_command_goes_on_to_the_next_gateway_while_one_is_removed() -> None:
    async with _simulated() as one, _simulated() as two:
        fleet = Fleet({"one": _gateway(one.address), "two": _gateway(two.address)})
        async with fleet:
            ended, door = _Ended(), fleet.locker(1)
            await fleet.lockers()
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(ended.run, door.open)
                await one.wait_until(lambda: any(r.path == "/open" for r in (*one.requests, *two.requests)))
                await fleet.remove("one")
        assert not ended.errors
        assert len(ended.values) == 4


async def test_a_command_whose_connection_is_still_being_opened_is_not_sent(scripted_wire: Any) -> None:
    async def never_asked(_sent: object) -> bytes:
        raise AssertionError

    wire, ended = scripted_wire(never_asked, connecting=0.02), _Ended()
    gateway = _gateway("closed-while-connecting.test")
    driver_of(gateway)._own_wire = wire
    async with anyio.create_task_group() as group:
        group.start_soon(ended.run, gateway.locker(1).open)
        await anyio.wait_all_tasks_blocked()
        await gateway.aclose()
    assert [type(error) for error in ended.errors] == [GatewayClosedError]
    assert wire.sent == []


async def test_the_recovery_of_the_gateways_clock_is_not_begun_once_the_object_is_closed(scripted_wire: Any) -> None:
    async def close_meanwhile(_sent: object) -> bytes:
        await gateway.aclose()
        return b'{"status": "ko", "code": 38}'

    wire, ended = scripted_wire(close_meanwhile), _Ended()
    gateway = _gateway("closed-before-recovery.test")
    driver_of(gateway)._own_wire = wire
    await ended.run(gateway.locker(1).open)
    assert [type(error) for error in ended.errors] == [GatewayClockError]
    assert wire.paths() == ["/open"]
