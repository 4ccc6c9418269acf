"""`thekeys bridge` as a process: stopped, killed, replaced, watched by systemd; what it prints and how it ends."""

import json
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from tests.sample import CODE, LOCKER
from thekeys_async.cli.commands import thekeys
from thekeys_async.coordination import RedisCoordinator

from .conftest import PASSWORD, Listener, Mosquitto
from .processes import Process, Simulation, write_config
from .running import stamped

SET = f"thekeys/lock/{LOCKER}/set"
RESULT = f"thekeys/lock/{LOCKER}/result"
STATE = f"thekeys/lock/{LOCKER}/state"


@pytest.fixture
def gateway():
    with Simulation("--bolt=0") as simulation:
        yield simulation


@pytest.fixture
def config(broker: Mosquitto, gateway: Simulation, tmp_path: Path):
    def write(bridge: str = "max_clock_skew = 0.1") -> Path:
        return write_config(
            tmp_path / "config.toml", gateway.address, broker.url, lockers={"Front door": LOCKER}, bridge=bridge
        )

    return write


def _bridge(file: Path, *flags: str, **environment: str) -> Process:
    state = file.parent / "state"
    return Process("bridge", "--config", str(file), "--state-dir", str(state), *flags, environment=environment)


def _turns(listener: Listener) -> int:
    """How often the bolt was turned."""
    attributes = json.loads(listener.values[f"thekeys/lock/{LOCKER}/attributes"])
    return (attributes["last_log"] or 100) - 100


def test_a_bridge_that_was_stopped_opens_nothing_when_it_wakes_up(broker, listen, gateway, config):
    broker.start()
    listener = listen()
    with _bridge(config('max_clock_skew = 0.1\ncommands = "any"')) as bridge:
        listener.wait_for_value("thekeys/bridge/state", "online")
        listener.wait_for_value(STATE, "LOCKED")
        bridge.signal(signal.SIGSTOP)
        listener.publish(SET, "UNLOCK", qos=0)
        heard = len(listener.heard)
        echoes = len(listener.said("thekeys/bridge/echo"))
        time.sleep(4)  # the heartbeat may be as old as 3 s
        assert len(listener.said("thekeys/bridge/echo")) == echoes
        bridge.signal(signal.SIGCONT)
        listener.wait_for(lambda: RESULT in [topic for topic, _, _ in listener.heard[heard:]])
        result = json.loads(listener.values[RESULT])
        assert (result["outcome"], result["reason"]) == ("refused", "no heartbeat")
        listener.wait_for(lambda: len(listener.said("thekeys/bridge/echo")) > echoes + 1)
        listener.publish(SET, "LOCK")
        listener.wait_for(lambda: '"done"' in listener.values[RESULT])
        assert '"LOCK"' in listener.values[RESULT]
        assert bridge.end() == 0
    assert listener.values["thekeys/bridge/state"] == "offline"
    assert "UNLOCKING" not in listener.said(STATE)


def test_a_bridge_that_is_killed_leaves_its_will_and_its_successor_repeats_no_stamp(broker, listen, config):
    broker.start()
    listener = listen()
    stamp = stamped("UNLOCK", time.time() + 4.0)  # a client whose clock is ahead
    file = config("max_clock_skew = 5.0")
    with _bridge(file) as bridge:
        listener.wait_for_value("thekeys/bridge/state", "online", 30)
        listener.publish(SET, stamped("LOCK"))
        listener.wait_for(lambda: '"done"' in listener.values.get(RESULT, ""))
        stamp = stamped("UNLOCK", time.time() + 4.0)
        listener.publish(SET, stamp)
        listener.wait_for(lambda: '"UNLOCK"' in listener.values[RESULT] and '"done"' in listener.values[RESULT])
        bridge.kill()
        listener.wait_for_value("thekeys/bridge/state", "offline")
    with _bridge(file):
        listener.wait_for(lambda: listener.said("thekeys/bridge/info")[1:])
        results = len(listener.said(RESULT))
        while time.time() < json.loads(stamp)["at"] + 1:
            listener.publish(SET, stamp, qos=0)
            time.sleep(0.3)
        listener.wait_for_value("thekeys/bridge/state", "online", 30)
        listener.publish(SET, stamp)
        listener.wait_for(lambda: len(listener.said(RESULT)) > results)
        assert {json.loads(text)["outcome"] for text in listener.said(RESULT)[results:]} == {"refused"}


def test_of_two_bridges_the_older_one_ends_with_a_code_of_its_own(broker, listen, config):
    broker.start()
    listener = listen()
    file = config()
    with _bridge(file) as older:
        listener.wait_for_value("thekeys/bridge/state", "online")
        with _bridge(file) as newer:
            assert older.wait() == 11
            said = "".join(older.errors)
            assert "another bridge has taken over" in said
            assert "no door moved" not in said
            listener.wait_for_value("thekeys/bridge/state", "online")
            assert newer.end() == 0


def test_a_standby_takes_over_from_a_leader_that_is_killed_and_nothing_is_done_twice(broker, listen, config):
    broker.start()
    listener = listen()
    file = config()
    with _bridge(file, "--standby") as leader:
        listener.wait_for_value("thekeys/bridge/state", "online")
        with _bridge(file, "--standby") as standby:
            at = time.time()
            listener.publish(SET, stamped("UNLOCK", at))
            listener.wait_for(lambda: '"done"' in listener.values.get(RESULT, ""))
            assert len({*listener.said("thekeys/bridge/info")}) == 1
            killed = time.monotonic()
            leader.kill()
            listener.wait_for(lambda: len({*listener.said("thekeys/bridge/info")}) == 2)
            assert time.monotonic() - killed < 10 + 10  # the lease, and what a process does first
            listener.wait_for_value("thekeys/bridge/state", "online")
            listener.publish(SET, stamped("UNLOCK", at))
            listener.wait_for(lambda: '"refused"' in listener.values[RESULT])
            assert _turns(listener) == 1
            assert standby.end() == 0


def test_a_leader_that_is_ended_gives_its_lease_back_to_redis(broker, listen, config, redis_url):
    if redis_url is None:
        pytest.skip("redis-server is not installed")
    broker.start()
    listener = listen()
    flags = ("bridge", "--config", str(config()), "--standby")
    with Process(*flags, environment={"THEKEYS_REDIS_URL": redis_url}) as leader:
        listener.wait_for_value("thekeys/bridge/state", "online")
        assert leader.end() == 0

    async def lead() -> None:
        with anyio.fail_after(5):  # it would be 6.6 s at least, had it to run out
            async with RedisCoordinator(redis_url) as coordinator, coordinator.lead("bridge thekeys"):
                pass

    anyio.run(lead)


def test_systemd_is_told_and_everything_is_there_on_http(broker, listen, config, tmp_path):
    broker.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.settimeout(60)
        unix.bind(str(tmp_path / "notify"))
        with _bridge(config(), NOTIFY_SOCKET=str(tmp_path / "notify")) as bridge:
            assert unix.recv(100) == b"READY=1"
            assert unix.recv(100) == b"WATCHDOG=1"
            assert unix.recv(100) == b"WATCHDOG=1"
            assert bridge.end() == 0
        while (told := unix.recv(100)) == b"WATCHDOG=1":
            pass
        assert told == b"STOPPING=1"


def test_a_broker_that_is_away_is_no_exit(broker, listen, config):
    with _bridge(config()) as bridge:
        broker.start()
        listener = listen()
        listener.wait_for_value("thekeys/bridge/state", "online")
        assert bridge.end() == 0
    assert sum("no connection to the broker" in line for line in bridge.errors) <= 1


def _run_here(file: Path, *flags: str, **environment: str) -> Result:
    return CliRunner().invoke(thekeys, ["bridge", "--config", str(file), *flags], env=environment)


def test_check_prints_what_would_be_published_and_connects_nowhere(broker, config):
    result = _run_here(config(), "--check", "--json")
    assert result.exit_code == 0
    told = {line["topic"]: line["payload"] for line in map(json.loads, result.stdout.splitlines())}
    assert told[STATE] == "None"
    assert json.loads(told[f"homeassistant/device/thekeys_{LOCKER}/config"])["device"]["suggested_area"] == "Hall"
    assert CODE not in result.output
    assert f"{STATE} None\n" in _run_here(config(), "--check").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd's credentials belong to root")
def test_a_configuration_that_systemd_hands_over_is_taken(broker, config, tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    file = folder / "config"
    file.write_bytes(config().read_bytes())
    file.chmod(0o440)  # as an access list for one user shows
    assert _run_here(file, "--check", CREDENTIALS_DIRECTORY=str(folder)).exit_code == 0
    assert _run_here(file, "--check").exit_code == 2
    file.chmod(0o444)
    assert _run_here(file, "--check", CREDENTIALS_DIRECTORY=str(folder)).exit_code == 2


def test_purge_empties_what_a_bridge_has_said(broker, listen, config):
    broker.start()
    listener = listen()
    file = config()
    with _bridge(file) as bridge:
        listener.wait_for_value("thekeys/bridge/state", "online")
        assert bridge.end() == 0
    with _bridge(file, "--purge") as purge:
        assert purge.wait() == 0
    listener.wait_for(lambda: not listener.values["thekeys/bridge/info"])
    kept = {topic for topic, value in listener.values.items() if value and not topic.endswith(("/echo", "/event"))}
    assert kept == set()


@pytest.mark.parametrize(
    ("flags", "environment", "says"),
    [
        (("--broker", "mqtt://me:Geheim-4711@localhost"), {}, "command line"),
        (("--broker", "http://Geheim-4711"), {}, "mqtt://HOST"),
        ((), {"THEKEYS_MQTT_URL": "Geheim-4711"}, "mqtt://HOST"),
        (("--prefix", "a/+/b"), {}, "prefix"),
        (("cellar",), {}, "hall"),
        (("--check", "--purge"), {}, "contradict"),
    ],
)
def test_what_makes_no_sense_is_said_and_ends_with_2(broker, config, flags, environment, says):
    result = _run_here(config(), *flags, **environment)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Geheim" not in result.output


def test_the_password_of_the_environment_goes_before_that_of_the_file(broker, listen, config, tmp_path):
    broker.demand_password()
    broker.start()
    listener = listen(password=PASSWORD)
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    file = config(f'max_clock_skew = 0.1\nusername = "bridge"\npassword_file = "{wrong}"')
    with _bridge(file, "--debug", THEKEYS_MQTT_PASSWORD=PASSWORD) as bridge:
        listener.wait_for_value("thekeys/bridge/state", "online")
        listener.publish(SET, stamped("UNLOCK"))
        listener.wait_for(lambda: '"done"' in listener.values.get(RESULT, ""))
        assert bridge.end() == 0
    said = "".join(bridge.errors) + "".join(f"{topic} {value}" for topic, value, _ in listener.heard)
    assert PASSWORD not in said
    assert CODE not in said


def test_the_demonstration_opens_a_door_once(broker):
    with Process("demo", "--bridge", "--json") as demo:
        steps = json.loads(demo.line())["steps"]
        assert demo.wait() == 0
    outcomes = {step["step"]: step["outcome"] for step in steps}
    assert outcomes["The bolt has moved"] == "UNLOCKED"
    assert outcomes["Turned by hand"] == "LOCKED, by other"
    assert outcomes["UNLOCK without a time"] == "refused: no time"
    assert outcomes["UNLOCK, 20 s old"] == "refused: too old"
    assert outcomes["UNLOCK that the broker keeps"] == "refused: retained"
    assert outcomes["The door"] == "LOCKED; it was opened 1 time"


ROUNDS = int(os.environ.get("THEKEYS_STORM_ROUNDS", "2"))


def test_a_storm_of_kills_opens_no_stamp_twice_and_none_late(broker, listen, gateway, config):
    """Bridge and broker are killed in turn while stamped commands come in; 50 rounds with THEKEYS_STORM_ROUNDS=50."""
    broker.start()
    file = config()
    bridge = _bridge(file)
    stamps: set[float] = set()
    outcomes: dict[float, str] = {}
    try:
        for number in range(ROUNDS):
            listener = listen()
            listener.wait_for_value("thekeys/bridge/state", "online", 40)
            for action in ("UNLOCK", "LOCK"):
                at = time.time()
                stamps.add(at)
                for _ in range(3):
                    listener.publish(SET, stamped(action, at), qos=0)
            listener.wait_for(partial(listener.said, RESULT), 40)
            for told in map(json.loads, listener.said(RESULT)):
                if told["reason"] != "duplicate" and outcomes.get(told["at"]) != "done":
                    outcomes[told["at"]] = told["outcome"]
            listener.close()
            if number % 2:
                broker.kill()
                broker.start()
            else:
                bridge.kill()
                bridge = _bridge(file)
        listener = listen()
        listener.wait_for_value("thekeys/bridge/state", "online", 40)
        listener.publish(SET, stamped("LOCK"))
        listener.wait_for_value(STATE, "LOCKED", 40)
        listener.wait_for(lambda: '"done"' in listener.values.get(RESULT, ""), 40)
        listener.wait_for(partial(_turns, listener), 40)
        # The locker's log counts every turn of the bolt, whoever has heard of it. What was refused is no turn.
        may_have_turned = {at for at in stamps if outcomes.get(at, "unknown") in {"done", "unknown"}}
        assert _turns(listener) <= len(may_have_turned) + 1
    finally:
        bridge.kill()
