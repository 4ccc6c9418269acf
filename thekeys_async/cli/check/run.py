"""`thekeys check`: asks, judges, prints, and ends with the code of the verdict."""

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import attrs
import click

from thekeys_async.cli import output
from thekeys_async.cli.check.asking import CheckPlan, observe
from thekeys_async.cli.check.screen import Naming, as_json, table
from thekeys_async.cli.check.verdict import report
from thekeys_async.cli.errors import Effect, ExitCode
from thekeys_async.cli.runner import chosen_coordinator, run, wire_recorder
from thekeys_async.cli.settings import CommandSettings, as_number
from thekeys_async.cli.targets import Watched, gateways_watched, locker_of_file
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.secrets import ShareCode
from thekeys_async.protocol.text import printable


@attrs.frozen
class CheckSettings:
    """The settings of `check`.

    Attributes:
        door: The locker to open and close, by its name or its number, or None.
        yes: Whether that was agreed to.
        save: The path of a recording, or None.
        anonymous: Whether the output may be sent to anyone.
    """

    door: str | None = None
    yes: bool = False
    save: Path | None = None
    anonymous: bool = False


PLAN = CheckPlan(address=Address("thekeys.local"))
"""How a check asks; the command puts the gateway in."""


def run_check(settings: CommandSettings, wanted: CheckSettings) -> None:
    """Check one gateway, and print what was found.

    Raises:
        click.UsageError: A flag or a name makes no sense.
        click.exceptions.Exit: It is not all well; with the code of the verdict.
        Failure: It could not be asked.
    """
    watched, names = _gateway(settings, wanted.door)
    door = None if wanted.door is None else _door(settings, wanted.door, watched)
    coordinator, effect = chosen_coordinator(settings), Effect.NONE if door is None else Effect.DOOR
    if door is not None and not wanted.yes:
        click.confirm(
            f"Locker {names.get(door, door)}: its bolt is drawn back and pushed out. Go on?", abort=True, err=True
        )
    plan = attrs.evolve(
        PLAN,
        address=_address(watched),
        codes={identifier: ShareCode(code) for identifier, code in watched.codes.items()},
        coordinator=coordinator,
        door=door,
        seconds=min(PLAN.seconds, settings.timeout or PLAN.seconds),
    )
    naming = Naming(watched.name or str(plan.address), {} if wanted.anonymous else names, anonymous=wanted.anonymous)
    with wire_recorder(settings, wanted.save) as recorder, output.waiting(settings, "checking, a minute at most ..."):
        seen = run(settings, effect, partial(observe, attrs.evolve(plan, recorder=recorder)), coordinator)
    judged = report(seen)
    with output.said(effect, as_json=settings.json):
        if settings.json or wanted.anonymous:
            output.print_json(as_json(judged, seen, naming, version("thekeys-async")))
        else:
            output.print_rich(*table(judged, naming, output.console()))
            if wanted.save is not None:
                where = printable(str(wanted.save))
                output.print_rich(f"Recorded in {where}: look through it, then send it to anyone.")
    if judged.code is not ExitCode.DONE:
        raise click.exceptions.Exit(judged.code)


def _gateway(settings: CommandSettings, door: str | None) -> tuple[Watched, Mapping[int, str]]:
    """Find the one gateway that is meant, that of the door if none is named, and the share codes for its lockers."""
    named = settings.target
    if named is None and settings.chosen_host is None and door is not None:
        known = locker_of_file(settings, door)
        named = None if known is None else known.gateway
    names = [] if named is None else [named]
    chosen, lockers = gateways_watched(settings, names)
    if len(chosen) > 1:
        listed = printable(", ".join(each.name or each.host for each in chosen))
        raise click.UsageError(f"Say which gateway, by name or with --host; there are: {listed}.")
    return next(iter(chosen)), lockers


def _address(watched: Watched) -> Address:
    try:
        return Address.parse(watched.host)
    except ValueError as error:
        raise click.UsageError(f"--host: {error}") from None


def _door(settings: CommandSettings, typed: str, watched: Watched) -> int:
    """Find the number of the door to be tried; the check must know its share code."""
    known = locker_of_file(settings, typed)
    number = as_number(typed) if known is None else known.identifier
    if number is None:
        raise click.UsageError("--open-and-close: no locker of that name is in the configuration file.")
    if number not in watched.codes:
        raise click.UsageError("--open-and-close: no share code is known for that door; give -i and -c, too.")
    return number
