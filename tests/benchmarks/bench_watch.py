"""1000 gateways watched from one process: how late are the polls, and what does a gateway cost?

The gateways are canned answers on loopback, served by a process of their own, so that only the watching is measured.
"""

import argparse
import gc
import multiprocessing
import resource
import statistics
import sys
import time
from pathlib import Path

import anyio
from responder import responder

from thekeys_async import AsyncGateway, Fleet, LockerReading

_Poll = tuple[float, float]


class _Timed(AsyncGateway):
    """Notes when each poll began and ended."""

    def __init__(self, host: str, *, key: str) -> None:
        super().__init__(host, key=key)
        self.polls: list[_Poll] = []

    async def scan(self, timeout: float | None, *, insist: bool = True) -> tuple[LockerReading, ...]:
        began = anyio.current_time()
        readings = await super().scan(timeout, insist=insist)
        self.polls.append((began, anyio.current_time()))
        return readings


def _lateness(polls: list[_Poll], interval: float) -> list[float]:
    """Seconds by which each poll began later than the rhythm that the most punctual one of them sets."""
    offsets = [began - number * interval for number, (began, _) in enumerate(polls)]
    return [offset - min(offsets) for offset in offsets]


def _kibibytes() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() / 1024


def _quantiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms, most {max(seconds) * 1000:.1f} ms"


async def _measure(address: str, count: int, interval: float, rounds: int) -> None:
    gc.collect()
    memory = _kibibytes()
    gateways = {f"g{i}": _Timed(address, key=f"gateway {i}") for i in range(count)}
    updates_taken = 0
    async with Fleet(gateways) as fleet, fleet.watch(interval, every_poll=True) as updates:
        with anyio.move_on_after(interval * 1.5):
            async for _ in updates:
                pass
        for gateway in gateways.values():
            gateway.polls.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        with anyio.move_on_after(interval * rounds):
            async for _ in updates:
                updates_taken += 1
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        gc.collect()
        memory = _kibibytes() - memory
    polls = [gateway.polls for gateway in gateways.values()]
    total = sum(map(len, polls))
    sys.stdout.write(
        f"  {total} polls in {wall:.1f} s, {min(map(len, polls))} to {max(map(len, polls))} of each gateway; "
        f"{updates_taken} updates\n"
        f"  lateness: {_quantiles([late for each in polls for late in _lateness(each, interval)])}\n"
        f"  answered after: {_quantiles([ended - began for each in polls for began, ended in each])}\n"
        f"  CPU: {cpu / wall:.1%} of a core; {1000 * cpu / total:.2f} ms a poll\n"
        f"  memory: {memory / count:.1f} KiB a gateway\n"
    )
    sys.stdout.flush()


def _run(backend: str, *arguments: object) -> None:
    anyio.run(_measure, *arguments, backend=backend)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateways", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < options.gateways + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    spawn = multiprocessing.get_context("spawn")
    with responder() as address:
        for backend in ("asyncio", "trio"):
            sys.stdout.write(f"{backend}, {options.gateways} gateways, every {options.interval:g} s\n")
            sys.stdout.flush()
            arguments = (backend, address, options.gateways, options.interval, options.rounds)
            process = spawn.Process(target=_run, args=arguments)
            process.start()
            process.join()


if __name__ == "__main__":
    main()
