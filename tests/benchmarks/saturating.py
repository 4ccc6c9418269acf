"""How well 50 callers use one simulated gateway: the share of the time in which it is at work, by its own record."""

import math
from typing import Any

import anyio
import attrs
import fresh
from figures import Saturated
from simulated import CODE, simulated

from thekeys_async import AsyncGateway, Pacing, Timestamps
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

_BACKENDS = ("asyncio", "trio")
_CALLERS = 50
_TIMES = {"light": 0.005, "bluetooth": 0.05}


def saturate(seconds: float) -> dict[str, Saturated]:
    """Let them call for so long, on each event loop in a process of its own."""
    return {backend: Saturated(**fresh.run("saturating:measure", backend, seconds)) for backend in _BACKENDS}


def measure(backend: str, seconds: float) -> dict[str, Any]:
    """Let them call from this process."""
    near = anyio.run(_near, seconds, backend=backend)
    with simulated(**_TIMES) as sim:
        anyio.run(_call, sim.address, seconds, backend=backend)
        far, _, overlaps = sim.end()
    return attrs.asdict(Saturated(near, far, overlaps))


async def _near(seconds: float) -> float:
    async with SimulatedGateway([SimulatedLocker(1, share_code=CODE)], **_TIMES) as sim:
        await _call(sim.address, seconds)
        return sim.work_share()


async def _call(address: str, seconds: float) -> None:
    options = {"share_codes": {1: CODE}, "pacing": Pacing(0, 0), "timestamps": Timestamps(max_lead=math.inf)}
    async with AsyncGateway(address, timeout=None, **options) as gateway:
        door = gateway.locker(1)
        ends = anyio.current_time() + seconds

        async def caller(n: int) -> None:
            while anyio.current_time() < ends:
                await [door.open, door.close, door.status, gateway.lockers][n % 4]()

        async with anyio.create_task_group() as group:
            for n in range(_CALLERS):
                group.start_soon(caller, n)
