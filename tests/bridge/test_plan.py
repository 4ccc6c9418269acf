"""What a bridge is to do: the file, the environment and the flags, and what makes no sense."""

import logging

import anyio
import pytest

from thekeys_async import BridgeConfig, CommandPolicy, Config, ConfigurationError, GatewayConfig, LockerConfig
from thekeys_async.bridge.dry_run import published
from thekeys_async.bridge.plan import BROKER_URL, PASSWORD, BridgePlan, make_plan, read_secret
from thekeys_async.bridge.process import Process
from thekeys_async.coordination import FileCoordinator
from thekeys_async.protocol.errors import CoordinationError

_SECRET = "Geheim-4711"


def _config(**bridge) -> Config:
    gateways = {"hall": GatewayConfig("192.168.0.26"), "annex": GatewayConfig("192.168.0.27")}
    lockers = {
        "front": LockerConfig(1, "hall", "code-one"),
        "garage": LockerConfig(2, "annex", None),
        "cellar": LockerConfig(3, "annex", "code-three", bridge=False),
    }
    return Config(gateways, lockers, bridge=BridgeConfig(**bridge))


def _plan(environment=None, /, **how) -> BridgePlan:
    bridge = how.pop("bridge", {})
    return make_plan(_config(**bridge), environment or {}, **how)


def test_without_a_word_everything_of_the_file_goes_to_this_machine_s_broker():
    plan = _plan()
    assert str(plan.broker) == "localhost:1883"
    assert [each.name for each in plan.gateways] == ["hall", "annex"]
    assert {each.identifier: each.has_code for each in plan.lockers} == {1: True, 2: False}
    assert plan.topics.prefix == "thekeys"
    assert str(plan.web) == "127.0.0.1:9473"
    assert (plan.rules.commands, plan.rules.max_age, plan.rules.max_skew, plan.interval) == ("stamped", 10, 5, 10)


def test_a_locker_that_is_not_bridged_and_other_gateways_are_not_published():
    topics = {topic for topic, _ in published(_plan(gateways=["annex"]))}
    assert "thekeys/lock/2/state" in topics
    assert not {topic for topic in topics if "/1/" in topic or "/3/" in topic or "hall" in topic}


def test_a_flag_goes_before_the_environment_and_that_before_the_file():
    file = {"broker": "mqtt://of-the-file", "prefix": "file", "interval": 7.0}
    assert str(_plan(bridge=file).broker) == "of-the-file:1883"
    assert str(_plan({BROKER_URL: "mqtts://of-env"}, bridge=file).broker) == "of-env:8883"
    plan = _plan({BROKER_URL: "mqtt://of-env"}, bridge=file, broker="mqtt://given", prefix="mine", interval=3.0)
    assert (str(plan.broker), plan.topics.prefix, plan.interval) == ("given:1883", "mine", 3.0)


def test_where_the_password_comes_from(tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{_SECRET}\n")
    assert _plan(bridge={"password_file": file}).broker.password.reveal() == _SECRET
    assert _plan(bridge={"password": _SECRET}).broker.password.reveal() == _SECRET
    assert _plan({PASSWORD: _SECRET}, bridge={"password": "other"}).broker.password.reveal() == _SECRET
    assert _plan({BROKER_URL: f"mqtt://me:{_SECRET}@host"}).broker.password.reveal() == _SECRET
    assert _SECRET not in repr(_plan(bridge={"password": _SECRET}))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"broker": f"mqtt://me:{_SECRET}@host"}, "command line"),
        ({"broker": _SECRET}, "mqtt://HOST"),
        ({"prefix": "a/#"}, "prefix"),
        ({"prefix": ""}, "prefix"),
        ({"bridge": {"ca_file": "empty-file"}}, "no certificates"),
        ({"bridge": {"http": "0.0.0.0:9473"}}, "http_token_file"),
        ({"bridge": {"ca_file": "no-such-file"}}, "no-such-file"),
        ({"bridge": {"password_file": "no-such-file"}}, "no-such-file"),
    ],
)
def test_what_makes_no_sense(how, says, tmp_path):
    if "bridge" in how:
        (tmp_path / "empty-file").touch()
        how = {"bridge": {name: tmp_path / value if "file" in name else value for name, value in how["bridge"].items()}}
    with pytest.raises(ConfigurationError, match=says) as caught:
        _plan(**how)
    assert _SECRET not in str(caught.value)


def test_one_locker_under_two_names_is_refused():
    config = _config()
    config.lockers["again"] = LockerConfig(1, "annex", "code-one")
    with pytest.raises(ConfigurationError, match="twice"):
        make_plan(config, {})


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff"])
def test_a_secret_that_is_none(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ConfigurationError, match="can't be used"):
        read_secret(tmp_path / "file")


def test_read_only_is_said_to_home_assistant():
    plan = _plan(bridge={"commands": CommandPolicy.NONE})
    assert plan.read_only
    assert not any('"command_topic"' in value for topic, value in published(plan) if topic.endswith("/config"))


@pytest.mark.anyio
async def test_a_broker_on_the_network_without_tls_is_warned_of(caplog):
    plan = _plan({BROKER_URL: "mqtt://192.0.2.1"}, bridge={"http": None})
    with caplog.at_level(logging.WARNING, "thekeys_async.bridge"), anyio.move_on_after(0.05):
        await Process(plan, {}, None).run()
    assert "no TLS" in caplog.text


@pytest.mark.anyio
async def test_standing_by_needs_a_state_that_is_shared(tmp_path):
    plan = _plan(standby=True)
    with pytest.raises(CoordinationError, match="standing by"):
        Process(plan, {}, None)
    async with FileCoordinator(tmp_path / "state") as coordinator:
        Process(plan, {}, coordinator)
