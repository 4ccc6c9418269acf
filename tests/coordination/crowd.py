"""Many processes at one simulated gateway, which is a process too: a script, for the tests and the benchmark.

    python crowd.py file /some/folder --processes 16 --tasks 4 --seconds 5 --kill-every 1

It prints one line of JSON: what the callers met, and what the gateway saw. Each process has a locker of its own, so
that the gateway's records say who sent what.
"""

import argparse
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import anyio

from thekeys_async import AsyncGateway, Pacing, TheKeysError, Timestamps
from thekeys_async.coordination import FileCoordinator, RedisCoordinator
from thekeys_async.simulator import RequestRecord, SimulatedGateway, SimulatedLocker

CODE = "a code that is long enough"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["file", "redis"])
    parser.add_argument("where")
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--kill-every", type=float, default=math.inf)
    parser.add_argument("--lease", type=float, default=1.0)
    parser.add_argument("--backend", default="asyncio")
    options = parser.parse_args()
    if options.kind == "redis":
        # Once for all, before there are many processes.
        import thekeys_async.coordination.redis_client  # noqa: F401, PLC0415
    with _simulated(options) as (address, records):
        results = _crowd(options, address)
        print(json.dumps(_sum(results, records())))  # noqa: T201 - a script


@contextmanager
def _simulated(options: argparse.Namespace) -> Iterator[tuple[str, object]]:
    """Run the gateway in a child; it says where it is, and at the end what it saw."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        anyio.run(_serve, writing, options, backend=options.backend)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:

        def records() -> list[dict]:
            os.kill(child, signal.SIGTERM)
            return [json.loads(line) for line in pipe]

        yield pipe.readline().strip(), records
    os.waitpid(child, 0)


async def _serve(pipe: int, options: argparse.Namespace) -> None:
    most = options.processes + int(options.seconds / options.kill_every) + 1
    lockers = [SimulatedLocker(number, share_code=CODE) for number in range(most)]
    async with SimulatedGateway(lockers, bluetooth=0.02, light=0.005) as gateway:
        os.write(pipe, f"{gateway.address}\n".encode())
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            await anext(aiter(signals))
        await anyio.sleep(0.1)
        with os.fdopen(pipe, "w") as out:
            out.writelines(json.dumps(_row(record)) + "\n" for record in gateway.requests)


def _row(record: RequestRecord) -> dict:
    return {
        name: getattr(record, name)
        for name in (
            "number",
            "endpoint",
            "identifier",
            "timestamp",
            "arrived",
            "started",
            "ended",
            "overlapped",
            "busy",
            "code",
        )
    }


def _crowd(options: argparse.Namespace, address: str) -> dict:
    """Fork the callers, kill one now and then and start another in its place."""
    reading, writing = os.pipe()
    until = time.monotonic() + options.seconds
    children: dict[int, int] = {}
    killed: list[int] = []

    def start(number: int) -> None:
        child = os.fork()
        if not child:
            os.close(reading)
            random.seed(number)
            anyio.run(_call, options, address, number, until, writing, backend=options.backend)
            os._exit(0)
        children[child] = number

    for number in range(options.processes):
        start(number)
    next_kill = time.monotonic() + min(options.kill_every, 1e9)
    while next_kill < until - 0.2:
        time.sleep(max(0.0, next_kill - time.monotonic()))
        next_kill += options.kill_every
        victim = random.choice(list(children))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        killed.append(children.pop(victim))
        start(options.processes + len(killed) - 1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = [json.loads(line) for line in pipe]
    for child in children:
        os.waitpid(child, 0)
    return {"killed": killed, "lines": lines}


async def _call(options: argparse.Namespace, address: str, number: int, until: float, pipe: int) -> None:
    coordinator = FileCoordinator(options.where)
    if options.kind == "redis":
        coordinator = RedisCoordinator(options.where, lease=options.lease)
    took: tuple[list[float], list[float]] = ([], [])
    errors: Counter[str] = Counter()
    async with (
        coordinator,
        AsyncGateway(
            address,
            key="crowd",
            share_codes={number: CODE},
            pacing=Pacing(0, 0),
            timestamps=Timestamps(max_lead=math.inf),
            coordinator=coordinator,
            timeout=60.0,
        ) as gateway,
        anyio.create_task_group() as group,
    ):
        for task in range(options.tasks):
            group.start_soon(_loop, gateway.locker(number), task, until, took, errors)
    # Lines of all processes come through one pipe, which keeps only short ones whole.
    lines = [{"errors": errors}]
    for name, seconds in zip(("commands", "reads"), took, strict=True):
        lines += [{name: seconds[begin : begin + 200]} for begin in range(0, len(seconds), 200)]
    for line in lines:
        os.write(pipe, f"{json.dumps(line)[:4000]}\n".encode())


async def _loop(
    door: object, task: int, until: float, took: tuple[list[float], list[float]], errors: Counter[str]
) -> None:
    last = False
    while not last:  # once at least, however long it took to start
        last = time.monotonic() >= until
        started = time.perf_counter()
        try:
            await (door.status() if task % 2 else door.open())
            took[task % 2].append(round(time.perf_counter() - started, 4))
        except TheKeysError as error:
            errors[f"{type(error).__name__}: {error}"] += 1


def _sum(results: dict, records: list[dict]) -> dict:
    """What the tests want to know."""
    commands = sorted(seconds for line in results["lines"] for seconds in line.get("commands", []))
    reads = sorted(seconds for line in results["lines"] for seconds in line.get("reads", []))
    errors = sum((Counter(line.get("errors", {})) for line in results["lines"]), Counter())
    accepted = [record["timestamp"] for record in records if record["code"] == 0]
    stamps = [record["timestamp"] for record in records if record["timestamp"] is not None]
    seconds = records[-1]["ended"] - records[0]["arrived"] if records else 0.0
    return {
        "calls": len(commands) + len(reads),
        "errors": errors,
        "killed": results["killed"],
        "requests": len(records),
        "busy": sum(record["busy"] for record in records),
        "refused": sum(record["code"] not in {0, 48, 49, 50, 500, None} for record in records),
        "unexplained": _unexplained(records, set(results["killed"])),
        "increasing": all(a < b for a, b in pairwise(stamps)),
        "accepted": len(accepted),
        "work_share": round(
            sum(record["ended"] - record["started"] for record in records if record["started"]) / seconds, 3
        )
        if seconds
        else 0.0,
        "per_second": round(len(records) / seconds, 1) if seconds else 0.0,
        "commands": _spread(commands),
        "reads": _spread(reads),
        "widest_gap": round(max((b["arrived"] - a["arrived"] for a, b in pairwise(records)), default=0), 3),
    }


def _spread(took: list[float]) -> list[float]:
    """The median, the 99th percentile and the slowest, in seconds."""
    return [took[len(took) // 2], took[len(took) * 99 // 100], took[-1]] if took else []


def _unexplained(records: list[dict], killed: set[int]) -> list[dict]:
    """The overlapping or busy requests that did not meet a killed process's last one."""
    last = {record["identifier"]: record["number"] for record in records}
    excused = [
        record
        for record in records
        if record["identifier"] in killed and last[record["identifier"]] == record["number"]
    ]

    def is_excused(record: dict) -> bool:
        return any(
            other["started"] is not None and other["started"] <= record["arrived"] <= other["ended"]
            for other in excused
        )

    return [record for record in records if (record["overlapped"] or record["busy"]) and not is_excused(record)]


if __name__ == "__main__":
    sys.exit(main())
