"""A program that leads, for the tests: it says each act with the time of all processes of the machine.

    python leading.py redis redis://... NAME LEASE

It prints "leads", then a line for each act, and "lost" when it has noticed that. SIGTERM ends its block.
"""

import signal
import sys

import anyio

from thekeys_async._clocks import boot_time
from thekeys_async.coordination import FileCoordinator, RedisCoordinator


async def main(kind: str, where: str, name: str, seconds: str) -> None:
    async with (
        FileCoordinator(where) if kind == "file" else RedisCoordinator(where) as coordinator,
        coordinator.lead(name, lease=float(seconds)) as lease,
        anyio.create_task_group() as group,
    ):
        group.start_soon(_end_on_sigterm, group.cancel_scope)
        print("leads", flush=True)  # noqa: T201 - a script
        while not lease.lost:
            print(boot_time(), flush=True)  # noqa: T201 - a script
            await anyio.sleep(0.005)
        print("lost", flush=True)  # noqa: T201 - a script
        await lease.wait_lost()
        group.cancel_scope.cancel()
    print("ended", flush=True)  # noqa: T201 - a script


async def _end_on_sigterm(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        await anext(aiter(signals))
    scope.cancel()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
