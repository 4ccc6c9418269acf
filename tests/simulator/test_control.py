"""Control lines: what each makes happen, and that a bad one changes nothing."""

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.sample import LOCKER
from thekeys_async.protocol.endpoints import ENDPOINTS
from thekeys_async.simulator import Fault, SimulatedGateway, SimulatedLocker
from thekeys_async.simulator.control import obey

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def done(sim, line):
    answer = await obey(sim, line)
    assert answer.done, answer.text
    return answer.text


async def refused(sim, line):
    answer = await obey(sim, line)
    assert not answer.done
    assert answer.text.endswith(".")
    assert "\n" not in answer.text
    return answer.text


async def state_of(client, sim, sign):
    return (await client.post(sim.url + "/locker_status", data=sign())).json()["status"]


@pytest.mark.parametrize("turn", ["open", "CLOSE"])
async def test_a_hand_turns_a_bolt(client, sim, locker, sign, turn):
    await done(sim, f"turn {LOCKER} {turn}")
    assert await state_of(client, sim, sign) == {"open": "Door open", "CLOSE": "Door closed"}[turn]
    assert (locker.last_log, locker.events[0].by) == (101, "hand")


async def test_a_jammed_bolt_is_jammed_until_it_is_free(client, sim, locker, sign):
    await done(sim, f"jam {LOCKER}")
    assert await state_of(client, sim, sign) == "Door jammed"
    assert locker.last_log == 101
    await client.post(sim.url + "/open", data=sign())
    assert await state_of(client, sim, sign) == "Door jammed"
    await done(sim, f"free {LOCKER}")
    await client.post(sim.url + "/open", data=sign())
    assert await state_of(client, sim, sign) == "Door open"


@pytest.mark.parametrize("line", ["lose-reply", "lose-reply open"])
async def test_a_reply_is_lost(client, sim, locker, sign, line):
    await done(sim, line)
    with pytest.raises(httpx.TransportError):
        await client.post(sim.url + "/open", data=sign())
    assert locker.state == "open"
    assert (await client.get(sim.url + "/lockers")).status_code == 200


async def test_a_reply_of_another_request_is_not_lost(client, sim):
    await done(sim, "lose-reply open")
    assert (await client.get(sim.url + "/lockers")).status_code == 200


async def test_it_is_busy_until_it_is_idle(client, sim):
    for line in ("busy", "busy 60"):
        await done(sim, line)
        assert (await client.get(sim.url + "/lockers")).json()["code"] == 500
        assert (await client.get(sim.url + "/status")).json()["current_status"] == "Synchronizing gw"
        await done(sim, "idle")
        assert (await client.get(sim.url + "/lockers")).json()["status"] == "ok"


async def test_it_is_busy_for_a_while(client, sim):
    await done(sim, "busy 0.01")
    await sim.wait_until(lambda: sim.phase == "Scanning...")


async def test_it_loses_power_and_comes_back(client, sim):
    for _ in range(2):
        for _ in range(2):
            await done(sim, "power off")
        with pytest.raises(httpx.ConnectError):
            await client.get(sim.url + "/status")
        for _ in range(2):
            await done(sim, "power on")
        assert (await client.get(sim.url + "/status")).status_code == 200


async def test_battery_and_rssi_are_what_they_were_set_to(client, sim):
    await done(sim, f"battery {LOCKER} 6200")
    await done(sim, f"rssi {LOCKER} -80")
    for _ in range(5):
        (row,) = (await client.get(sim.url + "/lockers")).json()["devices"]
        assert (row["battery"], row["rssi"]) == (6200, -80)


async def test_firmware(client, sim, locker):
    await done(sim, "firmware 18")
    await done(sim, f"firmware {LOCKER} 90")
    assert (await client.get(sim.url + "/status")).json()["version"] == 18
    assert (locker.version, locker.state) == (90, "unknown")


async def test_a_locker_vanishes_and_appears(client, sim):
    await done(sim, f"vanish {LOCKER}")
    assert (await client.get(sim.url + "/lockers")).json()["devices"] == []
    await done(sim, f"appear {LOCKER}")
    assert len((await client.get(sim.url + "/lockers")).json()["devices"]) == 1


@pytest.mark.parametrize("fault", Fault)
async def test_every_fault_has_a_line(sim, client, fault):
    await done(sim, f"fail {fault.value.replace(' ', '-').lower()} synchronize")
    assert fault is Fault.REFUSE or sim._incidents.draw("synchronize").fault is fault


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
async def test_every_request_can_be_named(sim, endpoint):
    await done(sim, f"error 34 {endpoint.name}")


async def test_an_error_comes_once_and_only_where_it_was_meant(client, sim, sign):
    await done(sim, "error 36 open")
    assert (await client.get(sim.url + "/lockers")).json()["status"] == "ok"
    codes = [(await client.post(sim.url + "/open", data=sign())).json()["code"] for _ in range(2)]
    assert codes == [36, 0]


async def test_help_names_every_line_in_one(sim):
    text = await done(sim, "help")
    assert "\n" not in text
    for word in ("turn", "jam", "lose-reply", "busy", "power on|off", "battery", "rssi", "firmware", "clear"):
        assert word in text


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("dance", "help"),
        ("turn", "turn LOCKER open|close|calibrate"),
        (f"turn {LOCKER}", "turn LOCKER"),
        (f"turn {LOCKER} sideways", "calibrate, close, open"),
        (f"turn {LOCKER} open now", "turn LOCKER"),
        ("turn 1 open", str(LOCKER)),
        ("turn \u0661 open", "turn LOCKER"),
        ("busy -1", "busy [SECONDS]"),
        ("busy nan", "busy [SECONDS]"),
        ("power", "power on|off"),
        ("power of", "off, on"),
        (f"battery {LOCKER} full", "battery LOCKER"),
        (f"battery {LOCKER} -5", "battery LOCKER"),
        (f"rssi {LOCKER} 80", "rssi LOCKER"),
        ("rssi 45961123 --80", "rssi LOCKER"),
        ("firmware", "firmware [LOCKER] VERSION"),
        ("firmware 1 2", "firmware [LOCKER] VERSION"),
        ("error 0", "error NUMBER"),
        ("error 36 door", "locker_status"),
        ("fail loudly", "half-reply"),
        ("help me", "help"),
        ("xyz" * 200, "help"),
        ("y" * 2000, "1000"),
    ],
)
async def test_a_bad_line_is_answered_with_one_sentence_and_changes_nothing(client, sim, locker, line, word):
    before = repr(locker), sim.version
    assert word in await refused(sim, line)
    assert (repr(locker), sim.version) == before
    assert (await client.get(sim.url + "/status")).status_code == 200


async def test_what_was_typed_is_not_repeated(sim):
    for line in ("\x1b]0;x\x07", "turn \x1b[31m open", "power \x1b[31m"):
        assert "\x1b" not in await refused(sim, line)


async def test_an_empty_line_is_no_line(sim):
    assert await obey(sim, " \r") is None


_LINES = "turn jam free lose-reply busy idle battery rssi firmware vanish appear fail error clear help"
_words = st.sampled_from([*_LINES.split(), "open", str(LOCKER), "1", "-80", "0.5", "drip", "nan", "\uff11"])


@given(st.one_of(st.text(max_size=50), st.lists(_words, max_size=5).map(" ".join)))
def test_no_line_breaks_anything(line):
    import anyio  # noqa: PLC0415 - hypothesis runs no coroutines

    async def run():
        async with SimulatedGateway([SimulatedLocker(LOCKER, share_code="x")], light=0, bluetooth=0) as sim:
            answer = await obey(sim, line)
            assert answer is None or answer.text.endswith(".")

    anyio.run(run)
