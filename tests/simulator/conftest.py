"""What the tests of the simulated gateway share: a locker, and a client that is not ours."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

import anyio
import httpx
import pytest

from tests.sample import CODE, LOCKER
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker


@pytest.fixture
def locker() -> SimulatedLocker:
    return SimulatedLocker(LOCKER, share_code=CODE)


@pytest.fixture
def make(locker) -> Callable[..., SimulatedGateway]:
    """Build a gateway with one locker and no delays, but for what is given."""

    def build(**settings):
        fast = {"light": 0.0, "bluetooth": 0.0, "synchronization": 0.0, "restart": 0.05}
        return SimulatedGateway([locker], **{**fast, **settings})

    return build


@pytest.fixture
async def sim(anyio_backend, make) -> AsyncIterator[SimulatedGateway]:
    async with make() as gateway:
        yield gateway


@pytest.fixture
def sign() -> Callable[..., dict[str, str]]:
    """Make the form of a signed request, with a newer timestamp each time unless one is given."""
    numbers: Iterator[int] = count(1_700_000_000)

    def form(timestamp=None, *, code=CODE, identifier=LOCKER):
        text = str(next(numbers) if timestamp is None else timestamp)
        digest = hmac.new(code.encode(), text.encode(), hashlib.sha256).digest()
        return {"identifier": str(identifier), "ts": text, "hash": base64.b64encode(digest).decode()}

    return form


@pytest.fixture
async def client(anyio_backend) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=5) as http:
        yield http


@pytest.fixture
def raw():
    """Send bytes on a connection of their own, and return everything that comes back."""

    async def exchange(port: int, data: bytes) -> bytes:
        received = b""
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(data)
            with anyio.fail_after(30):
                try:
                    while True:
                        received += await stream.receive()
                except anyio.EndOfStream:
                    return received

    return exchange
