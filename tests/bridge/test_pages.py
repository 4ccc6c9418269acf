"""What the pages about the bridge say is so: who may do what at the broker, and which metrics there are."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from prometheus_client.parser import text_string_to_metric_families

from tests.sample import LOCKER
from thekeys_async import Config, GatewayConfig, LockerConfig
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.heartbeat import Heartbeat
from thekeys_async.bridge.messages import parse
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.plan import make_plan
from thekeys_async.bridge.topics import Target
from thekeys_async.bridge.verdicts import Refusal

from .conftest import Mosquitto

DOCS = Path(__file__).parents[2] / "docs"


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _families() -> dict[str, set[str]]:
    """All metrics, and the labels of each."""
    plan = make_plan(Config({"hall": GatewayConfig("127.0.0.1")}, {"Front": LockerConfig(LOCKER, "hall", "code")}), {})
    metrics = Metrics("1")
    metrics.show(Devices(plan.topics, plan.lockers, ["hall"], version="1"), Heartbeat(), lambda: True)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        if not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def test_the_page_has_every_metric_and_no_other():
    shown = set(re.findall(r"^\| `(thekeys_\w+)` \|", _page("metrics.md"), re.MULTILINE))
    assert shown == _families().keys()


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "alerts.yml"])
def test_dashboard_and_alerts_ask_for_what_there_is(name):
    families = _families()
    text = _page(name)
    asked = set(re.findall(r"\bthekeys_\w+", text)) - {"thekeys_"}
    assert asked
    assert {re.sub(r"_bucket$", "", each) for each in asked} <= families.keys()
    for metric, matcher in re.findall(r"(thekeys_\w+)\{(\w+)=", text):
        assert matcher in families[metric] | {"state"}
    if name.endswith(".json"):
        assert {panel["type"] for panel in json.loads(text)["panels"]} >= {"stat", "timeseries"}
    else:
        for alert in ("TheKeysBatteryLow", "TheKeysGatewayLost", "TheKeysDoorUnknown"):
            assert f"- alert: {alert}\n" in text


def test_the_command_that_is_shown_is_one():
    block = re.search(r"```json\n(.*?)```", _page("mqtt.md"), re.DOTALL)
    assert parse(Target("lock", "1", "set"), block[1].strip().encode()).id == "night watch"


def test_every_rule_is_explained():
    page = _page("mqtt.md")
    rules = re.findall(r"^(\d)\. \*\*", page, re.MULTILINE)
    assert rules == [str(number) for number in range(1, 10)]
    assert len(Refusal) >= len(rules)


def test_the_picture_is_there():
    assert (DOCS / "bridge-page.png").read_bytes().startswith(b"\x89PNG")
    assert "bridge-page.png" in _page("home-assistant.md")


@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("thekeys", f"thekeys/lock/{LOCKER}/state", True),
        ("thekeys", f"homeassistant/device/thekeys_{LOCKER}/config", True),
        ("thekeys", "zigbee2mqtt/lamp/set", False),
        ("homeassistant", f"thekeys/lock/{LOCKER}/set", True),
        ("homeassistant", f"thekeys/lock/{LOCKER}/press", True),
        ("homeassistant", "thekeys/bridge/info", False),
        ("homeassistant", f"thekeys/lock/{LOCKER}/state", False),
        ("panel", f"thekeys/lock/{LOCKER}/set", False),
    ],
)
def test_who_may_say_what_with_the_acl_of_the_page(broker: Mosquitto, user, topic, allowed):
    acl = next(
        text for text in re.findall(r"```text\n(.*?)```", _page("home-assistant.md"), re.DOTALL) if "topic " in text
    )
    file = broker.folder / "acl"
    file.write_text(f"{acl}\nuser panel\ntopic read thekeys/#\n")
    broker.options.append(f"acl_file {file}")
    broker.start()
    said: list[bool] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(user, "any")
    client.on_publish = lambda _client, _data, _mid, reason, _properties: said.append(not reason.is_failure)
    client.connect("localhost", broker.port)
    message = client.publish(topic, "x", qos=1)
    while not said:
        client.loop(0.1)
    assert message.mid
    client.disconnect()
    client.loop(0.1)
    assert said == [allowed]


def test_systemd_takes_the_unit_of_the_page(tmp_path):
    command = shutil.which("systemd-analyze")
    if command is None:
        pytest.skip("systemd-analyze is not installed")
    blocks = re.findall(r"```text\n(.*?)```", _page("home-assistant.md"), re.DOTALL)
    (unit,) = [block for block in blocks if "[Unit]" in block]
    file = tmp_path / "thekeys-bridge.service"
    file.write_text(unit.replace("/opt/thekeys/.venv/bin/thekeys", sys.executable))
    verified = subprocess.run([command, "verify", str(file)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
