"""Gateways with one thing wrong, and a check that takes no more time than they need."""

import io
import time
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import pytest
from rich.console import Console

from tests.sample import CODE, LOCKER
from thekeys_async import Pacing
from thekeys_async.cli.check.asking import CheckPlan, observe
from thekeys_async.cli.check.screen import Naming, table
from thekeys_async.cli.check.verdict import report
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.simulator import Fault, ReplyStyle, SimulatedGateway, SimulatedLocker
from thekeys_async.simulator.http.messages import HttpResponse
from thekeys_async.simulator.http.server import serve

_FAST = {"light": 0.0, "bluetooth": 0.0, "synchronization": 0.0}
_PAGE = b"<html><head><title>Router login</title></head><body>Please log in</body></html>"
SLOW = 0.03


@attrs.frozen
class Case:
    """One thing that is wrong with a gateway.

    Attributes:
        gateway: What is special about the gateway.
        locker: What is special about its locker.
        code: The share code that the check is given.
        begin: What happens before the check.
        check: What is special about the check.
    """

    gateway: dict = attrs.field(factory=dict)
    locker: dict = attrs.field(factory=dict)
    code: str = CODE
    begin: object = None
    check: dict = attrs.field(factory=dict)


async def _die(gateway):
    await gateway.stop()


async def _hang_synchronizing(gateway):
    gateway.start_synchronizing("gw")


async def _be_busy(gateway):
    gateway.fail(Fault.BUSY, on="lockers", times=4)


CASES = {
    "well": Case(),
    "dead": Case(begin=_die, check={"patience": 0.3}),
    "another web server": Case(),
    "slow": Case(gateway={"light": 2 * SLOW}, check={"slow": SLOW}),
    "closes without saying so": Case(gateway={"silent_close": 0.001}),
    "wrong code": Case(code="another code"),
    "not shared": Case(locker={"share_code": None}),
    "clock ahead": Case(gateway={"clock": lambda: time.time() - 30, "max_future": 0}),
    "busy with others": Case(begin=_be_busy),
    "weak signal": Case(locker={"rssi": -91}),
    "low battery": Case(locker={"battery_mv": 6433}),
    "old firmware": Case(gateway={"version": 16, "status_path": False}),
    "hung synchronisation": Case(begin=_hang_synchronizing, check={"patience": 1.0}),
}
ODD_ROW = {"identifier": str(LOCKER), "rssi": "-70", "battery": 7044, "last_log": None, "colour": 1}


async def _write_oddly(gateway):
    gateway.reply_next({"status": "ok", "devices": [ODD_ROW], "more": []}, on="lockers", times=99)


async def _refuse_the_key(gateway):
    gateway.error(36, on="locker_status", times=99)


async def _be_far_from_it(gateway):
    gateway.error(34, on="locker_status", times=99)


ODD_HABITS = {
    "odd fields": Case(begin=_write_oddly),
    "closes and says so": Case(gateway={"keep_alive": False}),
    "tells no last_log": Case(gateway={"last_log": False}),
    "takes three seconds ahead": Case(gateway={"max_future": 3.5}),
    "does not know the time": Case(gateway={"clock_set": False}),
    "a key that is refused": Case(begin=_refuse_the_key),
    "a locker that is not detected": Case(begin=_be_far_from_it),
}
STYLES = ("field", "terse", "page")


@asynccontextmanager
async def faulty(name, style):
    """Run the gateway of a case, and hand out its address."""
    if name == "another web server":

        async def answer(_request):
            return HttpResponse(_PAGE, 200, "text/html", headers=(("Server", "nginx"),))

        async with serve(answer) as (host, port):
            yield f"{host}:{port}"
        return
    case = (CASES | ODD_HABITS)[name]
    locker = SimulatedLocker(LOCKER, **{"share_code": CODE, "wander": 0} | case.locker)
    gateway = SimulatedGateway([locker], style=ReplyStyle(style), **_FAST | case.gateway)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gateway)
        if case.begin:
            await case.begin(gateway)
        yield gateway.address
        asked = {record.endpoint for record in gateway.requests}
        assert asked <= {"status", "root_status", "lockers", "locker_status", ""}, "a check only reads"
        assert len(gateway.requests) <= 40


def plan_for(address, *, code=CODE, locker=LOCKER, **settings):
    """Make the plan of a check that does not rest."""
    quick = {"pacing": Pacing(0, 0), "patience": 2.0, "linger": 0.03}
    return CheckPlan(address=Address.parse(address), codes={locker: ShareCode(code)}, **quick | settings)


async def check(address, **settings):
    """Check a gateway, and hand out what was seen and the report."""
    seen = await observe(plan_for(address, **settings))
    return seen, report(seen)


def drawn(judged, address, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    for part in table(judged, Naming(address), console):
        console.print(part, soft_wrap=False)
    return console.file.getvalue()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
