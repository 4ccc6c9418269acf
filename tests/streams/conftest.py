"""Virtual time on both event loops, and a gateway that lives in the test's own process and time."""

import itertools
import json
from collections.abc import Callable

import anyio
import attrs
import httpx
import pytest

from tests.virtual_time import VirtualTime
from thekeys_async import AsyncGateway, Pacing


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple:
    """Here, time is virtual: hours pass in no time."""
    return VirtualTime.of(request.param, sockets=False).backend


_numbers = itertools.count()


def _is_busy(mode: str, path: str) -> bool:
    """Whether it says so: it tells its status all the same."""
    return path == "/locker_status" if mode == "busy with doors" else path != "/status"


@attrs.define(eq=False)
class Canned:
    """A gateway that answers at once, as a test wants it to; it notes when it was asked for what."""

    host: str = attrs.field(factory=lambda: f"gateway-{next(_numbers)}.test")
    lockers: dict[int, dict] = attrs.field(factory=dict)
    door: str = "Door closed"
    mode: str = "ok"
    firmware: int = 65
    phase: str = "Scanning..."
    latency: float = 0.0
    requests: list[tuple[float, str]] = attrs.field(factory=list)

    def see(self, identifier: int, *, rssi: int = -70, battery: int = 7000, last_log: int | None = 100) -> None:
        device = {"identifier": identifier, "rssi": rssi, "battery": battery}
        self.lockers[identifier] = device if last_log is None else device | {"last_log": last_log}

    def times(self, path: str = "/lockers") -> list[float]:
        return [round(at, 3) for at, asked in self.requests if asked == path]

    def client(self, **options: object) -> AsyncGateway:
        transport = httpx.MockTransport(self._handle)
        return AsyncGateway(self.host, **({"name": "hall", "transport": transport, "pacing": Pacing(0, 0)} | options))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((anyio.current_time(), request.url.path))
        if self.latency:
            await anyio.sleep(self.latency)
        match self.mode:
            case "gone":
                raise httpx.ConnectError("refused")
            case "mute":
                await anyio.sleep_forever()
            case "busy" | "busy with doors" if _is_busy(self.mode, request.url.path):
                return httpx.Response(200, json={"status": "500", "message": "busy"})
            case "nonsense":
                return httpx.Response(200, text="<html>")
            case "wrong code" if request.url.path == "/locker_status":
                return httpx.Response(200, json={"status": "ko", "code": 33})
        return httpx.Response(200, text=json.dumps(self._answer(request.url.path)))

    def _answer(self, path: str) -> dict:
        if path == "/lockers":
            return {"status": "ok", "devices": list(self.lockers.values())}
        if path == "/locker_status":
            return {"status": self.door, "code": {"Door closed": 49, "Door open": 50}[self.door]}
        if path == "/status":
            return {"version": self.firmware, "current_status": self.phase}
        return {"status": "ok", "code": 0}


@pytest.fixture
def canned() -> Callable[..., Canned]:
    return Canned
