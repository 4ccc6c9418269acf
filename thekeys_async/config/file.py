"""The configuration file: gateways and lockers by name.

It holds share codes, so nobody but its owner may read it, and no frame here that can raise binds its text: a traceback
may be rendered with local variables.
"""

import os
import stat
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

from thekeys_async.config.coordinator import default_config_path
from thekeys_async.config.errors import ConfigurationError
from thekeys_async.config.parsing import parse
from thekeys_async.config.values import Config
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_config(path: str | os.PathLike[str] | None = None) -> Config:
    """Read the configuration file of the command `thekeys`.

    Args:
        path: Where it is; else where THEKEYS_CONFIG says, else in the platform's folder for configuration.

    Raises:
        ConfigurationError: There is none, it makes no sense, or others could read or change it.
    """
    given = path or os.environ.get("THEKEYS_CONFIG")
    where = Path(given) if given else default_config_path()
    found = load(where)
    if found is None:
        raise missing(where)
    return found[0]


def missing(path: Path) -> ConfigurationError:
    """Say that there is no file."""
    return ConfigurationError(f"There is no {path}. Run 'thekeys setup', or say where it is with --config.")


def load(path: Path) -> tuple[Config, Secret] | None:
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
    """Open a file without waiting: a FIFO would keep the program, deaf to signals, until somebody writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _objection(path: Path, found: os.stat_result) -> str | None:
    """Return the reason why an open file is not to be trusted; None if it is."""
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is no regular file. Say with --config where the file is."
    if sys.platform == "win32":
        return None
    if os.geteuid() not in {0, found.st_uid} and found.st_uid != 0:
        return f"{path} belongs to another user, who could send commands elsewhere. Say with --config where yours is."
    if found.st_mode & _OTHERS and not _is_credential(path, found):
        return f"{path} can be read or changed by others, and holds share codes. Run: chmod 600 '{path}'"
    return None


def _is_credential(path: Path, found: os.stat_result) -> bool:
    """Whether systemd has handed the file to this service: an access list, shown as the group's bits, lets it read."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    strict = found.st_uid == 0 and not found.st_mode & (stat.S_IRWXO | stat.S_IWGRP)
    return folder is not None and strict and path.resolve().parent == Path(folder).resolve()


def _write(draft: Path, text: Secret) -> None:
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.reveal().encode())
        file.flush()
        os.fsync(file.fileno())


def _understood(text: Secret) -> Config | str:
    """Make values of the text, or say what is wrong with it: in words, as an exception would hold the text."""
    try:
        return parse(tomllib.loads(text.reveal()))
    except (TypeError, ValueError) as error:  # TOMLDecodeError is a ValueError
        return printable(str(error))
    except RecursionError:
        return "it is nested too deeply"
