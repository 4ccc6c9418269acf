"""What a turn costs that is shared with other processes, and how well many processes use one gateway.

The crowd is `tests/coordination/crowd.py`: each process has several tasks that open and read as fast as they can,
at a gateway in a process of its own whose Bluetooth takes 20 ms.
"""

import argparse
import json
import math
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from thekeys_async.coordination import Claim, Coordinator, FileCoordinator, Pause, RedisCoordinator, Wish

_CROWD = Path(__file__).parents[1] / "coordination" / "crowd.py"
_ROUNDS = 7
_LIMITS = {"file": (1.0, 3.0), "redis": (1.0, 5.0)}


async def _cost(coordinator: Coordinator, turns: int, *, signed: bool) -> tuple[float, float]:
    """CPU and wall seconds of one turn without contention, taken and given back: the quietest of several rounds."""
    wish = Wish(time.time, 0, math.inf) if signed else None

    async def turn() -> None:
        lease = await coordinator.acquire("bench", Claim(True, 0.0, anyio.current_time() + 30, wish=wish))
        if signed:
            lease.take_timestamp()
        lease.release(Pause())

    rounds: list[tuple[float, float]] = []
    async with coordinator:
        await turn()
        for _ in range(_ROUNDS):
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(turns):
                await turn()
            rounds.append(((time.process_time() - cpu) / turns, (time.perf_counter() - wall) / turns))
    return min(rounds)


@contextmanager
def _places() -> Iterator[dict[str, str]]:
    """A folder, and a redis-server where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"file": f"{folder}/state"}
        if shutil.which("redis-server") is None:
            sys.stderr.write("redis-server is not installed: files only\n")
            yield places
            return
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            time.sleep(1.0)
            yield places | {"redis": f"redis://127.0.0.1:{port}"}
            server.terminate()


def _coordinator(kind: str, where: str) -> Coordinator:
    return FileCoordinator(where) if kind == "file" else RedisCoordinator(where)


def _costs(places: dict[str, str], turns: int) -> bool:
    sys.stdout.write("| turn without contention | ms of CPU | ms | limit |\n|---|---|---|---|\n")
    kept = True
    for kind, where in places.items():
        for backend in ("asyncio", "trio"):
            for signed in (True, False):
                cpu, wall = (
                    1e3 * seconds
                    for seconds in anyio.run(
                        lambda s=signed, k=kind, w=where: _cost(_coordinator(k, w), turns, signed=s), backend=backend
                    )
                )
                most_cpu, most = _LIMITS[kind]
                kept = kept and cpu <= most_cpu and wall <= most
                what = f"{kind}, {backend}, {'with' if signed else 'without'} a timestamp"
                sys.stdout.write(f"| {what} | {cpu:.2f} | {wall:.2f} | {most_cpu:g} and {most:g} |\n")
    return kept


def _crowds(places: dict[str, str], seconds: float, processes: int) -> bool:
    sys.stdout.write(
        "\n| crowd | requests | at work | widest gap | commands: median, p99, slowest | reads | busy | unexplained |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    kept = True
    for kind, where in places.items():
        for kills in ([], ["--kill-every", "1"]):
            sizes = ["--processes", str(processes), "--tasks", "4", "--seconds", str(seconds)]
            command = [sys.executable, str(_CROWD), kind, where, *sizes, *kills]
            seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            kept = kept and not seen["errors"] and not seen["unexplained"] and seen["increasing"]
            what = f"{kind}, {processes} processes x 4 tasks{', one killed every second' if kills else ''}"
            spreads = [", ".join(f"{took:.2f}" for took in seen[name]) for name in ("commands", "reads")]
            figures = [seen["requests"], f"{seen['work_share']:.0%}", seen["widest_gap"], *spreads, seen["busy"]]
            sys.stdout.write(f"| {what} | {' | '.join(map(str, figures))} | {len(seen['unexplained'])} |\n")
            sys.stdout.flush()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small edition, to see that it works")
    quick = parser.parse_args().quick
    with _places() as places:
        cheap = _costs(places, 20 if quick else 200)
        right = _crowds(places, 2.0 if quick else 40.0, 4 if quick else 16)
    if not right or not (cheap or quick):
        sys.exit("a promise was broken" if not right else "a turn costs more than it may")


if __name__ == "__main__":
    main()
