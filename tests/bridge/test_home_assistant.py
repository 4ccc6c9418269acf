"""The whole way with a real Home Assistant; `nox -s home_assistant` installs one, and says where it is."""

import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.sample import CODE, LOCKER

from .conftest import Listener, Mosquitto
from .hass import HomeAssistant
from .processes import Process, Simulation, write_config

GARAGE = 7
FRONT, LOCK = "front_door", "lock.front_door"


def _say(what: str, began: float) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)  # noqa: T201 - the session's output goes into the note


def _hass() -> str:
    command = os.environ.get("THEKEYS_HASS") or shutil.which("hass")
    if command is None:
        pytest.skip("no Home Assistant: nox -s home_assistant installs one")
    return command


def test_the_whole_way(broker: Mosquitto, listen: Callable[..., Listener], tmp_path: Path) -> None:
    command = _hass()
    began = time.monotonic()
    broker.remember()
    broker.start()
    listener = listen()
    home = HomeAssistant(command, tmp_path / "hass", free_port(), broker.port)
    lockers = {"Front door": LOCKER, "Garage": GARAGE}
    port = free_port()
    with Simulation("--bolt=1", port=port, lockers=dict.fromkeys(lockers.values(), CODE)) as gateway:
        file = write_config(tmp_path / "config.toml", gateway.address, broker.url, lockers=lockers)
        flags = ("bridge", "--config", str(file), "--state-dir", str(tmp_path / "state"))
        try:
            with Process(*flags) as bridge:
                home.start()
                _say("Home Assistant runs", began)
                _discovery(home, listener, began)
                _commands(home, listener, gateway, began)
                _restarts(home, listener, broker, gateway, began)
                assert bridge.end() == 0
            home.wait_for_state(LOCK, "unavailable")
            _say("the bridge has ended: the lock is unavailable", began)
            _killed(home, flags, began)
            write_config(file, gateway.address, broker.url, lockers={"Front door": LOCKER})
            _removed(home, flags, began)
        finally:
            home.close()
    assert CODE not in home.log()
    assert not [line for line in home.log().splitlines() if "ERROR" in line and "mqtt" in line.lower()]


def _discovery(home: HomeAssistant, listener: Listener, began: float) -> None:
    listener.wait_for_value("thekeys/bridge/state", "online", 60)
    home.wait_for_state(LOCK, "locked")
    home.wait_for_state("lock.garage", "locked")
    states = home.states()
    assert states[f"sensor.{FRONT}_battery"].isdecimal(), states
    assert states[f"binary_sensor.{FRONT}_jammed"] == "off"
    assert f"sensor.{FRONT}_signal" not in states, "off by default"
    assert f"button.{FRONT}_calibrate" not in states, "off by default"
    assert states["binary_sensor.gateway_hall_connectivity"] == "on"
    assert home.attributes(LOCK)["friendly_name"] == "Front door"
    _say("discovered: a lock, sensors and the gateway", began)


def _commands(home: HomeAssistant, listener: Listener, gateway: Simulation, began: float) -> None:
    assert home.call("lock.unlock", LOCK) == 200
    home.wait_for_state(LOCK, "unlocked")
    stamp = json.loads(next(text for text in listener.said(f"thekeys/lock/{LOCKER}/set") if text))
    assert stamp.keys() == {"action", "at"}
    home.wait_for_state(f"sensor.{FRONT}_outcome", "done")
    said = listener.said(f"thekeys/lock/{LOCKER}/state")
    assert said[-2:] == ["UNLOCKING", "UNLOCKED"]
    _say("lock.unlock: unlocking, unlocked", began)
    gateway.tell(f"turn {LOCKER} close")
    home.wait_for_state(LOCK, "locked")
    _say("a bolt turned by hand: locked", began)
    gateway.tell("lose-reply open")
    home.call("lock.unlock", LOCK)
    listener.wait_for(lambda: "unknown" in listener.values.get(f"thekeys/lock/{LOCKER}/result", ""), 60)
    home.wait_for_state(f"sensor.{FRONT}_outcome", "unknown")
    home.wait_for_state(LOCK, "unlocked")
    _say("a lost reply: unavailable, then as read", began)
    gateway.tell(f"jam {LOCKER}")
    home.wait_for_state(LOCK, "jammed")
    home.wait_for_state(f"binary_sensor.{FRONT}_jammed", "on")
    gateway.tell(f"free {LOCKER}")
    gateway.tell(f"turn {LOCKER} close")
    home.wait_for_state(LOCK, "locked")
    _say("jammed, and free again", began)


def _restarts(home: HomeAssistant, listener: Listener, broker: Mosquitto, gateway: Simulation, began: float) -> None:
    home.end()
    home.start()
    home.wait_for_state(LOCK, "locked")
    _say("Home Assistant restarted: locked", began)
    gateway.tell("power off")
    home.wait_for_state(LOCK, "unavailable", 90)
    home.wait_for_state("binary_sensor.gateway_hall_connectivity", "off")
    gateway.tell("power on")
    home.wait_for_state(LOCK, "locked", 90)
    _say("the gateway was away and is back", began)
    broker.kill()
    home.call("lock.unlock", LOCK)  # Home Assistant keeps it, and delivers it when the broker is back
    time.sleep(12)
    broker.start()
    home.wait_for_state(LOCK, "locked", 90)
    late = [text for text in listener.said(f"thekeys/lock/{LOCKER}/set") if text]
    listener.wait_for_value("thekeys/bridge/state", "online", 60)
    time.sleep(3)
    assert home.states()[LOCK] == "locked"
    assert listener.values[f"thekeys/lock/{LOCKER}/state"] == "LOCKED"
    _say(f"the broker was away for 12 s; of {len(late)} commands none opened the door late", began)
    home.call("lock.unlock", LOCK)
    home.wait_for_state(LOCK, "unlocked")
    home.call("lock.lock", LOCK)
    home.wait_for_state(LOCK, "locked")
    _say("unlocked and locked after that", began)


def _killed(home: HomeAssistant, flags: tuple[str, ...], began: float) -> None:
    with Process(*flags) as bridge:
        home.wait_for_state(LOCK, "locked")
        bridge.kill()
        home.wait_for_state(LOCK, "unavailable")
    _say("the bridge was killed: unavailable", began)


def _removed(home: HomeAssistant, flags: tuple[str, ...], began: float) -> None:
    with Process(*flags) as bridge:
        home.wait_for_state(LOCK, "locked")
        home.wait_for_state("lock.garage", None)
        assert bridge.end() == 0
    _say("a locker that has left the file is gone", began)
    with Process(*flags, "--purge") as purge:
        assert purge.wait() == 0
    home.wait_for_state(LOCK, None)
    _say("purged: nothing is left", began)


def test_a_storm_of_kills(broker: Mosquitto, listen: Callable[..., Listener], tmp_path: Path) -> None:
    """Bridge, broker and Home Assistant are killed in turn while it unlocks and locks."""
    command, began = _hass(), time.monotonic()
    broker.remember()
    broker.start()
    home = HomeAssistant(command, tmp_path / "hass", free_port(), broker.port)
    with Simulation("--bolt=0") as gateway:
        file = write_config(
            tmp_path / "config.toml",
            gateway.address,
            broker.url,
            lockers={"Front door": LOCKER},
            bridge="max_clock_skew = 0.1",
        )
        flags = ("bridge", "--config", str(file), "--state-dir", str(tmp_path / "state"))
        bridge = Process(*flags)
        stamps: set[float] = set()
        refused: set[float] = set()
        try:
            home.start()
            for number in range(int(os.environ.get("THEKEYS_STORM_ROUNDS", "3"))):
                listener = listen()
                listener.wait_for_value("thekeys/bridge/state", "online")
                home.wait_for(lambda: home.states().get(LOCK) in {"locked", "unlocked"})
                home.call("lock.unlock" if home.states()[LOCK] == "locked" else "lock.lock", LOCK)
                listener.wait_for(partial(listener.said, f"thekeys/lock/{LOCKER}/result"))
                stamps |= {json.loads(text)["at"] for text in listener.said(f"thekeys/lock/{LOCKER}/set") if text}
                for told in map(json.loads, listener.said(f"thekeys/lock/{LOCKER}/result")):
                    if told["outcome"] in {"refused", "not done"} and told["reason"] != "duplicate":
                        refused.add(told["at"])
                listener.close()
                match number % 3:
                    case 0:
                        bridge.kill()
                        bridge = Process(*flags)
                    case 1:
                        broker.kill()
                        broker.start()
                    case _:
                        home.kill()
                        home.start()
                _say(f"round {number + 1}: {len(stamps)} commands", began)
            listener = listen()
            listener.wait_for_value("thekeys/bridge/state", "online")
            home.wait_for(lambda: home.states().get(LOCK) in {"locked", "unlocked"})
            home.call("lock.lock", LOCK)
            home.wait_for_state(LOCK, "locked")
            turns = json.loads(listener.values[f"thekeys/lock/{LOCKER}/attributes"])["last_log"] - 100
            _say(f"{turns} turns of the bolt for {len(stamps - refused)} commands and a last one", began)
            assert turns <= len(stamps - refused) + 1
        finally:
            bridge.kill()
            home.close()
