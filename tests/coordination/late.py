"""A caller that stops itself, as if it had been sent SIGSTOP, right before or right after its last look at the turn.

    python late.py redis redis://... 127.0.0.1:8080 before open

It prints one line: the number of attempts, or the name of the error. Whoever started it continues it.
"""

import json
import os
import signal
import sys

import anyio

from thekeys_async import AsyncGateway, Pacing, TheKeysError
from thekeys_async.coordination import FileCoordinator, RedisCoordinator
from thekeys_async.protocol.requests import Request
from thekeys_async.turns.shared import SharedGateway
from thekeys_async.turns.timestamps import Stamp

LEASE = 0.6


def _stop_before_the_look() -> None:
    look = SharedGateway.stamp

    def stamp(shared: SharedGateway, *, signed: bool) -> Stamp | None:
        _stop_once()
        return look(shared, signed=signed)

    SharedGateway.stamp = stamp


def _stop_after_the_look() -> None:
    sign = Request.sign

    def stopped(question: Request, timestamp: int | None) -> object:
        request = sign(question, timestamp)
        _stop_once()
        return request

    Request.sign = stopped


def _stop_once() -> None:
    if not _stopped:
        _stopped.append(True)
        os.kill(os.getpid(), signal.SIGSTOP)


_stopped: list[bool] = []


async def main(kind: str, where: str, address: str, moment: str, method: str) -> None:
    coordinator = FileCoordinator(where) if kind == "file" else RedisCoordinator(where, lease=LEASE)
    {"before": _stop_before_the_look, "after": _stop_after_the_look}[moment]()
    async with (
        coordinator,
        AsyncGateway(address, share_codes={1: "code"}, pacing=Pacing(0, 0), coordinator=coordinator) as gateway,
    ):
        target = gateway.locker(1) if method in {"open", "close"} else gateway
        try:
            result = await getattr(target, method)(timeout=30.0)
            print(json.dumps(getattr(result, "attempts", 1)))  # noqa: T201 - a script
        except TheKeysError as error:
            print(json.dumps(type(error).__name__))  # noqa: T201 - a script


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
