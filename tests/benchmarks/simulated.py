"""A simulated gateway in a process of its own, which tells at its end how well it was used."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread

from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

CODE = "Zmo1sps2OVyCFtl1"


async def _serve(light: float, bluetooth: float) -> None:
    async with SimulatedGateway([SimulatedLocker(1, share_code=CODE)], light=light, bluetooth=bluetooth) as sim:
        sys.stdout.write(f"{sim.address}\n")
        sys.stdout.flush()
        await anyio.to_thread.run_sync(sys.stdin.readline)
        sys.stdout.write(f"{sim.work_share()} {len(sim.requests)} {sim.overlaps}\n")


class Simulated:
    """The process.

    Attributes:
        address: Where the gateway listens.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def end(self) -> tuple[float, int, int]:
        """Stop it; returns the share of the time in which it was at work, its requests, and how many overlapped."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        share, requests, overlaps = self._line().split()
        return float(share), int(requests), int(overlaps)

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def simulated(light: float, bluetooth: float) -> Iterator[Simulated]:
    """Run one as long as the block lasts; it ends with us, whatever happens."""
    command = [sys.executable, __file__, str(light), str(bluetooth)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Simulated(process)


if __name__ == "__main__":
    anyio.run(_serve, *map(float, sys.argv[1:]))
