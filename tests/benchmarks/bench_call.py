"""What one `lockers()` costs in CPU beside a bare httpx transport, and how well a burst of callers uses a gateway.

Ratios are taken in one run, because machines are noisy: the two take turns, and the medians are compared.
"""

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import anyio
import httpx
from responder import responder
from simulated import CODE, simulated

from thekeys_async import AsyncGateway, Pacing, Timestamps
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

_ROUNDS = 7
_CALLERS = 50
_LIGHT, _BLUETOOTH = 0.005, 0.05
_Ask = Callable[[], Awaitable[object]]


async def _cpu_of(asks: list[_Ask], repeats: int) -> float:
    """CPU seconds of one call, all gateways being asked at once, several times."""
    gc.collect()
    begun = time.process_time()
    for _ in range(repeats):
        async with anyio.create_task_group() as group:
            for ask in asks:
                group.start_soon(ask)
    return (time.process_time() - begun) / (repeats * len(asks))


def _bare(transport: httpx.AsyncHTTPTransport, address: str) -> _Ask:
    async def ask() -> object:
        response = await transport.handle_async_request(httpx.Request("GET", f"http://{address}/lockers"))
        body = await response.aread()
        await response.aclose()
        return json.loads(body)

    return ask


async def _compare(address: str, count: int, calls: int) -> tuple[float, float]:
    gateways = [AsyncGateway(address, key=f"{count}-{n}", pacing=Pacing(0, 0)) for n in range(count)]
    transports = [httpx.AsyncHTTPTransport(trust_env=False, verify=False) for _ in range(count)]
    ours = [gateway.lockers for gateway in gateways]
    theirs = [_bare(transport, address) for transport in transports]
    repeats = max(1, calls // count)
    try:
        await _cpu_of(ours, 1)
        await _cpu_of(theirs, 1)
        results = [(await _cpu_of(ours, repeats), await _cpu_of(theirs, repeats)) for _ in range(_ROUNDS)]
    finally:
        for thing in (*gateways, *transports):
            await thing.aclose()
    return statistics.median(a for a, _ in results), statistics.median(b for _, b in results)


async def _saturate_near(seconds: float) -> float:
    async with SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=_LIGHT, bluetooth=_BLUETOOTH) as sim:
        await _saturate(sim.address, seconds)
        return sim.work_share()


async def _saturate(address: str, seconds: float) -> None:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small edition, to see that it works")
    quick = parser.parse_args().quick
    write = sys.stdout.write
    write("| gateways | thekeys-async, ms of CPU a call | bare httpx transport | ratio | against 1 gateway |\n")
    write("|---|---|---|---|---|\n")
    first = 0.0
    with responder() as address:
        for count in (1, 10) if quick else (1, 100, 1000):
            ours, theirs = anyio.run(_compare, address, count, 200 if quick else 2000)
            first = first or ours
            write(f"| {count} | {ours * 1e3:.3f} | {theirs * 1e3:.3f} | {ours / theirs:.2f} | {ours / first:.2f} |\n")
    write("\n50 callers: the share of the time in which the gateway is at work, by its own record\n\n")
    write("| event loop | gateway in the same process | gateway in a process of its own |\n|---|---|---|\n")
    seconds = 1.0 if quick else 8.0
    for backend in ("asyncio", "trio"):
        near = anyio.run(_saturate_near, seconds, backend=backend)
        with simulated(light=_LIGHT, bluetooth=_BLUETOOTH) as sim:
            anyio.run(_saturate, sim.address, seconds, backend=backend)
            far, _, overlaps = sim.end()
        write(f"| {backend} | {near:.1%} | {far:.1%} ({overlaps} overlaps) |\n")


if __name__ == "__main__":
    main()
