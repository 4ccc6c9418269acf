"""A simulated home, a cloud that knows it, and time that does not pass by itself."""

from contextlib import asynccontextmanager

import attrs
import pytest

from tests.sample import LOCKER
from thekeys_async.cloud import Clock, Cloud
from thekeys_async.simulator.cloud.cloud import SimulatedCloud
from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.locker import SimulatedLocker

PASSWORD = "Tr0ub4dor-and-three"


@attrs.define
class HandClock:
    """A clock that the test turns; sleeping turns it too."""

    now: float = 1_800_000_000.0
    slept: list[float] = attrs.field(factory=list)

    def read(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    @property
    def for_cloud(self):
        return Clock(self.read, self.sleep)


@attrs.define
class Home:
    """A gateway with two lockers, the vendor's cloud, and a clock that both the cloud and its client read."""

    gateway: SimulatedGateway
    server: SimulatedCloud
    clock: HandClock

    front = LOCKER
    back = 45961124
    password = PASSWORD

    def cloud(self, **options):
        options = {"base_url": self.server.url, "clock": self.clock.for_cloud, "timeout": 20.0} | options
        password = options.pop("password", PASSWORD)
        return Cloud(options.pop("username", self.server.settings.username), password, **options)

    def calls(self, name):
        return sum(request.call == name for request in self.server.requests)


async def the_pair(cloud):
    """The locker and the gateway that most tests share."""
    locker = (await cloud.lockers())[0]
    return locker, (await cloud.gateways())[0]


@pytest.fixture
def pair():
    return the_pair


@pytest.fixture
def open_home():
    @asynccontextmanager
    async def opened(**options):
        clock = HandClock()
        lockers = [SimulatedLocker(Home.front), SimulatedLocker(Home.back)]
        async with (
            SimulatedGateway(lockers, light=0, bluetooth=0, synchronization=0) as gateway,
            SimulatedCloud([gateway], password=PASSWORD, clock=clock.read, **options) as server,
        ):
            yield Home(gateway, server, clock)

    return opened


@pytest.fixture
async def home(anyio_backend, open_home):
    async with open_home() as home:
        yield home
