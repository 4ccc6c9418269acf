"""The live table of `thekeys watch`: a board, drawn so that forty gateways fit one screen."""

import io
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime

import anyio
import attrs
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from thekeys_async import UpdateKind, Updates, battery_percent
from thekeys_async.cli import output
from thekeys_async.cli.board import Board, Health, Row, is_low
from thekeys_async.cli.errors import in_words
from thekeys_async.cli.signal_strength import bar, sparkline, style
from thekeys_async.cli.tables import UNLIMITED, Cell, Field, fitted
from thekeys_async.protocol.text import printable

_REDRAWN_EVERY = 0.5
_ROOMY = 110
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONGEST_NOTE = 300
_NOTES = 4
_ROOM_FOR_A_NAME = 24
_HELD = 50


async def follow(updates: Updates, board: Board, names: Mapping[int, str], console: Console | None) -> None:
    """Feed the board until it is cancelled; at a terminal show it, and keep what is shown up to date.

    Args:
        updates: What feeds the board.
        board: What is shown.
        names: What lockers are called.
        console: Where it is shown, if it is.
    """
    async with anyio.create_task_group() as tasks:
        if console is not None and console.is_terminal:
            tasks.start_soon(_show, board, names, console)
        async for update in updates:
            board.take(update)


async def _show(board: Board, names: Mapping[int, str], console: Console) -> None:
    """Draw on the terminal's other screen, all of it each time: so no rows are left behind when it is resized."""
    with _stderr_held() as held:

        def picture() -> RenderableType:
            return draw(board, names, datetime.now(UTC), console, height=console.height, notes=held[-1:])

        with Live(
            get_renderable=picture, console=console, screen=True, auto_refresh=False, redirect_stderr=False
        ) as live:
            while True:
                live.refresh()
                await anyio.sleep(_REDRAWN_EVERY)


@contextmanager
def _stderr_held() -> Generator[Sequence[str]]:
    """Hold what is said on stderr, the last of it, while the table has the screen; it is printed afterwards."""
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
    """Keeps the last lines written to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str, /) -> int:
        self.lines += filter(None, text.splitlines())
        del self.lines[:-_HELD]
        return len(text)


def print_last(board: Board, names: Mapping[int, str], console: Console) -> None:
    """Print the table as it was last, all of it: the terminal's other screen has gone, and elsewhere none was shown."""
    console.print(draw(board, names, datetime.now(UTC), console), soft_wrap=True)


def draw(
    board: Board,
    names: Mapping[int, str],
    now: datetime,
    console: Console,
    *,
    height: int | None = None,
    notes: Sequence[str] = (),
) -> RenderableType:
    """Draw lines that sum up, the table with what is wrong first, and below it why.

    Args:
        board: What is known.
        names: What lockers are called.
        now: The wall clock.
        console: Where it is drawn, whose width decides which columns there are.
        height: How many lines there are; what does not fit is counted. None for as many as it takes.
        notes: What else is to be said below the table.
    """
    rows = list(_rows(board, names, now, console))
    said = [*_notes(board, names, now), *notes]
    foot = [Text(f"{output.BOLT_NOTE} {output.BATTERY_NOTE}", "dim")]
    summary = _text(_summary(board, console.width), "bold", cut=False)
    room = len(rows)
    if height is not None:
        said = said if len(said) <= _NOTES else [*said[: _NOTES - 1], f"... and {len(said) - _NOTES + 1} more notes"]
        room = max(height - _AROUND - len(summary.wrap(console, console.width)) - len(said), 1)
        foot = foot if len(rows) + len(foot[0].wrap(console, console.width)) < room else []
    hidden = rows[room - 1 :] if len(rows) > room else []
    shown = rows[: len(rows) - len(hidden)]
    wrong = sum(each.health is not Health.WELL for each in hidden)
    more = [Text(f"... and {len(hidden)} more, {wrong} of them not well", "bold")] if hidden else []
    table = fitted(_FIELDS, [each.cells for each in shown], console, **_STYLE)
    below = [_text(note, "yellow", cut=height is not None) for note in said]
    return Group(summary, "", table, *more, "", *below, *foot)


def _text(words: str, style: str, *, cut: bool) -> Text:
    """Make a line, cut at the end of the terminal's line where the lines are counted."""
    return Text(words, style, no_wrap=cut or None, overflow="ellipsis" if cut else None)


_AROUND = 4
"""Lines that are neither rows nor notes: the head and its rule, and two blank ones."""

_STYLE = {"box": SIMPLE_HEAD, "padding": 0, "pad_edge": False, "show_edge": False}
_FIELDS = (
    Field("Locker", whole=True),
    Field("Gateway", whole=True, leaves=4),
    Field("RSSI", right=True, whole=True, leaves=3),
    Field("", whole=True, leaves=5),
    Field("Trend", whole=True, leaves=6),
    Field("Battery", right=True, whole=True, leaves=2),
    Field("Bolt", whole=True),
    Field("", whole=True),
    Field("News", right=True, whole=True, leaves=1),
)
_WORDS = {Health.LOST: "lost", Health.STUCK: "stuck", Health.WEAK: "weak", Health.LOW: "low", Health.WELL: ""}


@attrs.frozen
class _Line:
    """A line of the table.

    Attributes:
        health: What is wrong.
        cells: Its cells.
    """

    health: Health
    cells: Sequence[Cell]


def _rows(board: Board, names: Mapping[int, str], now: datetime, console: Console) -> Iterator[_Line]:
    """Make the lines, what is wrong first; else they keep their order."""
    lines: list[_Line] = []
    for name, rows in board.rows.items():
        if not rows:
            health = Health.LOST if name in board.lost else Health.WELL
            told_last = Text("lost", "bold red") if health is Health.LOST else "..."
            cells: Sequence[Cell] = (f"({printable(name)})", printable(name), *[""] * 6, told_last)
            lines.append(_Line(health, [Text.assemble(cell, style="dim") for cell in cells]))
        for row in rows:
            health = board.health(name, row)
            dim = "dim" if health is Health.LOST else ""
            told = _cells(row, names, now, console, health)
            lines.append(_Line(health, [Text.assemble(cell, style=dim) for cell in told]))
    return iter(sorted(lines, key=lambda line: line.health))


def _cells(row: Row, names: Mapping[int, str], now: datetime, console: Console, health: Health) -> Iterator[Cell]:
    news, roomy = row.news, console.width >= _ROOMY
    yield _locker(news.identifier, names, max(console.width - _ROOM_FOR_A_NAME, _ROOM_FOR_A_NAME // 2))
    yield printable(news.gateway)
    if news.reading is None:
        yield from ("-", "", "", "-")
    else:
        rssi, millivolts, ascii_only = news.reading.rssi, news.reading.battery_mv, console.options.ascii_only
        colour = "" if rssi is None else style(rssi)
        yield "-" if rssi is None else Text(f"{rssi} dBm", colour)
        yield "" if rssi is None else Text(bar(rssi, 12 if roomy else 6, ascii_only=ascii_only), colour)
        yield Text(sparkline(list(row.signals)[-30 if roomy else -8 :], ascii_only=ascii_only), colour)
        low = "red" if is_low(millivolts) else ""
        yield "-" if millivolts is None else Text(f"{millivolts} mV {battery_percent(millivolts):>3} %", low)
    yield "-" if news.status is None else output.door(news.status.state)
    gone = news.kind is UpdateKind.LOST
    yield Text("" if gone else _WORDS[health], "bold red")
    yield Text("lost", "bold red") if gone else age(row.age(now))


def _summary(board: Board, width: int) -> str:
    """Sum up, on two lines where one is too short: how many doors there are, and what is to be seen to."""
    counts = board.counts()
    stuck = f", {counts.stuck} stuck" if counts.stuck else ""
    doors = f"{counts.doors} doors: {counts.open} open, {counts.weak} weak, {counts.low} low, {counts.lost} lost{stuck}"
    gateways = f"{len(board.lost)} of {len(board.rows)} gateways lost"
    return f"{doors}; {gateways}" if len(doors) + len(gateways) + 2 <= width else f"{doors}\n{gateways}"


def age(seconds: float) -> str:
    """Write how old something is, in the largest unit that fits."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"


def _locker(identifier: int, names: Mapping[int, str], room: int = UNLIMITED) -> str:
    """Call a locker by its name, cut where there is no room for it; a number is never cut."""
    name = printable(names.get(identifier, ""))
    if not name:
        return str(identifier)
    return name if len(name) <= room else f"{name[: room - 1]}…"


def _notes(board: Board, names: Mapping[int, str], now: datetime) -> Iterator[str]:
    for name, update in board.lost.items():
        since = age(max(0.0, (now - update.at).total_seconds()))
        yield f"{printable(name)}: lost for {since}. {_why(update.error)}"
    for name, rows in board.rows.items():
        for row in rows:
            if row.news.status_error is not None and name not in board.lost:
                why = _why(row.news.status_error)
                yield f"{_locker(row.news.identifier, names)}: the bolt could not be read. {why}"


def _why(error: BaseException | None) -> str:
    return "" if error is None else in_words(error, None)[:_LONGEST_NOTE]
