"""What a check says of a gateway with one thing wrong, in each style of replies; see tests/check/screens.

`UPDATE_SCREENS=1 pytest tests/check` writes them anew; read them before you commit them.
"""

import os
import statistics
from pathlib import Path

import attrs
import pytest

from tests.check.conftest import CASES, STYLES, check, drawn, faulty
from thekeys_async.cli.check.verdict import report
from thekeys_async.cli.errors import ExitCode

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.usefixtures("quick_backoff")]

SCREENS = Path(__file__).parent / "screens"

# How each ends, the check that its verdict names, and a piece of the next step.
EXPECTED = {
    "well": (ExitCode.DONE, "All is well.", ""),
    "dead": (ExitCode.UNREACHABLE, "connection", "power"),
    "another web server": (ExitCode.NOT_UNDERSTOOD, "gateway", "--host"),
    "slow": (ExitCode.WARNED, "latency", "Pacing"),
    "closes without saying so": (ExitCode.WARNED, "http", "Connection: close"),
    "wrong code": (ExitCode.REFUSED, "share 45961123", "thekeys shares list"),
    "not shared": (ExitCode.REFUSED, "share 45961123", "thekeys synchronize"),
    "clock ahead": (ExitCode.REFUSED, "clock", "Timestamps"),
    "busy with others": (ExitCode.WARNED, "others", "THEKEYS_REDIS_URL"),
    "weak signal": (ExitCode.WARNED, "locker 45961123", "nearer"),
    "low battery": (ExitCode.WARNED, "locker 45961123", "batteries"),
    "old firmware": (ExitCode.WARNED, "gateway", "thekeys update"),
    "hung synchronisation": (ExitCode.BUSY, "phase", "thekeys reboot"),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_and_the_next_step(name, style):
    code, about, next_step = EXPECTED[name]
    async with faulty(name, style) as address:
        seen, judged = await check(address, code=CASES[name].code, **CASES[name].check)
    assert judged.code is code, judged
    assert about in judged.verdict
    assert next_step in judged.do
    same_as_kept(f"{name.replace(' ', '-')}-{style}", drawn(report(steadied(seen)), address))


def steadied(seen):
    """Put times and the port of every run into what was seen, so that screens can be compared."""
    slow = statistics.median(seen.latencies or [0]) > seen.slow
    exchanges = tuple(
        attrs.evolve(each, connected_after=None if each.connected_after is None else 0.004) for each in seen.exchanges
    )
    if seen.synchronizing_for is not None:  # how often it was asked in vain depends on chance
        vain = [each for each in exchanges if each.busy]
        exchanges = (*(each for each in exchanges if not each.busy), *vain[:1])
    return attrs.evolve(
        seen,
        port=80,
        slow=1.0,
        latencies=tuple(2.1 if slow else 0.134 for _ in seen.latencies),
        exchanges=exchanges,
        reads=tuple(attrs.evolve(each, seconds=3.3) for each in seen.reads),
        light_rest=0.5,
        synchronizing_for=seen.synchronizing_for and 23.0,
    )


def same_as_kept(name, shown):
    """Compare a screen with the one that is kept."""
    shown = "".join(f"{line.rstrip()}\n" for line in shown.splitlines())
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
