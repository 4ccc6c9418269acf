"""The whole way: a message at a real broker, a bolt at a simulated gateway, and what is said of it."""

import json
import logging
import time

import anyio
import attrs
import pytest
from anyio import to_thread

from tests.sample import CODE, LOCKER
from thekeys_async import CommandPolicy, Pacing
from thekeys_async.bridge import clocks
from thekeys_async.bridge.errors import SupersededError
from thekeys_async.bridge.plan import make_plan
from thekeys_async.bridge.purging import Purge
from thekeys_async.coordination import FileCoordinator, LeaderLease
from thekeys_async.simulator import Fault

from .conftest import Listener
from .running import GARAGE, config, home, running, simulated, stamped

pytestmark = pytest.mark.anyio

SET = f"lock/{LOCKER}/set"
STATE = f"lock/{LOCKER}/state"
AVAILABILITY = f"lock/{LOCKER}/availability"


def _kept(listener: Listener, prefix: str) -> set[str]:
    """What the broker keeps, as far as anybody has heard."""
    values = listener.values.items()
    return {t for t, v in values if v and t.startswith(prefix) and not t.endswith(("/echo", "/event"))}


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds for good reasons takes a moment here."""
    monkeypatch.setattr("thekeys_async.bridge.application.PACING", Pacing(0, 0))
    monkeypatch.setattr("thekeys_async.bridge.application._BIRTH", (0.0, 0.05))
    monkeypatch.setattr("thekeys_async.bridge.prefix_claim.HOLD", 0.05)
    monkeypatch.setattr("thekeys_async.bridge.commands._LOOKS_AFTER", (0.05, 0.2, 0.2))
    monkeypatch.setattr("thekeys_async.bridge.heartbeat.HEARTBEAT", 0.1)
    monkeypatch.setattr("thekeys_async.bridge.application.HEARTBEAT", 0.1)


async def test_from_discovery_to_an_open_door(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        config = json.loads(bridge.listener.values[f"homeassistant/device/thekeys_{LOCKER}/config"])
        assert config["components"]["lock"]["command_topic"] == f"thekeys/{SET}"
        assert bridge.now("gateway/hall/state") == "online"
        at = time.time()
        await bridge.say(SET, stamped("UNLOCK", at, id="from a test"))
        result = await bridge.until_result("done")
        assert (result["action"], result["at"], result["id"]) == ("UNLOCK", at, "from a test")
        await bridge.until_said(STATE, "UNLOCKED")
        assert bridge.listener.said(f"thekeys/{STATE}")[-3:] == ["LOCKED", "UNLOCKING", "UNLOCKED"]
        assert gateway.lockers[LOCKER].opened_count == 1
        await bridge.until(lambda: bridge.listener.said(f"thekeys/lock/{LOCKER}/event"))
        assert bridge.now(f"lock/{LOCKER}/event")["by"] == "bridge"
        await bridge.say(SET, "LOCK")
        await bridge.until_said(STATE, "LOCKED")
        assert gateway.lockers[LOCKER].closed_count == 1
    await bridge.until_said("bridge/state", "offline")


async def test_everything_the_bridge_says_is_kept_but_events(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        gateway.turn_bolt(LOCKER, "open")
        await bridge.until_said(STATE, "UNLOCKED")
        await bridge.until(lambda: bridge.listener.said(f"thekeys/lock/{LOCKER}/event"))
        assert bridge.now(f"lock/{LOCKER}/event")["by"] == "other"
        kept = {topic for topic, _, retained in bridge.listener.heard if retained}
        live = {topic for topic, _, retained in bridge.listener.heard if not retained}
        assert live == {"thekeys/bridge/echo", f"thekeys/lock/{LOCKER}/event"}
        assert f"thekeys/{STATE}" in kept


async def test_what_the_broker_has_kept_opens_no_door_and_is_emptied(broker, listen):
    broker.start()
    listener = await to_thread.run_sync(listen)
    await to_thread.run_sync(lambda: listener.publish(f"thekeys/{SET}", stamped("UNLOCK"), retain=True))
    async with simulated() as gateway:
        settings = config(broker, gateway, commands=CommandPolicy.ANY)
        async with running(make_plan(settings, {}), settings, listener) as bridge:
            await bridge.until_said(SET, None)
            await bridge.say(SET, stamped("UNLOCK"), retain=True)  # live, and to be kept
            await bridge.until_said(SET, None)
            assert (await bridge.until_result("refused"))["reason"] == "retained"
            await bridge.say(SET, stamped("LOCK"))
            await bridge.until_result("done")
            assert gateway.lockers[LOCKER].opened_count == 0


async def test_however_many_messages_the_broker_has_kept_all_are_emptied(broker, listen):
    broker.start()
    listener = await to_thread.run_sync(listen)
    topics = [f"thekeys/lock/{number}/set" for number in range(50)]
    for topic in topics:
        await to_thread.run_sync(lambda topic=topic: listener.publish(topic, stamped("UNLOCK"), retain=True))
    async with simulated() as gateway:
        settings = config(broker, gateway)
        async with running(make_plan(settings, {}), settings, listener) as bridge:
            await bridge.until(lambda: not any(listener.values[topic] for topic in topics))
            for _ in range(5):
                await bridge.say(SET, stamped("UNLOCK"), retain=True, qos=0)
            await bridge.until_result("refused", 5)
            assert gateway.lockers[LOCKER].opened_count == 0


async def test_a_plain_unlock_is_refused_and_nothing_of_a_message_is_logged(broker, listen, caplog):
    with caplog.at_level(logging.DEBUG):
        async with home(broker, listen) as (bridge, gateway):
            await bridge.say(SET, "UNLOCK")
            assert (await bridge.until_result("refused"))["reason"] == "no time"
            await bridge.say(SET, '{"action":"UNLOCK","pin":"4711-in-a-message"}')
            await bridge.until_result("refused", 2)
            await bridge.say(f"lock/{GARAGE}/set", stamped("UNLOCK"))
            await bridge.until(lambda: "not driven" in bridge.listener.values.get(f"thekeys/lock/{GARAGE}/result", ""))
            await bridge.say("lock/99/set", stamped("UNLOCK"))
            await bridge.say("lock/4711-in-a-topic/set\x1b[2J".replace("\x1b", ""), "UNLOCK")
            await bridge.say(SET, stamped("LOCK"))
            await bridge.until_result("done")
            assert gateway.lockers[LOCKER].opened_count == 0
            assert "thekeys/lock/99/result" not in bridge.listener.values
    refusals = [record for record in caplog.records if record.message.startswith("refused")]
    assert {record.levelno for record in refusals} == {logging.WARNING}
    assert any(SET in record.message and "no time" in record.message for record in refusals)
    assert "in-a-message" not in caplog.text


async def test_a_lost_reply_leaves_the_lock_unknown_until_the_bolt_is_read(broker, listen, monkeypatch):
    monkeypatch.setattr("thekeys_async.bridge.commands._LOOKS_IN_DOUBT", (0.3, 0.2, 0.2))
    async with home(broker, listen) as (bridge, gateway):
        gateway.fail(Fault.RESET_AFTER, on="open")
        gateway.settings.bluetooth = 0.3  # else the state changes twice before the broker is told
        await bridge.say(SET, stamped("UNLOCK"))
        await bridge.until_result("unknown")
        await bridge.until_said(STATE, "UNLOCKED")
        await bridge.until_said(AVAILABILITY, "online")
        said = [
            (topic, value) for topic, value, _ in bridge.listener.heard if topic.endswith(("/state", "/availability"))
        ]
        doubt = said.index((f"thekeys/{STATE}", "None"), said.index((f"thekeys/{STATE}", "UNLOCKING")))
        assert (f"thekeys/{AVAILABILITY}", "offline") in said[said.index((f"thekeys/{STATE}", "UNLOCKING")) :]
        assert said.index((f"thekeys/{STATE}", "UNLOCKED"), doubt) > doubt
        assert gateway.lockers[LOCKER].opened_count == 1


async def test_what_the_gateway_refuses_leaves_what_was_read(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        gateway.error(36, on="open")
        await bridge.say(SET, stamped("UNLOCK"))
        result = await bridge.until_result("not done")
        assert "refused the key" in result["reason"]
        assert bridge.now(STATE) == "LOCKED"
        assert bridge.now(AVAILABILITY) == "online"


async def test_a_command_that_waits_longer_than_its_age_is_never_sent(broker, listen):
    async with home(broker, listen, max_command_age=1.0) as (bridge, gateway):
        with gateway.synchronizing():
            await bridge.say(SET, stamped("UNLOCK"))
            await bridge.until_result("not done")
        await bridge.say(SET, stamped("LOCK"))
        await bridge.until_result("done")
        assert gateway.lockers[LOCKER].opened_count == 0


async def test_the_opposite_waits_and_comes_last(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        gateway.settings.bluetooth = 0.3
        at = time.time()
        for number, action in enumerate(["UNLOCK", "UNLOCK", "LOCK", "LOCK"]):
            await bridge.say(SET, stamped(action, at + number * 0.001), qos=0)
        await bridge.until_result("done", 3)
        assert (await bridge.until_result("refused"))["reason"] == "replaced"
        locker = gateway.lockers[LOCKER]
        assert (locker.opened_count, locker.closed_count) == (1, 1)
        await bridge.until_said(STATE, "LOCKED")


async def test_buttons(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        await bridge.say(f"lock/{LOCKER}/press", stamped("calibrate"))
        assert (await bridge.until_result("done"))["action"] == "calibrate"
        assert gateway.lockers[LOCKER].calibrated_count == 1
        await bridge.say(f"lock/{LOCKER}/press", "PRESS")
        await bridge.until_result("refused")
        reads = sum(record.endpoint == "locker_status" for record in gateway.requests)
        await bridge.say(f"lock/{LOCKER}/press", stamped("read"))
        assert (await bridge.until_result("done", 2))["action"] == "read"
        assert sum(record.endpoint == "locker_status" for record in gateway.requests) > reads
        await bridge.say("gateway/hall/press", stamped("synchronise"))
        await bridge.until(lambda: "done" in bridge.listener.values.get("thekeys/gateway/hall/result", ""))
        assert any(record.endpoint == "synchronize" for record in gateway.requests)


async def test_a_bolt_that_cannot_be_read_again_and_again_is_said_at_once(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        gateway.error(37, on="locker_status", times=1000)
        for count in (1, 2):
            with anyio.fail_after(15):
                await bridge.say(f"lock/{LOCKER}/press", stamped("read"))
                assert "Bluetooth" in (await bridge.until_result("not done", count))["reason"]


async def test_after_the_broker_has_forgotten_everything_all_is_there_again(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        before = {t for t, v in bridge.listener.values.items() if v and not t.endswith(("/echo", "/event"))}
        await to_thread.run_sync(broker.kill)
        bridge.listener.values.clear()
        gateway.turn_bolt(LOCKER, "open")
        await to_thread.run_sync(broker.start)
        await bridge.until(lambda: before <= bridge.listener.values.keys())
        await bridge.until_said(STATE, "UNLOCKED")
        await bridge.until_said("bridge/state", "online")
        await bridge.say(SET, stamped("LOCK"))
        await bridge.until_result("done")
        assert gateway.lockers[LOCKER].closed_count == 1


async def test_to_a_home_assistant_that_has_started_everything_is_said_again(broker, listen):
    async with home(broker, listen) as (bridge, _):
        topic = f"homeassistant/device/thekeys_{LOCKER}/config"
        first = len(bridge.listener.heard)
        await to_thread.run_sync(lambda: bridge.listener.publish("homeassistant/status", "online"))
        await bridge.until(lambda: any(t == topic for t, _, _ in bridge.listener.heard[first:]))
        again = [t for t, _, _ in bridge.listener.heard[first:] if t != "thekeys/bridge/echo"]
        assert again.index(topic) > again.index(f"thekeys/{STATE}")


async def test_what_has_left_the_file_is_taken_away_and_nothing_else(broker, listen):
    broker.remember()
    broker.start()
    listener = await to_thread.run_sync(listen)
    foreign = {
        "homeassistant/device/zigbee_1/config": '{"origin":{"name":"zigbee2mqtt"},"availability":[]}',
        "homeassistant/device/other/config": json.dumps(
            {"origin": {"name": "thekeys-async"}, "availability": [{"topic": "other/bridge/state"}]}
        ),
        "other/lock/7/state": "LOCKED",
    }
    for topic, value in foreign.items():
        await to_thread.run_sync(lambda t=topic, v=value: listener.publish(t, v, retain=True))
    async with simulated() as gateway:
        settings = config(broker, gateway)
        async with running(make_plan(settings, {}), settings, listener):
            assert listener.values[f"homeassistant/device/thekeys_{GARAGE}/config"]
        del settings.lockers["Garage"]
        async with running(make_plan(settings, {}), settings, listener) as bridge:
            await bridge.until(lambda: not _kept(listener, f"thekeys/lock/{GARAGE}/"))
            assert listener.values[f"homeassistant/device/thekeys_{GARAGE}/config"] == ""
            emptied = [topic for topic, value, _ in listener.heard if not value]
            assert emptied[0] == f"homeassistant/device/thekeys_{GARAGE}/config"
            assert all(listener.values[topic] == value for topic, value in foreign.items())
        purge = Purge(make_plan(settings, {}))
        await purge.run()
        await bridge.until(lambda: not _kept(listener, "thekeys/"))
        assert not purge.is_alive
        assert _kept(listener, "home") == {topic for topic in foreign if topic.startswith("home")}


async def test_a_gateway_that_is_lost_and_one_that_is_back(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        await gateway.stop()
        await bridge.until_said("gateway/hall/state", "offline")
        assert bridge.now(AVAILABILITY) == "online"
        await gateway.start()
        await bridge.until_said("gateway/hall/state", "online")
        gateway.vanish(LOCKER)
        await bridge.until_said(AVAILABILITY, "offline")


async def test_of_two_bridges_the_older_one_ends_and_commands_are_carried_out_once(broker, listen):
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with simulated() as gateway:
        settings = config(broker, gateway)
        plan = make_plan(settings, {})
        async with (
            running(plan, settings, listener) as older,
            running(plan, settings, listener, ready=False) as newer,
        ):
            with anyio.fail_after(20):
                await older.ended.wait()
            assert older.error is not None
            assert older.error.subgroup(SupersededError)
            info = newer.process._bridge.session._claim.instance
            await newer.until(lambda: json.loads(listener.values["thekeys/bridge/info"])["instance"] == info)
            await newer.until(lambda: newer.process.problems() == [])
            await newer.until_said("bridge/state", "online")
            await newer.say(SET, stamped("UNLOCK"))
            await newer.until_result("done")
            assert gateway.lockers[LOCKER].opened_count == 1


async def test_who_reads_offline_on_its_own_topic_says_that_it_is_online(broker, listen):
    async with home(broker, listen) as (bridge, _):
        await bridge.say("bridge/state", "offline", retain=True)
        await bridge.until(lambda: bridge.listener.said("thekeys/bridge/state")[-2:] == ["offline", "online"])


async def test_while_no_commands_are_taken_offline_is_said_once(broker, listen):
    async with home(broker, listen, max_clock_skew=2.0) as (bridge, _):
        said = bridge.listener.said("thekeys/bridge/state")
        assert said == ["offline", "online"]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_while_the_clock_that_was_set_counts_as_a_start_it_is_offline(broker, listen, monkeypatch, jump):
    async with home(broker, listen, max_clock_skew=1.0) as (bridge, gateway):
        real = clocks.now
        monkeypatch.setattr(clocks, "now", lambda: attrs.evolve(real(), wall=real().wall + jump))
        await bridge.until(lambda: bridge.listener.said("thekeys/bridge/state")[-2:] == ["online", "offline"])
        await bridge.say(SET, stamped("UNLOCK", time.time() + jump))
        assert (await bridge.until_result("refused"))["reason"] == "older than this bridge"
        await bridge.until(lambda: bridge.listener.said("thekeys/bridge/state")[-2:] == ["offline", "online"])
        await bridge.say(SET, stamped("UNLOCK", time.time() + jump))
        await bridge.until_result("done")
        assert gateway.lockers[LOCKER].opened_count == 1


async def test_whatever_another_client_writes_over_a_state_is_put_right(broker, listen):
    async with home(broker, listen) as (bridge, _):
        lies = {
            STATE: "UNLOCKED",
            AVAILABILITY: "offline",
            "gateway/hall/state": "offline",
            "bridge/state": "",
            "bridge/info": "",
        }
        truth = {topic: bridge.listener.values[f"thekeys/{topic}"] for topic in lies}
        for topic, lie in lies.items():
            await bridge.say(topic, lie, retain=True)
            last = [lie, truth[topic]]
            await bridge.until(lambda topic=topic, last=last: bridge.listener.said(f"thekeys/{topic}")[-2:] == last)


async def test_a_purge_empties_nothing_for_good_while_the_bridge_runs(broker, listen):
    async with home(broker, listen) as (bridge, _):
        kept = _kept(bridge.listener, "")
        purge = Purge(bridge.process._plan)
        await purge.run()
        assert purge.is_alive
        device = f"homeassistant/device/thekeys_{LOCKER}/config"
        assert device in purge.emptied
        await bridge.until(lambda: bridge.listener.said(device)[-2:-1] == [""] != [bridge.listener.values[device]])
        await bridge.until(lambda: _kept(bridge.listener, "") == kept)


async def test_each_command_has_one_result(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        gateway.settings.bluetooth = 0.3
        actions = ["UNLOCK", "UNLOCK", "LOCK", "LOCK", "UNLOCK", "LOCK", "LOCK", "UNLOCK", "UNLOCK", "UNLOCK"]
        expected = list(range(20))
        at = time.time()
        for number in expected:
            message = stamped((actions * 2)[number], at + number * 0.001, id=number)
            await bridge.say(SET, message, qos=0, retain=number == 15)

        def told() -> list[dict]:
            return [json.loads(text) for text in bridge.listener.said(f"thekeys/lock/{LOCKER}/result")]

        await bridge.until(lambda: len(told()) == len(expected))
        assert sorted(result["id"] for result in told()) == expected
        reasons = {result["id"]: result["reason"] for result in told()}
        assert reasons[0] == reasons[1] is None
        assert reasons[2] == "replaced"
        assert reasons[15] == "retained"
        assert reasons[16] == "too many"
        await bridge.say("gateway/hall/press", "PRESS")
        await bridge.until(lambda: "malformed" in bridge.listener.values.get("thekeys/gateway/hall/result", ""))


async def test_a_bridge_that_has_been_replaced_says_no_more_of_the_bolt(broker, listen):
    async with home(broker, listen) as (older, gateway):
        gateway.settings.bluetooth = 0.6
        await older.say(SET, stamped("UNLOCK"))
        await older.until_said(STATE, "UNLOCKING")
        await older.say("bridge/info", json.dumps({"instance": "another"}), retain=True)
        await older.say(STATE, "None", retain=True)
        await older.until_result("done")
        await older.ended.wait()
        assert older.listener.said(f"thekeys/{STATE}")[-1] == "None"
        assert older.now("bridge/state") == "online"


async def test_a_standby_takes_over_and_only_the_leader_connects(broker, listen, tmp_path):
    broker.start()
    listener = await to_thread.run_sync(listen)
    async with simulated() as gateway, FileCoordinator(tmp_path / "state") as coordinator:
        settings = config(broker, gateway, standby=True)
        plan = make_plan(settings, {})
        async with (
            running(plan, settings, listener, coordinator) as leader,
            running(plan, settings, listener, coordinator, ready=False) as standby,
        ):
            await anyio.wait_all_tasks_blocked()
            assert standby.process.problems() == ["standing by: another bridge leads"]
            await leader.say(SET, stamped("UNLOCK"))
            await leader.until_result("done")
            assert len({*listener.said("thekeys/bridge/info")}) == 1
            leader.process._bridge.session.superseded.set()
            await standby.until(lambda: len({*listener.said("thekeys/bridge/info")}) == 2)
            await standby.until_said("bridge/state", "online")
            await standby.say(SET, stamped("LOCK"))
            await standby.until_result("done", 2)
            locker = gateway.lockers[LOCKER]
            assert (locker.opened_count, locker.closed_count) == (1, 1)


async def test_a_leader_that_has_lost_its_lease_says_that_it_is_offline(broker, listen, tmp_path, monkeypatch):
    broker.start()
    listener = await to_thread.run_sync(listen)
    lost = anyio.Event()

    async def wait_lost(_lease: LeaderLease) -> None:
        await lost.wait()

    monkeypatch.setattr(LeaderLease, "wait_lost", wait_lost)
    async with simulated() as gateway, FileCoordinator(tmp_path / "state") as coordinator:
        settings = config(broker, gateway, standby=True)
        async with running(make_plan(settings, {}), settings, listener, coordinator):
            monkeypatch.setattr(LeaderLease, "lost", property(lambda _: lost.is_set()))
            monkeypatch.setattr(LeaderLease, "__aenter__", lambda _: anyio.sleep_forever())
            lost.set()
            await to_thread.run_sync(listener.wait_for_value, "thekeys/bridge/state", "offline", 15)


async def test_a_leader_that_reads_another_s_claim_after_its_lease_stands_by_again(
    broker, listen, tmp_path, monkeypatch
):
    broker.start()
    listener = await to_thread.run_sync(listen)
    lost: list[LeaderLease] = []
    monkeypatch.setattr(LeaderLease, "lost", property(lambda lease: lease in lost))
    async with simulated() as gateway, FileCoordinator(tmp_path / "state") as coordinator:
        settings = config(broker, gateway, standby=True)
        async with running(make_plan(settings, {}), settings, listener, coordinator) as leader:
            lost.append(leader.process._bridge._leadership)
            await leader.say("bridge/info", json.dumps({"instance": "the next leader"}), retain=True)
            await leader.until(lambda: len({*listener.said("thekeys/bridge/info")}) == 3)
            await leader.until_said("bridge/state", "online")
            assert not leader.ended.is_set()


async def test_nothing_secret_is_said_or_logged(broker, listen, caplog):
    with caplog.at_level(logging.DEBUG):
        async with home(broker, listen, username="bridge", password="Geheim-4711-word") as (bridge, gateway):
            gateway.error(33, on="open", times=3)
            await bridge.say(SET, stamped("UNLOCK"))
            await bridge.until(lambda: bridge.listener.said(f"thekeys/lock/{LOCKER}/result"))
            metrics = bridge.process._metrics.text().decode()
    everything = caplog.text + metrics + "".join(f"{t} {v}" for t, v, _ in bridge.listener.heard)
    for secret in (CODE, "Geheim-4711-word"):
        assert secret not in everything


async def test_a_stop_waits_for_what_is_on_the_wire_and_says_what_came_of_it(broker, listen):
    async with home(broker, listen) as (bridge, gateway):
        gateway.settings.bluetooth = 0.4
        await bridge.say(SET, stamped("UNLOCK"))
        await bridge.until_said(STATE, "UNLOCKING")
        await bridge.say(SET, stamped("LOCK"))
    assert (gateway.lockers[LOCKER].opened_count, gateway.lockers[LOCKER].closed_count) == (1, 0)
    assert (await bridge.until_result("done"))["action"] == "UNLOCK"
    assert (await bridge.until_result("refused"))["action"] == "LOCK"
    await bridge.until_said(STATE, "None")
    await bridge.until_said("bridge/state", "offline")
