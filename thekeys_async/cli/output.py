"""Output of answers: JSON for programs, rich for people."""

import io
import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from typing import TypeAlias

import attrs
import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from thekeys_async import (
    CommandResult,
    DoorState,
    GatewayStatus,
    LockerReading,
    LockerStatus,
    battery_percent,
)
from thekeys_async.cli.errors import Effect, ExitCode, Failure, discard, on_stderr, other_failure
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.tables import UNLIMITED, Field, fitted
from thekeys_async.protocol.text import printable


@attrs.frozen
class Moved:
    """A command after which the bolt was seen where it should be.

    Attributes:
        result: The gateway's result.
        status: The locker's status after it.
        waited: Seconds between the two.
    """

    result: CommandResult
    status: LockerStatus
    waited: float


Answer: TypeAlias = tuple[LockerReading, ...] | GatewayStatus | LockerStatus | CommandResult | Moved

BOLT_NOTE = "The state is the bolt's, not the leaf's: a door can stand open with its bolt out."
BATTERY_NOTE = "The battery's percentage is an estimate from its millivolts."
_LINES_HELD = 50
_STYLES: Mapping[DoorState, str] = {
    DoorState.OPEN: "green",
    DoorState.CLOSED: "blue",
    DoorState.UNKNOWN: "yellow",
    DoorState.JAMMED: "bold red",
}


@contextmanager
def said(effect: Effect, *, as_json: bool) -> Generator[None]:
    """Guard the output of an action: if it fails, the exit code still says what is true of the door.

    Args:
        effect: The effect of the action, which has succeeded.
        as_json: Whether a failure is said as JSON.

    Raises:
        Failure: Nothing was changed, and what was read could not be printed.
        BrokenPipeError: Nothing was changed, and nobody reads the output.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        discard(sys.stdout)
        if effect.changes:
            print_warning(f"It is done, but standard output could not be written ({_why(error)})", as_json=as_json)
            return
        if isinstance(error, BrokenPipeError):
            raise
        raise output_failure(error, as_json=as_json) from None


def output_failure(error: OSError, *, as_json: bool) -> Failure:
    """Make the failure of an action that only reads, whose output could not be written."""
    sentence = f"Standard output could not be written ({_why(error)}); no door moved."
    return other_failure(type(error).__name__, sentence, ExitCode.UNEXPECTED, as_json=as_json)


def print_warning(sentence: str, *, as_json: bool) -> None:
    """Print a warning on stderr as it is now: a live table puts its own in its place. It never fails."""
    line = json.dumps({"warning": sentence}) if as_json else f"Warning: {sentence}."
    with on_stderr():
        print(line, file=sys.stderr, flush=True)


@contextmanager
def stderr_held() -> Generator[Sequence[str]]:
    """Hold what is said on stderr, the last of it, while a table has the screen; it is printed afterwards."""
    if not sys.stderr.isatty():
        yield ()
        return
    held = _Held()
    try:
        with redirect_stderr(held):
            yield held.lines
    finally:
        sys.stderr.writelines(f"{line}\n" for line in held.lines)


class _Held(io.TextIOBase):
    """A stream that keeps the last lines written to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str, /) -> int:
        self.lines += filter(None, text.splitlines())
        del self.lines[:-_LINES_HELD]
        return len(text)


def _why(error: OSError) -> str:
    return "nobody reads it" if isinstance(error, BrokenPipeError) else error.strerror or str(error)


def print_json(value: object) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(json.dumps(value))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let `said` decide what it means that nobody reads; rich would end the program with 1."""
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError


def console() -> Console:
    """Make what prints for a person: colours only on a terminal, text as it stands, and lines as long as there is room.

    A file or a pipe has as much room as is needed, unless COLUMNS says otherwise.
    """
    made = _Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = UNLIMITED
    return made


def print_rich(*renderables: RenderableType) -> None:
    """Print for a person."""
    shown = console()
    for renderable in renderables:
        shown.print(renderable, soft_wrap=not isinstance(renderable, Table))


def show(settings: CommandSettings, effect: Effect, value: object, *words: RenderableType) -> None:
    """Print what came of an action.

    Args:
        settings: The flags.
        effect: The effect of the action, which has succeeded.
        value: The value to print as JSON.
        words: The words to print for a person.

    Raises:
        Failure: Nothing was changed, and what was read could not be printed.
        BrokenPipeError: Nothing was changed, and nobody reads the output.
    """
    with said(effect, as_json=settings.json):
        if settings.json:
            print_json(value)
        else:
            print_rich(*words)


def waiting(settings: CommandSettings, text: str) -> AbstractContextManager[object]:
    """Show a person at a terminal that something is under way; on stderr, and gone when it is over."""
    shown = not settings.json and not settings.debug and sys.stderr is not None and sys.stderr.isatty()
    return Console(stderr=True).status(Text(text)) if shown else nullcontext()


def is_attended() -> bool:
    """Whether a person at a terminal can be asked; a script has decided already."""
    return sys.stdin is not None and sys.stdin.isatty()


def as_json(action: str, identifier: int | None, answer: Answer) -> object:
    """Turn an answer into JSON's types: an array for `search`, an object for everything else."""
    match answer:
        case GatewayStatus():
            return {**attrs.asdict(answer), "synchronizing": answer.synchronizing}
        case LockerStatus():
            state = {"state": answer.state.value, "locked": answer.locked}
            rest = {**attrs.asdict(answer), **_estimate(answer.battery_mv)}
            return {"identifier": identifier, **rest, **state}
        case Moved():
            state = {"state": answer.status.state.value, "locked": answer.status.locked}
            return {
                "action": action,
                "identifier": identifier,
                **attrs.asdict(answer.result),
                **state,
                "waited": answer.waited,
            }
        case CommandResult():
            target = {} if identifier is None else {"identifier": identifier}
            return {"action": action, **target, **attrs.asdict(answer)}
        case _:
            return [{**attrs.asdict(reading), **_estimate(reading.battery_mv)} for reading in answer]


def as_text(action: str, identifier: int | None, answer: Answer, *, typed: str) -> Sequence[RenderableType]:
    """Write an answer for a person.

    Args:
        action: The action.
        identifier: The locker; None for the gateway.
        answer: The answer.
        typed: The word for the action, as it was typed.
    """
    match answer:
        case GatewayStatus():
            return (_gateway_table(answer),)
        case LockerStatus():
            return _status_table(identifier, answer), Text(BOLT_NOTE, "dim"), Text(BATTERY_NOTE, "dim")
        case CommandResult():
            return (_sentence(action, typed, identifier, answer),)
        case Moved():
            return (_moved(typed, identifier, answer),)
        case ():
            return ("The gateway sees no locker. Bring it nearer to one, and try again in a minute.",)
        case _:
            return _readings_table(answer), Text(BATTERY_NOTE, "dim")


def battery(millivolts: int | None) -> str:
    """Write a battery's charge: the millivolts, and the estimate beside them."""
    return "-" if millivolts is None else f"{millivolts} mV (about {battery_percent(millivolts)} %)"


def battery_cell(millivolts: int | None) -> str:
    """Write a battery's charge in a table's cell, where less room is."""
    return "-" if millivolts is None else f"{millivolts} mV {battery_percent(millivolts):>3} %"


def door(state: DoorState) -> Text:
    """Write where a bolt is."""
    return Text(state.value, _STYLES[state])


def facts(status: LockerStatus) -> str:
    """Write on one line what a locker says of its battery and its radio."""
    return f"battery {battery(status.battery_mv)}, RSSI {number(status.rssi, ' dBm')}"


def _estimate(millivolts: int | None) -> dict[str, int | None]:
    return {"battery_percent": battery_percent(millivolts)}


def _sentence(action: str, typed: str, identifier: int | None, result: CommandResult) -> str:
    moves = action in {"open", "close", "calibrate"}
    target = "gateway" if identifier is None else f"locker {identifier}"
    times = "" if result.attempts == 1 else f", at attempt {result.attempts}"
    done = f"{typed}: done, says the gateway ({target}, {result.duration:.1f} s{times})."
    if not moves:
        return done
    stay = "" if action == "calibrate" else "; --wait stays until it is there"
    return f"{done} The bolt needs about 5 s more{stay}; 'thekeys locker_status' reads it."


def _moved(typed: str, identifier: int | None, moved: Moved) -> str:
    done = f"{typed}: done, says the gateway (locker {identifier}, {moved.result.duration:.1f} s)."
    return f"{done} The bolt is {moved.status.state.value}, {moved.waited:.1f} s later."


def _readings_table(readings: Sequence[LockerReading]) -> RenderableType:
    fields = (
        Field("Locker", whole=True),
        Field("RSSI", right=True, whole=True),
        Field("Battery", right=True, leaves=1),
        Field("Last event", right=True, leaves=2),
    )
    rows = [
        (
            str(reading.identifier),
            number(reading.rssi, " dBm"),
            battery(reading.battery_mv),
            number(reading.last_log),
        )
        for reading in sorted(readings, key=lambda reading: reading.identifier)
    ]
    return fitted(fields, rows, console())


def _status_table(identifier: int | None, status: LockerStatus) -> Table:
    table = _facts(f"Locker {identifier}")
    table.add_row("Bolt", door(status.state))
    table.add_row("Locked", {True: "yes", False: "no", None: "not known"}[status.locked])
    table.add_row("Position", number(status.position))
    table.add_row("RSSI", number(status.rssi, " dBm"))
    table.add_row("Battery", battery(status.battery_mv))
    table.add_row("Firmware", number(status.version))
    return table


def _gateway_table(status: GatewayStatus) -> Table:
    table = _facts("Gateway")
    table.add_row("Firmware", number(status.version))
    table.add_row("Phase", printable(status.phase))
    table.add_row("Synchronising", "yes: no locker can be reached meanwhile" if status.synchronizing else "no")
    return table


def _facts(title: str) -> Table:
    return Table(title=title, title_justify="left", show_header=False)


def number(value: int | None, unit: str = "") -> str:
    """Write a number, or a dash where it is not known."""
    return "-" if value is None else f"{value}{unit}"
