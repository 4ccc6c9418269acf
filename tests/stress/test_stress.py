"""Thousands of random calls at gateways that misbehave, and the promises checked from the gateways' own records.

The short edition runs with all tests. The long one, for as many seconds as you have, and from a seed of your own:

    THEKEYS_STRESS_SECONDS=60 THEKEYS_STRESS_SEED=7 pytest tests/stress -s

Operations come from the seed; real time decides how they meet. Each caller has a locker of its own, which all gateways
see: so a gateway's record says whose command it was, and all that happened to it between one command and the next.
"""

import asyncio
import gc
import itertools
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
import attrs
import pytest
import trio

from tests.sample import CODE
from thekeys_async import (
    AsyncGateway,
    CommandResult,
    CoordinationError,
    DoorState,
    Fleet,
    Pacing,
    TheKeysError,
    Timestamps,
)
from thekeys_async.coordination import Coordinator, FileCoordinator, RedisCoordinator
from thekeys_async.simulator import Fault, RequestRecord, SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.anyio

SECONDS = float(os.environ.get("THEKEYS_STRESS_SECONDS", "1.5"))
SEED = int(os.environ.get("THEKEYS_STRESS_SEED", "1"))
CALLERS = 12
GATEWAYS = 3
NAMES = ("hall", "annex", "attic")
FIRST = 100
LATE = 0.5
STRANGERS = 10_000
MOVES = ("open", "close", "calibrate")
FAULTS = sorted(set(Fault) - {Fault.REFUSE, Fault.DRIP, Fault.HANG, Fault.HANG_AFTER}, key=lambda fault: fault.name)
HANGS = (Fault.HANG, Fault.HANG_AFTER)


@attrs.define
class Command:
    """One command of one caller.

    Attributes:
        began: When it was called, in the event loop's time.
        ended: When its caller had an answer, or left.
        timestamp: What it was carried out with, if the caller was told that it was.
        may_have_executed: What else the caller was told; a caller that left knows nothing.
        told: The same in words.
    """

    began: float
    ended: float = 0.0
    timestamp: int | None = None
    may_have_executed: bool = True
    told: str = "cancelled"


@attrs.define
class World:
    """Gateways that misbehave, a fleet of them, and what was asked of them."""

    random: Random
    gateways: list[SimulatedGateway]
    fleet: Fleet
    clients: list[AsyncGateway]
    coordinator: Coordinator | None
    ends: float
    commands: dict[int, list[Command]] = attrs.field(factory=dict)
    synchronizing: dict[int, list[tuple[float, float]]] = attrs.field(factory=dict)
    told: Counter[str] = attrs.field(factory=Counter)

    @property
    def over(self) -> bool:
        return anyio.current_time() >= self.ends

    def client(self, number: int) -> AsyncGateway:
        return _client(self.gateways[number], self.coordinator)

    async def try_(self, call: Callable[[], Awaitable[object]]) -> None:
        """Make a call that may fail, be cancelled or run out of time, but only in a way that is promised."""
        with anyio.move_on_after(self.random.choice([None, None, 0.001, 0.01, 0.05])):
            try:
                await call()
                self.told["done"] += 1
            except CoordinationError as error:
                self.told[str(error)] += 1
            except TheKeysError as error:
                self.told[type(error).__name__] += 1

    def budget(self) -> float:
        return self.random.choice([0.02, 0.1, 0.3, 1.0, 2.0])


def _client(simulated: SimulatedGateway, coordinator: Coordinator | None) -> AsyncGateway:
    return AsyncGateway(
        simulated.address,
        share_codes={FIRST + number: CODE for number in range(CALLERS)},
        pacing=Pacing(0, 0),
        timestamps=Timestamps(max_lead=float("inf")),
        coordinator=coordinator,
        timeout=2.0,
    )


@asynccontextmanager
async def _world(seed: int, coordinator: Coordinator | None) -> AsyncIterator[World]:
    lockers = [[SimulatedLocker(FIRST + n, share_code=CODE) for n in range(CALLERS)] for _ in range(GATEWAYS)]
    speed = {"light": 0.002, "bluetooth": 0.006, "restart": 0.1, "synchronization": 0.02}
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(SimulatedGateway(each, seed=seed, keep_alive=n != 1, **speed))
            for n, each in enumerate(lockers)
        ]
        if coordinator:
            await stack.enter_async_context(coordinator)
        clients = [await stack.enter_async_context(_client(each, coordinator)) for each in gateways]
        members = {name: _client(each, coordinator) for name, each in zip(NAMES, gateways, strict=True)}
        fleet = await stack.enter_async_context(Fleet(members))
        ends = anyio.current_time() + SECONDS
        yield World(Random(seed), gateways, fleet, clients, coordinator, ends)


async def _command(world: World, number: int) -> None:
    """Move the bolt of the caller's own locker, through a gateway or the fleet."""
    identifier = FIRST + number
    where = world.random.choice([*world.clients, world.fleet])
    move = getattr(where.locker(identifier), world.random.choice(MOVES))
    command = Command(anyio.current_time())
    world.commands.setdefault(identifier, []).append(command)

    async def call() -> None:
        try:
            result = await move(timeout=world.budget())
        except TheKeysError as error:
            command.told, command.may_have_executed = f"{type(error).__name__}: {error}", error.may_have_executed
            raise
        assert isinstance(result, CommandResult)
        command.timestamp, command.told = result.timestamp, "done"

    await world.try_(call)
    command.ended = anyio.current_time()


async def _caller(world: World, number: int) -> None:
    while not world.over:
        gateway = world.random.choice(world.clients)
        door = gateway.locker(FIRST + number)
        if world.random.random() < 0.4:
            await _command(world, number)
        else:
            read = world.random.choice(
                [door.status, gateway.lockers, gateway.status, door.wait_for, world.fleet.lockers]
            )
            what = (DoorState.OPEN,) if read == door.wait_for else ()
            await world.try_(partial(read, *what, timeout=world.budget()))
        await anyio.sleep(world.random.choice([0.0, 0.0, 0.005]))


async def _watcher(world: World, source: AsyncGateway | Fleet) -> None:
    """Watch, slowly or quickly, and leave at any moment."""
    while not world.over:
        with anyio.move_on_after(world.random.choice([0.01, 0.1, 0.5])):
            async with source.watch(interval=0.03, follow_doors=world.random.random() < 0.5) as updates:
                async for _ in updates:
                    await anyio.sleep(world.random.choice([0.0, 0.0, 0.05]))


async def _fleet_changer(world: World) -> None:
    """Take gateways out of the fleet and put them back, but for the first."""
    while not world.over:
        number = world.random.randrange(1, GATEWAYS)
        await world.fleet.remove(NAMES[number])
        await anyio.sleep(world.random.choice([0.0, 0.02]))
        await world.fleet.add(NAMES[number], world.client(number))
        await anyio.sleep(world.random.choice([0.05, 0.1]))


async def _closer(world: World, number: int) -> None:
    """Use an object of its own, and close it in the middle of its calls."""
    while not world.over:
        async with anyio.create_task_group() as group, world.client(world.random.randrange(GATEWAYS)) as gateway:
            for _ in range(3):
                group.start_soon(world.try_, gateway.locker(FIRST + number).status)
                group.start_soon(world.try_, gateway.lockers)
            await anyio.sleep(world.random.choice([0.0, 0.05, 0.1]))
        await anyio.sleep(0.02)


async def _misbehave(world: World, number: int) -> None:
    gateway = world.gateways[number]
    strangers = itertools.count(STRANGERS)
    while not world.over:
        match world.random.randrange(9):
            case 0 | 1 | 2:
                gateway.fail(world.random.choice(FAULTS), times=world.random.randrange(1, 3))
            case 3:
                gateway.fail(world.random.choice(HANGS), times=1)
            case 4:
                gateway.fail(Fault.REFUSE, seconds=0.03)
            case 5:
                gateway.reboot()
                await anyio.sleep(0.25)
            case 6:
                await gateway.stop()
                await anyio.sleep(world.random.choice([0.0, 0.05]))
                await gateway.start()
            case 7:
                began = anyio.current_time()
                gateway.start_synchronizing(seconds=0.04)
                await anyio.sleep(0.05)
                world.synchronizing.setdefault(number, []).append((began, anyio.current_time()))
            case _:
                for _ in range(20):
                    gateway.appear(SimulatedLocker(next(strangers)))
                    gateway.lockers.pop(next(iter(set(gateway.lockers) - set(range(STRANGERS)))), None)
        await anyio.sleep(world.random.choice([0.05, 0.1, 0.2]))


async def _run(world: World) -> None:
    async with anyio.create_task_group() as group:
        for number in range(CALLERS - 1):
            group.start_soon(_caller, world, number)
        for number in range(GATEWAYS):
            group.start_soon(_misbehave, world, number)
        for source in (world.fleet, world.fleet, world.clients[0]):
            group.start_soon(_watcher, world, source)
        group.start_soon(_fleet_changer, world)
        group.start_soon(_closer, world, CALLERS - 1)
    for gateway in world.gateways:
        gateway.clear_faults()
    with anyio.move_on_after(1.0):  # what was abandoned is still carried out, and the next call must not meet it
        while any(record.started and not record.ended for gateway in world.gateways for record in gateway.requests):  # noqa: ASYNC110
            await anyio.sleep(0.02)


def _abandoned(record: RequestRecord) -> bool:
    """Whether the caller could not wait for its end: it hung up, or there was no answer, as of a gateway that went."""
    dropped = record.code is None and not record.acted
    return record.client_gone or record.ended is None or record.fault is not None or dropped


def _meets(record: RequestRecord, other: RequestRecord) -> bool:
    """Whether a request came while another one was worked on."""
    ends = float("inf") if other.ended is None else other.ended
    return other is not record and other.started is not None and other.started <= record.arrived <= ends


def _check_gateway(world: World, number: int) -> None:
    records = world.gateways[number].requests
    abandoned = [record for record in records if _abandoned(record)]
    synchronizing = world.synchronizing.get(number, [])
    for record in records:
        excused = any(_meets(record, other) for other in abandoned)
        met = [other for other in records if _meets(record, other)]
        assert excused or not record.overlapped, f"two at once: {record} met {met}"
        by_itself = any(begin <= record.arrived <= end + 0.1 for begin, end in synchronizing)
        assert not record.busy or excused or by_itself or record.fault is Fault.BUSY, (
            f"busy from our own side: {record}"
        )
        assert record.code != 33, f"a timestamp or a hash was refused: {record}"
    stamps = [record.timestamp for record in records if record.timestamp is not None]
    for before, after in itertools.pairwise(stamps):
        assert before < after, "timestamps do not increase"


def _check_commands(world: World) -> None:
    """Every command was carried out as often as its caller was told.

    What was sent just before its caller left is seen by the gateway a little later, perhaps after the next command.
    """
    acted = [
        record for gateway in world.gateways for record in gateway.requests if record.acted and record.endpoint in MOVES
    ]
    for identifier, commands in world.commands.items():
        done = {command.timestamp for command in commands if command.timestamp is not None}
        own = [record for record in acted if record.identifier == identifier]
        assert done <= {record.timestamp for record in own}, (
            "a command was not carried out though its caller was told so"
        )
        open_ = [command for command in commands if command.timestamp is None and command.may_have_executed]
        for record in sorted((each for each in own if each.timestamp not in done), key=lambda each: each.arrived):
            whose = [each for each in open_ if each.began <= record.arrived <= each.ended + LATE]
            assert whose, f"{record} was carried out, and its caller told that it was not: {commands}"
            open_.remove(whose[0])


def _tasks() -> int:
    if isinstance(_running_loop(), asyncio.AbstractEventLoop):
        return len(asyncio.all_tasks())
    return trio.lowlevel.current_statistics().tasks_living


def _running_loop() -> Any:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _sockets() -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    count = 0
    for path in folder.iterdir():
        with suppress(OSError):
            count += str(path.readlink()).startswith("socket:")
    return count


@pytest.fixture(params=[None, "file", "redis"])
def coordinator(request: pytest.FixtureRequest, tmp_path: Path) -> Coordinator | None:
    if request.param is None:
        return None
    if request.param == "file":
        return FileCoordinator(tmp_path)
    return RedisCoordinator(request.getfixturevalue("shared_redis").url, prefix=str(tmp_path))


async def test_the_promises_hold_whatever_happens(
    coordinator: Coordinator | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Gateways that are asked again soon are asked more often.
    monkeypatch.setattr("thekeys_async.turns.pacing.FIRST_BACKOFF", 0.005)
    monkeypatch.setattr("thekeys_async.turns.pacing.LONGEST_BACKOFF", 0.05)
    gc.collect()
    tasks, sockets = _tasks(), _sockets()
    async with _world(SEED, coordinator) as world:
        await _run(world)
    for number in range(GATEWAYS):
        _check_gateway(world, number)
    _check_commands(world)
    sent = sum(len(gateway.requests) for gateway in world.gateways)
    sys.stdout.write(f"\nseed {SEED}: {sent} requests, {dict(world.told)}\n")
    assert world.told["done"] > 0
    with anyio.fail_after(5):
        while _tasks() > tasks or _sockets() > sockets:  # noqa: ASYNC110 - no event tells it
            await anyio.sleep(0.02)
