"""A recording of each faulty gateway, replayed, gives the same verdict; and it tells nobody whose gateway it was."""

import base64
import hashlib
import hmac
import re
import time

import attrs
import pytest

from tests.check.conftest import CASES, ODD_HABITS, STYLES, check, drawn, faulty
from tests.check.test_faulty_gateways import steadied
from tests.sample import CODE, LOCKER
from thekeys_async import Recorder, read_recording
from thekeys_async.cli.check.verdict import report
from thekeys_async.simulator import SimulatedGateway

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time, pytest.mark.usefixtures("quick_backoff")]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", [*CASES, *ODD_HABITS])
async def test_a_recording_replays_to_the_same_verdict(name, style, tmp_path):
    case = (CASES | ODD_HABITS)[name]
    with Recorder(tmp_path / "gateway.jsonl") as recorder:
        async with faulty(name, style) as address:
            first, judged = await check(address, code=case.code, recorder=recorder, **case.check)
    lines = (tmp_path / "gateway.jsonl").read_text().splitlines()
    number = next((each.identifier for each in read_recording(lines) if each.identifier), LOCKER)
    # When exactly a connection was closed is not known; on a busy machine it looks later than it was.
    patient = {"linger": 0.4, "patience": 5} if first.habit and first.habit.found_closed else {}
    async with SimulatedGateway.from_recording(lines) as replayed:
        again, verdict = await check(replayed.address, code=case.code, locker=number, **case.check | patient)
    assert (verdict.code, verdict.do) == (judged.code, judged.do)
    if first.lead and first.lead.refused:  # timestamps are whole seconds: that is how exact it can be
        assert again.lead
        assert abs(again.lead.accepted - first.lead.accepted) <= 1
        again = attrs.evolve(again, lead=first.lead)
    assert shown(again, number) == shown(first, LOCKER)


def shown(seen, locker):
    text = drawn(report(steadied(seen)), "gateway")
    # How many requests the search for the lead takes depends on where in a second it begins.
    return re.sub(r"among [0-9]+", "among all", text.replace(str(locker), "LOCKER"))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", ["well", "wrong code", "clock ahead", "another web server"])
async def test_nothing_in_a_recording_tells_whose_it_is(name, tmp_path):
    case = CASES[name]
    with Recorder(tmp_path / "gateway.jsonl") as recorder:
        async with faulty(name, "field") as address:
            seen, _ = await check(address, code=case.code, recorder=recorder, **case.check)
    text = (tmp_path / "gateway.jsonl").read_text()
    assert text.count("\n") == len(seen.exchanges) + 1
    for telltale in (address, address.rpartition(":")[2], "127.0.0.1", str(LOCKER), CODE, case.code):
        assert not re.search(rf"(?<![0-9A-Za-z.]){re.escape(telltale)}(?![0-9A-Za-z])", text), telltale
    assert not hashes(case.code) & set(re.findall(r"[A-Za-z0-9+/]{43}=?", text))


def hashes(code):
    """All hashes that such a check can have sent, an hour back included."""
    now = int(time.time())
    times = range(now - 3700, now + 30)
    signed = {hmac.new(code.encode(), str(each).encode(), hashlib.sha256).digest() for each in times}
    return {base64.b64encode(each).decode() for each in signed} | {
        base64.b64encode(each).decode().rstrip("=") for each in signed
    }
