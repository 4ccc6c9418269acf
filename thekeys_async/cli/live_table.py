"""The live table: what a person sees of a board."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import anyio
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from thekeys_async import UpdateKind, Updates, battery_percent
from thekeys_async.cli import output
from thekeys_async.cli.board import Board, Row
from thekeys_async.cli.errors import in_words
from thekeys_async.cli.signal_strength import FAINTEST, STRONGEST, sparkline, style
from thekeys_async.protocol.text import printable

_REDRAWN_EVERY = 0.5
_ROOMY = 110
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONGEST_NOTE = 300


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
    def picture() -> RenderableType:
        return draw(board, names, datetime.now(UTC), console)

    with Live(get_renderable=picture, console=console, auto_refresh=False) as live:
        while True:
            live.refresh()
            await anyio.sleep(_REDRAWN_EVERY)


def print_last(board: Board, names: Mapping[int, str], console: Console) -> None:
    """Print the table once, where the output is not a terminal: there nothing was shown meanwhile."""
    if not console.is_terminal:
        console.print(draw(board, names, datetime.now(UTC), console), soft_wrap=True)


def draw(board: Board, names: Mapping[int, str], now: datetime, console: Console) -> RenderableType:
    """Draw the table, as wide as there is room for, and below it what is wrong."""
    roomy = console.width >= _ROOMY
    table = Table(
        Column("Locker", no_wrap=True),
        Column("Gateway", no_wrap=True),
        Column("RSSI", justify="right", no_wrap=True),
        Column("", width=12 if roomy else 6),
        Column("Trend", width=30 if roomy else 8),
        Column("Battery", justify="right", no_wrap=True),
        Column("Bolt", no_wrap=True),
        Column("News", justify="right", no_wrap=True),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0) if roomy else 0,
        pad_edge=False,
        show_edge=False,
    )
    for name, rows in board.rows.items():
        if not rows:
            table.add_row("-", printable(name), *[""] * 5, "lost" if name in board.lost else "...", style="dim")
        for row in rows:
            gone = name in board.lost or row.news.kind is UpdateKind.LOST
            table.add_row(*_cells(row, names, now, console, roomy=roomy), style="dim" if gone else None)
    notes = [Text(note, "yellow") for note in _notes(board, names, now)]
    return Group(table, "", *notes, Text(f"{output.BOLT_NOTE} {output.BATTERY_NOTE}", "dim"))


def _cells(
    row: Row, names: Mapping[int, str], now: datetime, console: Console, *, roomy: bool
) -> Iterator[RenderableType]:
    news = row.news
    yield _locker(news.identifier, names)
    yield printable(news.gateway)
    if news.reading is None:
        yield from ("-", "", "", "-")
    else:
        rssi, millivolts = news.reading.rssi, news.reading.battery_mv
        yield from _signal(rssi, list(row.signals)[-30 if roomy else -8 :], console)
        yield "-" if millivolts is None else f"{millivolts} mV {battery_percent(millivolts):>3} %"
    yield "-" if news.status is None else output.door(news.status.state)
    yield Text("lost", "bold red") if news.kind is UpdateKind.LOST else age(row.age(now))


def _signal(rssi: int | None, signals: Sequence[int], console: Console) -> Iterator[RenderableType]:
    """Show an RSSI as a number, as a bar, and as what it was before."""
    trend = sparkline(signals, ascii_only=console.options.ascii_only)
    if rssi is None:
        yield from ("-", "", trend)
        return
    full = STRONGEST - FAINTEST
    yield Text(f"{rssi} dBm", style(rssi))
    yield ProgressBar(total=full, completed=min(max(rssi - FAINTEST, 0), full), complete_style=style(rssi))
    yield Text(trend, style(rssi))


def age(seconds: float) -> str:
    """Write how old something is, in the largest unit that fits."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} d"


def _locker(identifier: int, names: Mapping[int, str]) -> str:
    return printable(names.get(identifier, str(identifier)))


def _why(error: BaseException | None) -> str:
    return "" if error is None else in_words(error, None)[:_LONGEST_NOTE]


def _notes(board: Board, names: Mapping[int, str], now: datetime) -> Iterator[str]:
    for name, update in board.lost.items():
        since = age(max(0.0, (now - update.at).total_seconds()))
        yield f"{printable(name)}: lost for {since}. {_why(update.error)}"
    for name, rows in board.rows.items():
        for row in rows:
            if row.news.status_error is not None and name not in board.lost:
                why = _why(row.news.status_error)
                yield f"{_locker(row.news.identifier, names)}: the bolt could not be read. {why}"
