"""`load_config()`: the command's file for programs, and what is refused."""

import sys
from pathlib import Path

import attrs
import pytest

from tests.sample import LOCKER
from thekeys_async import (
    BridgeConfig,
    CommandPolicy,
    Config,
    ConfigurationError,
    GatewayConfig,
    LockerConfig,
    TheKeysError,
    load_config,
)

HALL = '[gateways.hall]\nhost = "192.168.0.26"\n'
SECRET = "geheim"
FRONT = f'[lockers.front-door]\nidentifier = 45961123\ngateway = "hall"\ncode = "{SECRET}"\n'
BRIDGE = f"""
[bridge]
broker = "mqtts://thekeys:{SECRET}@192.168.0.2"
username = "thekeys"
password_file = "/run/credentials/mqtt-password"
ca_file = "/etc/thekeys/ca.pem"
prefix = "doors/keys"
discovery_prefix = false
interval = 5
max_command_age = 8.5
max_clock_skew = 2
commands = "any"
http = false
http_token_file = "~/token"
"""


def test_names_numbers_codes_and_the_folder(write, tmp_path):
    write(f'state_dir = "{tmp_path}"\n' + HALL + FRONT)
    config = load_config()
    assert config.gateways == {"hall": GatewayConfig("192.168.0.26")}
    assert config.lockers == {"front-door": LockerConfig(LOCKER, "hall", SECRET)}
    assert config.lockers["front-door"].code == SECRET
    assert config.share_codes("hall") == {LOCKER: SECRET}
    assert config.share_codes("annex") == {}
    assert config.names == {LOCKER: "front-door"}
    assert config.state_dir == tmp_path
    assert config.bridge == BridgeConfig()


def test_where_the_file_is(write, tmp_path, monkeypatch):
    other, third = tmp_path / "other.toml", tmp_path / "third.toml"
    for path, name in ((other, "other"), (third, "third")):
        write(f'[gateways.{name}]\nhost = "192.168.0.26"\n', path=path)
    write(HALL)
    assert list(load_config().gateways) == ["hall"]
    monkeypatch.setenv("THEKEYS_CONFIG", str(other))
    assert list(load_config().gateways) == ["other"]
    assert list(load_config(third).gateways) == list(load_config(str(third)).gateways) == ["third"]


def test_the_bridge(write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    locker = FRONT + 'bridge = false\narea = "Hall"\n'
    config = load_config(write(HALL + locker + BRIDGE))
    assert config.lockers["front-door"] == LockerConfig(LOCKER, "hall", SECRET, bridge=False, area="Hall")
    assert config.bridge == BridgeConfig(
        broker=f"mqtts://thekeys:{SECRET}@192.168.0.2",
        username="thekeys",
        password_file=Path("/run/credentials/mqtt-password"),
        ca_file=Path("/etc/thekeys/ca.pem"),
        prefix="doors/keys",
        discovery_prefix=None,
        interval=5.0,
        max_command_age=8.5,
        max_clock_skew=2.0,
        commands=CommandPolicy.ANY,
        http=None,
        http_token_file=Path("/home/somebody/token"),
    )
    assert config.bridge.broker == f"mqtts://thekeys:{SECRET}@192.168.0.2"
    with_password = load_config(write(f'[bridge]\nusername = "thekeys"\npassword = "{SECRET}"\n')).bridge
    assert with_password.password == SECRET


def test_no_secret_is_in_a_repr_or_an_attribute(write):
    config = load_config(write(HALL + FRONT + f'[bridge]\nbroker = "mqtt://a:{SECRET}@h"\npassword = "{SECRET}"\n'))
    for value in (config, config.lockers["front-door"], config.bridge):
        assert SECRET not in repr(value)
        assert SECRET not in repr(attrs.asdict(value))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[bridge]\nbrokr = 'mqtt://h'", "bridge: there is a key that means nothing here"),
        ("[bridge]\nbroker = 'https://geheim'", "broker is mqtt://HOST"),
        ("[bridge]\nbroker = 'mqtt://:geheim@'", "broker is mqtt://HOST"),
        ("[bridge]\nbroker = 'mqtt://geheim:x'", "broker is mqtt://HOST"),
        ("[bridge]\nbroker = 1", "broker is text"),
        ("[bridge]\npassword = 'geheim'\npassword_file = '/geheim'", "exclude each other"),
        ("[bridge]\npassword_file = 'geheim'", "password_file is a file whose path begins"),
        ("[bridge]\nprefix = 'geheim/#'", "prefix is the beginning of a topic"),
        ("[bridge]\nprefix = false", "prefix is text"),
        ("[bridge]\ndiscovery_prefix = '/geheim'", "discovery_prefix is the beginning"),
        ("[bridge]\ndiscovery_prefix = true", "discovery_prefix is text"),
        ("[bridge]\ninterval = 0", "interval is a number of seconds above 0"),
        ("[bridge]\nmax_command_age = inf", "max_command_age is a number of seconds above 0"),
        ("[bridge]\nmax_clock_skew = nan", "max_clock_skew is a number of seconds above 0"),
        ("[bridge]\ninterval = '10'", "interval is a number of seconds"),
        ("[bridge]\ninterval = true", "interval is a number of seconds"),
        ("[bridge]\ncommands = 'geheim'", "commands is one of stamped, any, none"),
        ("[bridge]\nhttp = '127.0.0.1'", "http is an address and a port"),
        ("[bridge]\nhttp = 'geheim:x'", "http is an address and a port"),
        ("[bridge]\nhttp = true", "http is text"),
        ("bridge = 'geheim'", "bridge is a table"),
        (HALL + FRONT + "bridge = 'geheim'", "lockers.front-door: bridge is true or false"),
        (HALL + FRONT + "area = ''", "lockers.front-door: area is text"),
        ("lockers = 'geheim'", "lockers is a table of tables"),
        ("lockers.a = 'geheim'", "lockers.a is a table"),
        ("[gateways.hall]\nhost = 'https://geheim'", "gateways.hall: host"),
        ("geheim", "at end of document"),
        ("x = " + "[" * 20_000, "nested too deeply"),
        ('[lockers."\\u001b]0;geheim\\u0007"]', "identifier is the locker's number"),
        (HALL + FRONT.replace("45961123", "9223372036854775809"), "identifier is the locker's number"),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_repeated(write, text, words):
    path = write(text)
    with pytest.raises(ConfigurationError) as raised:
        load_config(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    assert SECRET not in str(raised.value) or "u001b" in text  # a name is no secret
    assert str(raised.value).isprintable()
    assert isinstance(raised.value, TheKeysError)
    assert not raised.value.may_have_executed


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_file_that_others_can_read_is_refused(write):
    path = write(HALL, mode=0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_config()
    path.chmod(0o600)
    assert load_config()


def test_a_file_that_is_not_there_is_an_error_and_no_empty_house(tmp_path, monkeypatch):
    for call in (load_config, lambda: load_config(tmp_path / "none.toml")):
        with pytest.raises(ConfigurationError, match="thekeys setup"):
            call()
    monkeypatch.setenv("THEKEYS_CONFIG", str(tmp_path / "named.toml"))
    with pytest.raises(ConfigurationError, match=r"named\.toml"):
        load_config()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(ConfigurationError, match=r"thekeys-async\[config\]"):
        load_config()


def test_a_redis_that_can_not_be_used(monkeypatch):
    monkeypatch.setenv("THEKEYS_REDIS_URL", f"ftp://:{SECRET}@x")
    with pytest.raises(ConfigurationError, match="THEKEYS_REDIS_URL") as raised:
        Config().coordinator()
    assert SECRET not in str(raised.value)
