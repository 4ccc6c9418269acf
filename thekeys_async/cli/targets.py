"""The gateways and lockers that names stand for. The file is opened only where flags and environment leave a gap."""

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from thekeys_async.cli.errors import unusable_file
from thekeys_async.cli.names import found, nearest_first
from thekeys_async.cli.settings import CommandSettings, as_number
from thekeys_async.config.coordinator import default_config_path
from thekeys_async.config.errors import ConfigurationError
from thekeys_async.config.file import load, missing, save
from thekeys_async.config.values import Config, GatewayConfig, LockerConfig
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable

_NEW = 24 * 3600
"""Seconds since the file was written, in which a share of `thekeys setup` may not have been synchronised yet."""


def _hidden(codes: "Mapping[int, str | Secret]") -> dict[int, Secret]:
    return {identifier: Secret(code) if isinstance(code, str) else code for identifier, code in codes.items()}


@attrs.frozen
class Watched:
    """A gateway to be watched.

    Attributes:
        host: Its address.
        name: What the file calls it, or None.
    """

    host: str
    name: str | None = None
    _codes: Mapping[int, Secret] = attrs.field(alias="codes", factory=dict[int, Any], converter=_hidden)

    @property
    def codes(self) -> dict[int, str]:
        """The share codes for its lockers, by their numbers."""
        return {identifier: code.reveal() for identifier, code in self._codes.items()}


def gateway_named(settings: CommandSettings) -> CommandSettings:
    """Fill in which gateway to ask: the one that is named, else the only one of the file.

    Raises:
        click.UsageError: There is none of that name, or several and no name.
        Failure: The file can't be used.
    """
    if settings.target is None and settings.chosen_host is not None:
        return settings
    path, configuration = _configuration(settings)
    if settings.target is None:
        return attrs.evolve(settings, configured_host=_only_host(configuration))
    name = _name(path, "gateway", configuration.gateways, settings.target)
    return attrs.evolve(settings, configured_host=configuration.gateways[name].host)


def all_gateways(settings: CommandSettings, *, wanted: bool) -> tuple[tuple[Watched, ...], Mapping[int, str]] | None:
    """Find the gateways to ask if all of the file are meant: where none is named and there are several.

    Args:
        settings: The flags.
        wanted: Whether all were asked for, also if there is one alone.

    Returns:
        The gateways, and what the file calls lockers, by their numbers; None if one gateway is meant.

    Raises:
        click.UsageError: One is named, too, or the file names none.
        Failure: The file can't be used.
    """
    one = settings.target is not None or settings.given_host is not None
    if wanted and one:
        raise click.UsageError("--all and a gateway contradict each other.")
    if one or (settings.chosen_host is not None and not wanted):
        return None
    path, configuration = _configuration(settings)
    if wanted and not configuration.gateways:
        raise _not_there(path, "gateway", ())
    if len(configuration.gateways) <= (0 if wanted else 1):
        return None
    gateways = tuple(Watched(each.host, name) for name, each in configuration.gateways.items())
    return gateways, configuration.names


def locker_named(settings: CommandSettings, *, signed: bool) -> CommandSettings:
    """Fill in which locker to drive, with which code, through which gateway; what is given stays.

    Args:
        settings: The flags.
        signed: Whether a share code is needed.

    Raises:
        click.UsageError: There is none of that name, or it can't be told which gateway.
        Failure: The file can't be used.
    """
    complete = settings.chosen_host is not None and (settings.code is not None or not signed)
    if settings.target is None and (settings.identifier is None or complete):
        return settings
    path, configuration = _configuration(settings)
    settings = _number_as_identifier(settings, configuration)
    locker = _locker(settings, path, configuration)
    if locker is None:
        if settings.chosen_host is None and len(configuration.gateways) > 1:
            unknown = f"No locker of that number is in {printable(str(path))}. Say with --host through which gateway"
            raise click.UsageError(f"{unknown} it is driven; there are: {_listed(configuration.gateways)}.")
        host = None if settings.chosen_host is not None else _only_host(configuration)
        return attrs.evolve(settings, configured_host=host)
    return attrs.evolve(
        settings,
        first_advice=_first_advice(path, configuration, locker) if settings.code is None else "",
        configured_host=configuration.gateways[locker.gateway].host,
        identifier=locker.identifier if settings.identifier is None else settings.identifier,
        code=locker.code if settings.code is None else settings.code,
    )


def gateways_watched(settings: CommandSettings, names: Sequence[str]) -> tuple[tuple[Watched, ...], Mapping[int, str]]:
    """Find which gateways to watch: those given by flag and name, else that of the environment, else all of the file.

    Returns:
        The gateways, and what the file calls lockers, by their numbers.

    Raises:
        click.UsageError: The file has none of that name, or it can't be told whose share code was given.
        Failure: The file can't be used.
    """
    if settings.identifier is None and settings.given_code is not None:
        raise click.UsageError("Say with -i whose share code that is.")
    if not names and settings.chosen_host is not None:
        one = locker_named(settings, signed=True)
        return tuple(Watched(host, codes=_own_code(one)) for host in one.given_hosts or (one.host,)), {}
    path, configuration = _configuration(settings)
    names = [_name(path, "gateway", configuration.gateways, name) for name in names]
    own = [Watched(host, codes=_own_code(settings)) for host in settings.given_hosts]
    of_file = [
        Watched(configuration.gateways[name].host, name, configuration.share_codes(name) | _own_code(settings))
        for name in names or configuration.gateways
    ]
    chosen = tuple(of_file + own) or (Watched(settings.host, codes=_own_code(settings)),)
    return chosen, configuration.names


def gateways_of_file(settings: CommandSettings, names: Sequence[str]) -> tuple[Config, list[str]]:
    """Read the file, and find the gateways of it that are named, however they are capitalised.

    Raises:
        click.UsageError: The file has none of that name.
        Failure: The file can't be used.
    """
    path, configuration = _configuration(settings)
    return configuration, [_name(path, "gateway", configuration.gateways, name) for name in names]


def configured_state_dir(settings: CommandSettings) -> Path | None:
    """Say which folder the file names for turns and timestamps; None if it names none.

    Raises:
        Failure: The file can't be used.
    """
    return _configuration(settings)[1].state_dir


def locker_of_file(settings: CommandSettings, name: str) -> LockerConfig | None:
    """Find a locker that the file names; None if it names none so.

    Raises:
        Failure: The file can't be used.
    """
    lockers = _configuration(settings)[1].lockers
    known = found(lockers, name)
    return None if known is None else lockers[known]


def gateway_of_file(settings: CommandSettings, name: str) -> GatewayConfig | None:
    """Find a gateway that the file names; None if it names none so.

    Raises:
        Failure: The file can't be used.
    """
    gateways = _configuration(settings)[1].gateways
    known = found(gateways, name)
    return None if known is None else gateways[known]


def read(settings: CommandSettings, path: Path) -> tuple[Config, Secret | None]:
    """Read the file and its text; an empty configuration where there is none.

    Raises:
        Failure: It can't be used.
    """
    try:
        return load(path) or (Config(), None)
    except ConfigurationError as error:
        failure = unusable_file(error, settings)
    raise failure


def save_text(settings: CommandSettings, path: Path, text: Secret, *, after: str = "") -> None:
    """Write the file.

    Args:
        settings: The flags.
        path: Where it is.
        text: What it shall say.
        after: What has been done before, as the beginning of a sentence.

    Raises:
        Failure: It can't be written.
    """
    try:
        save(path, text)
    except ConfigurationError as error:
        failure = unusable_file(error, settings, after)
    else:
        return
    raise failure


def path_of(settings: CommandSettings) -> Path:
    """Say where the file is."""
    return settings.given_config or default_config_path()


def _configuration(settings: CommandSettings) -> tuple[Path, Config]:
    path = path_of(settings)
    configuration, text = read(settings, path)
    if text is None and settings.given_config is not None:
        raise unusable_file(missing(path), settings)
    return path, configuration


def _locker(settings: CommandSettings, path: Path, configuration: Config) -> LockerConfig | None:
    if settings.target is not None:
        return configuration.lockers[_name(path, "locker", configuration.lockers, settings.target)]
    known = (locker for locker in configuration.lockers.values() if locker.identifier == settings.identifier)
    return next(known, None)


def _first_advice(path: Path, configuration: Config, locker: LockerConfig) -> str:
    """Ask for the synchronisation where the file, and so perhaps the share, is new."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return ""
    if age > _NEW:
        return ""
    gateway, name = (shlex.quote(each) for each in (locker.gateway, configuration.names[locker.identifier]))
    steps = f"'thekeys synchronize {gateway}' and 'thekeys synchronize_locker {name}'"
    return f"Not synchronised yet? Run {printable(steps)}, then try again. If it was: "


def _number_as_identifier(settings: CommandSettings, configuration: Config) -> CommandSettings:
    """Take a number in the place of a name as a locker's identifier, unless the file has it for a name."""
    number = None if settings.target is None else as_number(settings.target)
    if number is None or settings.target in configuration.lockers:
        return settings
    return attrs.evolve(
        settings, target=None, identifier=number if settings.identifier is None else settings.identifier
    )


def _name(path: Path, kind: str, names: Iterable[str], typed: str) -> str:
    """Find a name of the file, however it is capitalised.

    Raises:
        click.UsageError: There is none; it lists what there is, the nearest first.
    """
    name = found(names, typed)
    if name is None:
        raise _not_there(path, f"{kind} of that name", nearest_first(names, typed))
    return name


def _own_code(settings: CommandSettings) -> dict[int, str]:
    if settings.identifier is None or settings.code is None:
        return {}
    return {settings.identifier: settings.code}


def _only_host(configuration: Config) -> str | None:
    gateways = list(configuration.gateways.values())
    if len(gateways) > 1:
        there = _listed(configuration.gateways)
        raise click.UsageError(f"Say which gateway, by name or with --host; there are: {there}.")
    return gateways[0].host if gateways else None


def _not_there(path: Path, what: str, names: Sequence[str]) -> click.UsageError:
    """Say which names there are, and not what was typed: it may have been a share code."""
    file = printable(str(path))
    if names:
        return click.UsageError(f"No {what} is in {file}; there are: {_listed(names)}.")
    where = f"is in {file}" if path.exists() else f"is known: there is no {file}"
    flags = "--host, -i and -c" if what.startswith("locker") else "--host"
    return click.UsageError(f"No {what} {where}. Run 'thekeys setup', or give {flags}.")


def _listed(names: Iterable[str]) -> str:
    return printable(", ".join(names))
