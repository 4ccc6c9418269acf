"""The configuration file: gateways and lockers by name.

It holds share codes, so nobody but its owner may read it, and no frame here that can raise binds its text: a traceback
may be rendered with local variables.
"""

import getpass
import os
import stat
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import attrs

from thekeys_async.protocol.address import Address
from thekeys_async.protocol.secrets import Secret

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class ConfigurationError(Exception):
    """The file can't be used; says why, and what to do about it."""


@attrs.frozen
class ConfiguredGateway:
    """A gateway of the file.

    Attributes:
        host: Its address.
        id: The cloud's text identifier for it, by which `thekeys setup` finds it again.
    """

    host: str
    id: str | None = None


@attrs.frozen
class ConfiguredLocker:
    """A locker of the file.

    Attributes:
        identifier: Its number.
        gateway: The name of the gateway that drives it.
        code: The share code of the two.
    """

    identifier: int
    gateway: str
    code: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Configuration:
    """What the file says.

    Attributes:
        gateways: By name.
        lockers: By name.
        state_dir: The folder where turns and timestamps are shared, or None.
    """

    gateways: Mapping[str, ConfiguredGateway] = attrs.field(factory=dict[str, ConfiguredGateway])
    lockers: Mapping[str, ConfiguredLocker] = attrs.field(factory=dict[str, ConfiguredLocker])
    state_dir: Path | None = None


def default_path() -> Path:
    """Say where the file is if nobody says otherwise: in the platform's folder for configuration."""
    import platformdirs  # noqa: PLC0415 - not needed by whoever says where the file is

    return own_folder(platformdirs.user_config_path) / "config.toml"


def own_folder(find: Callable[..., Path]) -> Path:
    """Take this user's folder, or one for temporary files where the user has no home: in many containers.

    Nobody else's is taken for it: whoever uses it checks whose it is.

    Args:
        find: One of platformdirs' functions.
    """
    with suppress(RuntimeError):  # a user without a home
        if (folder := find("thekeys", appauthor=False)).is_absolute():
            return folder
    user = str(os.getuid()) if sys.platform != "win32" else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"thekeys-{user}"


def load(path: Path) -> tuple[Configuration, Secret] | None:
    """Read the file.

    Returns:
        What it says, and its text; None if there is no file.

    Raises:
        ConfigurationError: Others can read it, it can't be read, or makes no sense.
    """
    text = _read(path)
    if text is None:
        return None
    found = _understood(text)
    if isinstance(found, str):
        raise ConfigurationError(f"{path} makes no sense: {found}. Mend it, or move it away and run 'thekeys setup'.")
    return found, text


def save(path: Path, text: Secret) -> None:
    """Write the file, readable for its owner only from its first byte on; the old one is there until it is done.

    Raises:
        ConfigurationError: It can't be written.
    """
    target = path.resolve()
    draft = target.with_name(f"{target.name}.{os.getpid()}.new")
    problem = None
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(draft, text)
        draft.replace(target)
    except OSError as error:
        problem = error.strerror
        with suppress(OSError):
            draft.unlink()
    if problem is not None:
        raise ConfigurationError(f"{path} can't be written ({problem}). Mend that, or say where with --config.")


def _read(path: Path) -> Secret | None:
    problem = None
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            # Asked of the open file: a path may be another file a moment later.
            problem = _objection(path, os.fstat(file.fileno()))
            if problem is None:
                return Secret(file.read().decode())
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"{path} can't be read ({error.strerror}). Mend that, or say where it is with --config."
    except UnicodeDecodeError:
        problem = f"{path} makes no sense: it is not UTF-8. Mend it, or move it away and run 'thekeys setup'."
    raise ConfigurationError(problem)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, and wait for nobody: a FIFO would keep the program, deaf to signals, until somebody writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _objection(path: Path, found: os.stat_result) -> str | None:
    """Say why an open file is not to be trusted, if it is not."""
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is no regular file. Say with --config where the file is."
    if sys.platform == "win32":
        return None
    if os.geteuid() not in {0, found.st_uid} and found.st_uid != 0:
        return f"{path} belongs to another user, who could send commands elsewhere. Say with --config where yours is."
    if found.st_mode & _OTHERS:
        return f"{path} can be read or changed by others, and holds share codes. Run: chmod 600 '{path}'"
    return None


def _write(draft: Path, text: Secret) -> None:
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.reveal().encode())
        file.flush()
        os.fsync(file.fileno())


def _understood(text: Secret) -> Configuration | str:
    """Make values of the text, or say what is wrong with it: in words, as an exception would hold the text."""
    try:
        return _configuration(tomllib.loads(text.reveal()))
    except tomllib.TOMLDecodeError as error:
        return str(error)
    except (TypeError, ValueError) as error:
        return str(error)


def _configuration(tables: dict[str, Any]) -> Configuration:
    _check_keys("the file", tables, {"gateways", "lockers", "state_dir"})
    gateways = {name: _gateway(f"gateways.{name}", table) for name, table in _tables(tables, "gateways")}
    lockers = {name: _locker(f"lockers.{name}", table) for name, table in _tables(tables, "lockers")}
    for name, locker in lockers.items():
        if locker.gateway not in gateways:
            raise ValueError(f"lockers.{name}: there is no gateway of the name that stands there")
    return Configuration(gateways, lockers, _state_dir(tables))


def _gateway(where: str, table: dict[str, Any]) -> ConfiguredGateway:
    _check_keys(where, table, {"host", "id"})
    host, number = _text(where, table, "host"), _text(where, table, "id")
    if host is None:
        raise ValueError(f"{where}: host is missing")
    try:
        Address.parse(host)
    except ValueError as error:
        raise ValueError(f"{where}: host: {error}") from None
    return ConfiguredGateway(host, number)


def _locker(where: str, table: dict[str, Any]) -> ConfiguredLocker:
    _check_keys(where, table, {"identifier", "gateway", "code"})
    identifier, gateway = table.get("identifier"), _text(where, table, "gateway")
    if isinstance(identifier, bool) or not isinstance(identifier, int) or identifier < 0:
        raise ValueError(f"{where}: identifier is the locker's number")
    if gateway is None:
        raise ValueError(f"{where}: gateway is missing")
    code = _text(where, table, "code")
    if code is not None and not code.isascii():
        raise ValueError(f"{where}: a share code is ASCII text")
    return ConfiguredLocker(identifier, gateway, code)


def _state_dir(tables: dict[str, Any]) -> Path | None:
    text = _text("the file", tables, "state_dir")
    if text is None:
        return None
    if not (Path(text).is_absolute() or text.startswith("~/")):
        raise ValueError("the file: state_dir is a folder whose path begins with / or ~/")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("the file: state_dir begins with ~/, and this user has no home folder") from None


def _tables(tables: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    found = tables.get(key, {})
    if not isinstance(found, dict):
        raise TypeError(f"{key} is a table of tables")
    named = cast("dict[str, Any]", found)
    for name, table in named.items():
        if not isinstance(table, dict):
            raise TypeError(f"{key}.{name} is a table")
    return list(named.items())


def _check_keys(where: str, table: dict[str, Any], known: set[str]) -> None:
    if not table.keys() <= known:
        raise ValueError(f"{where}: there is a key that means nothing here; known are {', '.join(sorted(known))}")


def _text(where: str, table: dict[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not (isinstance(value, str) and value):
        raise TypeError(f"{where}: {key} is text that is not empty")
    return value
