"""How long one open takes on an idle gateway, beside a bare socket's round trip to the same place."""

import math
import socket
import statistics
import time
from typing import Any

import anyio
import attrs
import fresh
from figures import Opened
from responder import Hosts
from simulated import CODE

from thekeys_async import AsyncGateway, Pacing, Timestamps

_BACKENDS = ("asyncio", "trio")
_LOCKER = 45961123
_FORM = b"identifier=45961123&ts=1763800000&hash=2Yb7Vq2m8kQ0Xn0m4sJ1d6Yk3l9a5c7e1f3g5h7i9j0%3D"
_WARM_UP = 20


def open_doors(hosts: Hosts, times: int) -> dict[str, Opened]:
    """Open a door so many times, on each event loop in a process of its own."""
    return {b: Opened(**fresh.run("opening:measure", b, attrs.asdict(hosts), times)) for b in _BACKENDS}


def measure(backend: str, hosts: dict[str, Any], times: int) -> dict[str, float]:
    """Open it in this process, and let a bare socket take turns with it."""
    return attrs.asdict(anyio.run(_measure, Hosts(**hosts).address(0), times, backend=backend))


async def _measure(address: str, times: int) -> Opened:
    ours: list[float] = []
    bare: list[float] = []
    options = {"pacing": Pacing(0, 0), "timestamps": Timestamps(max_lead=math.inf)}
    async with AsyncGateway(address, share_codes={_LOCKER: CODE}, **options) as gateway:
        door = gateway.locker(_LOCKER)
        for _ in range(_WARM_UP + times):
            begun = time.perf_counter()
            await door.open()
            ours.append(1e3 * (time.perf_counter() - begun))
            begun = time.perf_counter()
            _round_trip(address)
            bare.append(1e3 * (time.perf_counter() - begun))
    return Opened(statistics.median(ours[_WARM_UP:]), statistics.median(bare[_WARM_UP:]))


def _round_trip(address: str) -> None:
    """Send the same kind of request over a fresh connection, as a command does, and wait for the answer."""
    head = (
        f"POST /open HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(_FORM)}\r\n\r\n"
    )
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(head.encode() + _FORM)
        assert sock.recv(4096).endswith(b"}")
