"""Completion in the shell: the names of the configuration file."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from thekeys_async.cli.options import Settings

if TYPE_CHECKING:
    from thekeys_async.config.values import Config

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def lockers(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of lockers."""
    return _beginning(typed, _configuration(context).lockers)


def gateways(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of gateways."""
    return _beginning(typed, _configuration(context).gateways)


OF: dict[str, Complete] = {"LOCKER": lockers, "GATEWAY": gateways}
"""Completes a target by its kind."""


def _configuration(context: click.Context) -> "Config":
    """Read the file; a file that can't be used offers no names, and the command itself says why."""
    # Whoever completes no name needs no file.
    from thekeys_async.config.errors import ConfigurationError  # noqa: PLC0415
    from thekeys_async.config.file import load  # noqa: PLC0415
    from thekeys_async.config.sharing import default_config_path  # noqa: PLC0415
    from thekeys_async.config.values import Config  # noqa: PLC0415

    try:
        read = load(Settings.of(context).given_config or default_config_path())
    except ConfigurationError:
        read = None
    return Config() if read is None else read[0]


def _beginning(typed: str, names: Iterable[str]) -> list[CompletionItem]:
    begin = typed.casefold()
    return [CompletionItem(name) for name in names if name.casefold().startswith(begin) and name.isprintable()]
