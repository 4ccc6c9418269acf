"""`search` and `status` of all gateways of the configuration file at once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
from rich.text import Text

from thekeys_async import AsyncGateway, Fleet, FleetResult, GatewayStatus, LockerReading, TheKeysError, battery_percent
from thekeys_async.cli import output
from thekeys_async.cli.errors import Effect, ExitCode, Failure, as_fields, exit_code, in_words, other_failure
from thekeys_async.cli.runner import chosen_coordinator, run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.signal_strength import style
from thekeys_async.cli.tables import COMPACT, Cell, Field, fitted
from thekeys_async.cli.targets import Watched
from thekeys_async.protocol.text import printable

_BUDGET = 5.0
"""Seconds for each gateway: one that is away keeps nobody waiting for long."""

_LISTED = 5


@attrs.frozen
class Overview:
    """The answers of all gateways, ready to be shown: a row and a value for each locker, or gateway.

    Attributes:
        fields: The table's columns.
        rows: Its rows, those of gateways that did not answer at the end.
        values: The same as JSON's types.
    """

    fields: Sequence[Field]
    rows: Sequence[Sequence[Cell]]
    values: Sequence[Mapping[str, object]]


def ask_all(settings: CommandSettings, action: str, gateways: Sequence[Watched], names: Mapping[int, str]) -> None:
    """Ask all of them at once, and show what each said; those that did not answer come last.

    Args:
        settings: The flags; their time is each gateway's.
        action: `search` or `status`.
        gateways: Those of the file.
        names: The lockers' names in the file.

    Raises:
        Failure: Some did not answer; those that did have been shown.
    """
    coordinator = chosen_coordinator(settings)
    made = {each.name or each.host: AsyncGateway(each.host, coordinator=coordinator) for each in gateways}
    budget = settings.timeout or _BUDGET
    ask: Callable[[AsyncGateway], Awaitable[Any]]
    tell: Callable[[FleetResult[Any]], Overview]
    if action == "search":
        ask, tell = partial(AsyncGateway.lockers, timeout=budget), partial(overview_of_lockers, names=names)
    else:
        ask, tell = partial(AsyncGateway.status, timeout=budget), overview_of_statuses
    with output.waiting(settings, f"{action} ..."):
        found = run(settings, Effect.NONE, partial(_ask, made, ask), coordinator)
    overview = tell(found)
    table = fitted(overview.fields, overview.rows, output.console(), **COMPACT)
    output.show(settings, Effect.NONE, overview.values, table, *reasons(found))
    if found.errors:
        raise _unanswered(settings, action, found)


async def _ask(gateways: Mapping[str, AsyncGateway], ask: Callable[[AsyncGateway], Awaitable[Any]]) -> FleetResult[Any]:
    """Ask each gateway; what is no failure of a gateway's is a mistake of this program's."""
    async with Fleet(gateways) as fleet:
        found = await fleet.each(ask)
    for error in found.errors.values():
        if not isinstance(error, TheKeysError):
            raise error
    return found


def overview_of_lockers(found: FleetResult[tuple[LockerReading, ...]], names: Mapping[int, str]) -> Overview:
    """Make the overview of the lockers that each gateway sees; one that sees none has a row all the same."""
    fields = (
        Field("Gateway", whole=True),
        Field("Locker", whole=True),
        Field("Identifier", right=True, whole=True, leaves=2),
        Field("RSSI", right=True, whole=True),
        Field("Battery", right=True, whole=True, leaves=1),
        Field("Last event", right=True, whole=True, leaves=3),
    )
    seen: list[tuple[str, LockerReading | None]] = []
    for gateway, readings in found.values.items():
        seen += [(gateway, reading) for reading in sorted(readings, key=lambda each: each.identifier)]
        seen += [] if readings else [(gateway, None)]
    rows = [_reading_row(gateway, reading, names) for gateway, reading in seen]
    rows += [(printable(gateway), Text("no answer", "bold red"), "", "", "", "") for gateway in found.errors]
    values = [_reading_value(gateway, reading, names) for gateway, reading in seen]
    values += [_reading_value(gateway, None, names, error) for gateway, error in found.errors.items()]
    return Overview(fields, rows, values)


def _reading_row(gateway: str, reading: LockerReading | None, names: Mapping[int, str]) -> tuple[Cell, ...]:
    if reading is None:
        return (printable(gateway), "sees none", "", "", "", "")
    number, rssi, millivolts = reading.identifier, reading.rssi, reading.battery_mv
    return (
        printable(gateway),
        printable(names.get(number, str(number))),
        str(number),
        "-" if rssi is None else Text(f"{rssi} dBm", style(rssi)),
        output.battery_cell(millivolts),
        output.number(reading.last_log),
    )


def _reading_value(
    gateway: str, reading: LockerReading | None, names: Mapping[int, str], error: Exception | None = None
) -> dict[str, object]:
    empty = dict.fromkeys(field.name for field in attrs.fields(LockerReading))
    return {
        "gateway": gateway,
        "name": None if reading is None else names.get(reading.identifier),
        **(empty if reading is None else attrs.asdict(reading)),
        "battery_percent": None if reading is None else battery_percent(reading.battery_mv),
        **as_fields(error),
    }


def overview_of_statuses(found: FleetResult[GatewayStatus]) -> Overview:
    """Make the overview of what each gateway is doing."""
    fields = (
        Field("Gateway", whole=True),
        Field("Firmware", right=True, whole=True, leaves=1),
        Field("Phase"),
        Field("Synchronising", leaves=2),
    )
    rows: list[Sequence[Cell]] = [
        (printable(name), output.number(each.version), printable(each.phase), "yes" if each.synchronizing else "no")
        for name, each in found.values.items()
    ]
    rows += [(printable(name), "", Text("no answer", "bold red"), "") for name in found.errors]
    values = [_status_value(name, each) for name, each in found.values.items()]
    values += [_status_value(name, None, error) for name, error in found.errors.items()]
    return Overview(fields, rows, values)


def _status_value(gateway: str, status: GatewayStatus | None, error: Exception | None = None) -> dict[str, object]:
    return {
        "gateway": gateway,
        "version": status and status.version,
        "phase": status and status.phase,
        "synchronizing": status and status.synchronizing,
        **as_fields(error),
    }


def reasons(found: FleetResult[Any]) -> list[Text]:
    """Write for each gateway that did not answer why not."""
    return [Text(f"{printable(name)}: {in_words(error, None)}", "yellow") for name, error in found.errors.items()]


def _unanswered(settings: CommandSettings, action: str, found: FleetResult[Any]) -> Failure:
    """Make the failure of those that did not answer: their own code if they agree on one."""
    codes = {exit_code(error) for error in found.errors.values() if isinstance(error, TheKeysError)}
    code = codes.pop() if len(codes) == 1 else ExitCode.UNREACHABLE
    names = list(found.errors)
    listed = printable(", ".join(names[:_LISTED])) + (f" and {len(names) - _LISTED} more" * (len(names) > _LISTED))
    many = len(found.errors) + len(found.values)
    sentence = f"{settings.typed or action}: {len(names)} of {many} gateways did not answer ({listed}); no door moved."
    return other_failure("GatewaysUnanswered", sentence, code, as_json=settings.json)
