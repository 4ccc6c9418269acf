"""Names as people type them: in any case, nearly right, or begun and completed by the shell."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from thekeys_async.cli.settings import CommandSettings

if TYPE_CHECKING:
    from thekeys_async.config.values import Config

_NEAR = 0.6


def found(names: Iterable[str], typed: str) -> str | None:
    """Find the name that is meant: as it stands, else the only one that differs in case alone.

    Args:
        names: Those there are.
        typed: The name as it was typed.
    """
    there = list(names)
    if typed in there:
        return typed
    alike = [name for name in there if name.casefold() == typed.casefold()]
    return alike[0] if len(alike) == 1 else None


def nearest_first(names: Iterable[str], typed: str) -> list[str]:
    """Sort names by how much they look like what was typed; equally near ones stay in order."""
    return sorted(names, key=lambda name: -_likeness(name, typed))


def nearest(names: Iterable[str], typed: str) -> str | None:
    """Pick the name that was probably meant, or None where none looks like what was typed."""
    first = next(iter(nearest_first(names, typed)), None)
    return first if first is not None and _likeness(first, typed) >= _NEAR else None


def _likeness(name: str, typed: str) -> float:
    return SequenceMatcher(None, name.casefold(), typed.casefold(), autojunk=False).ratio()


def complete_locker(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the lockers of the configuration file to the shell."""
    return _beginning(typed, _configuration(context).lockers)


def complete_gateway(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the gateways of the configuration file to the shell."""
    return _beginning(typed, _configuration(context).gateways)


def _configuration(context: click.Context) -> "Config":
    """Read the file; a file that can't be used offers no names, and the command itself says why."""
    # Whoever completes no name needs no file.
    from thekeys_async.config.coordinator import default_config_path  # noqa: PLC0415
    from thekeys_async.config.errors import ConfigurationError  # noqa: PLC0415
    from thekeys_async.config.file import load  # noqa: PLC0415
    from thekeys_async.config.values import Config  # noqa: PLC0415

    try:
        read = load(CommandSettings.of(context).given_config or default_config_path())
    except ConfigurationError:
        read = None
    return Config() if read is None else read[0]


def _beginning(typed: str, names: Iterable[str]) -> list[CompletionItem]:
    begin = typed.casefold()
    return [CompletionItem(name) for name in names if name.casefold().startswith(begin) and name.isprintable()]
