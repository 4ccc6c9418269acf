"""From the tables of the file to values. Pure; no error repeats a text of the file, as it may be a share code."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from thekeys_async.config.values import BridgeConfig, CommandPolicy, Config, GatewayConfig, LockerConfig
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.models import NATURAL

_TOP = "the file"
_LOCKER = frozenset({"identifier", "gateway", "code", "bridge", "area"})


def parse(tables: Mapping[str, Any]) -> Config:
    """Make values of the file's tables.

    Raises:
        ValueError: A key is unknown or missing, or its value makes no sense.
        TypeError: A value is of another type.
    """
    _check_keys(_TOP, tables, {"gateways", "lockers", "state_dir", "bridge"})
    gateways = {name: _gateway(f"gateways.{name}", table) for name, table in _tables(tables, "gateways")}
    lockers = {name: _locker(f"lockers.{name}", table) for name, table in _tables(tables, "lockers")}
    for name, locker in lockers.items():
        if locker.gateway not in gateways:
            raise ValueError(f"lockers.{name}: there is no gateway of the name that stands there")
    return Config(gateways, lockers, _path(_TOP, tables, "state_dir", "a folder"), _bridge(_table(tables, "bridge")))


def _gateway(where: str, table: Mapping[str, Any]) -> GatewayConfig:
    _check_keys(where, table, {"host", "id"})
    host, number = _text(where, table, "host"), _text(where, table, "id")
    if host is None:
        raise ValueError(f"{where}: host is missing")
    try:
        Address.parse(host)
    except ValueError as error:
        raise ValueError(f"{where}: host: {error}") from None
    return GatewayConfig(host, number)


def _locker(where: str, table: Mapping[str, Any]) -> LockerConfig:
    _check_keys(where, table, _LOCKER)
    identifier, gateway = table.get("identifier"), _text(where, table, "gateway")
    if isinstance(identifier, bool) or not isinstance(identifier, int) or identifier not in NATURAL:
        raise ValueError(f"{where}: identifier is the locker's number")
    if gateway is None:
        raise ValueError(f"{where}: gateway is missing")
    code = _text(where, table, "code")
    if code is not None and not code.isascii():
        raise ValueError(f"{where}: a share code is ASCII text")
    bridge = _flag(where, table, "bridge") if "bridge" in table else True
    return LockerConfig(identifier, gateway, code, bridge, _text(where, table, "area"))


def _bridge(table: Mapping[str, Any]) -> BridgeConfig:
    where, values = "bridge", dict[str, Any]()
    _check_keys(where, table, {field.alias for field in attrs.fields(BridgeConfig) if field.alias})
    for key in table:
        switched_off = key in {"discovery_prefix", "http"} and table[key] is False
        values[key] = None if switched_off else _BRIDGE.get(key, _text)(where, table, key)
    if "password" in values and "password_file" in values:
        raise ValueError(f"{where}: password and password_file exclude each other")
    return BridgeConfig(**values)


def _broker(where: str, table: Mapping[str, Any], key: str) -> str | None:
    url = _text(where, table, key)
    try:
        parts = urlsplit(url or "")
        sensible = parts.scheme in {"mqtt", "mqtts"} and parts.hostname and parts.port != 0
    except ValueError:
        sensible = False
    if not sensible:
        raise ValueError(f"{where}: broker is mqtt://HOST or mqtts://HOST, with :PORT where it is not the usual one")
    return url


def _listen(where: str, table: Mapping[str, Any], key: str) -> str | None:
    text = _text(where, table, key)
    try:
        Address.parse(text or "")
        sensible = urlsplit(f"//{text}").port is not None
    except ValueError:
        sensible = False
    if not sensible:
        raise ValueError(f"{where}: http is an address and a port, such as 127.0.0.1:9473, or false")
    return text


def _policy(where: str, table: Mapping[str, Any], key: str) -> CommandPolicy:
    known = {policy.value: policy for policy in CommandPolicy}
    word = _text(where, table, key)
    if word not in known:
        raise ValueError(f"{where}: commands is one of {', '.join(known)}")
    return known[word]


def _topic(where: str, table: Mapping[str, Any], key: str) -> str | None:
    topic = _text(where, table, key)
    if topic is not None and (set(topic) & set("+#\0") or topic.startswith(("/", "$")) or topic.endswith("/")):
        raise ValueError(f"{where}: {key} is the beginning of a topic, without +, # and / at its ends")
    return topic


def _flag(where: str, table: Mapping[str, Any], key: str) -> bool:
    value = table[key]
    if not isinstance(value, bool):
        raise TypeError(f"{where}: {key} is true or false")
    return value


def _seconds(where: str, table: Mapping[str, Any], key: str) -> float:
    number = table[key]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"{where}: {key} is a number of seconds")
    if not 0 < number < math.inf:
        raise ValueError(f"{where}: {key} is a number of seconds above 0")
    return float(number)


def _path(where: str, table: Mapping[str, Any], key: str, kind: str) -> Path | None:
    text = _text(where, table, key)
    if text is None:
        return None
    if not (Path(text).is_absolute() or text.startswith("~/")):
        raise ValueError(f"{where}: {key} is {kind} whose path begins with / or ~/")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{where}: {key} begins with ~/, and this user has no home folder") from None


def _tables(tables: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    named = _table(tables, key, "a table of tables")
    return [(name, _table(named, name, within=f"{key}.")) for name in named]


def _table(tables: Mapping[str, Any], key: str, kind: str = "a table", *, within: str = "") -> Mapping[str, Any]:
    found = tables.get(key, {})
    if not isinstance(found, dict):
        raise TypeError(f"{within}{key} is {kind}")
    return cast("dict[str, Any]", found)


def _check_keys(where: str, table: Mapping[str, Any], known: set[str] | frozenset[str]) -> None:
    if not table.keys() <= known:
        raise ValueError(f"{where}: there is a key that means nothing here; known are {', '.join(sorted(known))}")


def _text(where: str, table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not (isinstance(value, str) and value):
        raise TypeError(f"{where}: {key} is text that is not empty")
    return value


def _file(where: str, table: Mapping[str, Any], key: str) -> Path | None:
    return _path(where, table, key, "a file")


_BRIDGE: Mapping[str, Callable[[str, Mapping[str, Any], str], object]] = {
    "broker": _broker,
    "password_file": _file,
    "ca_file": _file,
    "http_token_file": _file,
    "interval": _seconds,
    "max_command_age": _seconds,
    "max_clock_skew": _seconds,
    "prefix": _topic,
    "discovery_prefix": _topic,
    "commands": _policy,
    "http": _listen,
    "standby": _flag,
}
"""The readers of the table's keys; the others are text."""
