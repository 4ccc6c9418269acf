"""The live table of `thekeys watch`: what is known of each door, drawn so that forty gateways fit one screen."""

import enum
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import anyio
import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from thekeys_async import DoorState, GatewayUpdate, LockerUpdate, Update, UpdateKind, Updates
from thekeys_async.cli import output
from thekeys_async.cli.errors import in_words
from thekeys_async.cli.signal_strength import bar, sparkline, style
from thekeys_async.cli.tables import COMPACT, UNLIMITED, Cell, Field, fitted
from thekeys_async.protocol.text import printable
from thekeys_async.protocol.thresholds import is_low, is_weak

_SIGNALS_KEPT = 60
_MOST_ROWS = 1000
"""Rows of one gateway: as many as a watcher follows, of which the lost ones make room."""

_OF_THE_DOOR = frozenset({"status", "status_error"})
_REDRAWN_EVERY = 0.5
_ROOMY = 110
_ROOM_FOR_A_NAME = 24
_MOST_NOTES = 4
_LONGEST_NOTE = 300
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_AROUND = 4
"""Lines that are neither rows nor notes: the head and its rule, and two blank ones."""

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


class Health(enum.IntEnum):
    """The state of a door, the worst first."""

    LOST = 0
    STUCK = 1
    """Its bolt is jammed, or could not be read."""
    WEAK = 2
    LOW = 3
    WELL = 4


_Line: TypeAlias = tuple[Health, Sequence[Cell]]


@attrs.frozen
class Counts:
    """The number of doors, and of those that are to be seen to.

    A door that several gateways see is counted once, and by what the best of them says.
    """

    doors: int
    open: int
    lost: int
    stuck: int
    weak: int
    low: int


@attrs.define
class Row:
    """A locker, seen through one gateway.

    Attributes:
        news: The newest of it.
        signals: Its RSSI in dBm at the last polls, the newest last.
    """

    news: LockerUpdate
    signals: deque[int] = attrs.field(factory=lambda: deque[int](maxlen=_SIGNALS_KEPT))


class Board:
    """The newest of each locker of each gateway, and what is wrong. It has no clock.

    Args:
        gateways: The names of the gateways that will tell something.
    """

    def __init__(self, gateways: Iterable[str]) -> None:
        self._rows: dict[str, dict[int, Row]] = {name: {} for name in gateways}
        self._lost: dict[str, GatewayUpdate] = {}

    @property
    def rows(self) -> Mapping[str, tuple[Row, ...]]:
        """The rows by gateway, in the order in which those were given; of a gateway, by the lockers' numbers."""
        return {name: tuple(rows[number] for number in sorted(rows)) for name, rows in self._rows.items()}

    @property
    def lost(self) -> Mapping[str, GatewayUpdate]:
        """The gateways that can't be reached now, and what was said of them."""
        return self._lost

    def health(self, gateway: str, row: Row) -> Health:
        """Tell what is wrong with a door, as one gateway sees it.

        Args:
            gateway: Its name.
            row: The door's.
        """
        news = row.news
        if gateway in self._lost or news.kind is UpdateKind.LOST:
            return Health.LOST
        if news.status_error is not None or (news.status is not None and news.status.state is DoorState.JAMMED):
            return Health.STUCK
        if news.reading is not None and is_weak(news.reading.rssi):
            return Health.WEAK
        return Health.LOW if news.reading is not None and is_low(news.reading.battery_mv) else Health.WELL

    def counts(self) -> Counts:
        """Count the doors."""
        best: dict[int, Health] = {}
        opened: set[int] = set()
        for name, rows in self._rows.items():
            for number, row in rows.items():
                best[number] = max(best.get(number, Health.LOST), self.health(name, row))
                if row.news.status is not None and row.news.status.state is DoorState.OPEN:
                    opened.add(number)
        found = list(best.values())
        return Counts(
            doors=len(found),
            open=len(opened),
            lost=found.count(Health.LOST),
            stuck=found.count(Health.STUCK),
            weak=found.count(Health.WEAK),
            low=found.count(Health.LOW),
        )

    def take(self, update: Update) -> None:
        """Take an update in."""
        if isinstance(update, LockerUpdate):
            self._take_locker(update)
        elif update.reachable:
            self._lost.pop(update.gateway, None)
        else:
            self._lost[update.gateway] = update

    def _take_locker(self, update: LockerUpdate) -> None:
        rows = self._rows.setdefault(update.gateway, {})
        if len(rows) >= _MOST_ROWS and update.identifier not in rows:
            for identifier in [number for number, row in rows.items() if row.news.kind is UpdateKind.LOST]:
                del rows[identifier]
        row = rows.setdefault(update.identifier, Row(update))
        row.news = update
        only_of_the_door = update.changed and update.changed <= _OF_THE_DOOR
        heard = None if update.reading is None else update.reading.rssi
        if update.kind is not UpdateKind.LOST and not only_of_the_door and heard is not None:
            row.signals.append(heard)


async def follow(updates: Updates, board: Board, names: Mapping[int, str], console: Console | None) -> None:
    """Feed the board until it is cancelled; at a terminal show it, and keep what is shown up to date.

    Args:
        updates: The updates that the board takes.
        board: The board to show.
        names: The lockers' names.
        console: The console to show it on, if any.
    """
    async with anyio.create_task_group() as tasks:
        if console is not None and console.is_terminal:
            tasks.start_soon(_show, board, names, console)
        async for update in updates:
            board.take(update)


async def _show(board: Board, names: Mapping[int, str], console: Console) -> None:
    """Draw on the terminal's other screen, all of it each time: so no rows are left behind when it is resized."""
    with output.stderr_held() as held:

        def picture() -> RenderableType:
            return draw(board, names, datetime.now(UTC), console, height=console.height, notes=held[-1:])

        with Live(
            get_renderable=picture, console=console, screen=True, auto_refresh=False, redirect_stderr=False
        ) as live:
            while True:
                live.refresh()
                await anyio.sleep(_REDRAWN_EVERY)


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
    """Draw the summary, the table with the worst doors first, and the reasons below it.

    Args:
        board: The board to draw.
        names: The lockers' names.
        now: The wall clock.
        console: The console to draw on, whose width decides which columns there are.
        height: How many lines there are; what does not fit is counted. None for as many as it takes.
        notes: Further lines below the table.
    """
    lines = sorted(_lines(board, names, now, console), key=lambda line: line[0])
    said = [*_notes(board, names, now), *notes]
    foot = [Text(f"{output.BOLT_NOTE} {output.BATTERY_NOTE}", "dim")]
    summary = _text(_summary(board, console.width), "bold", cut=False)
    room = len(lines)
    if height is not None:
        more_notes = f"... and {len(said) - _MOST_NOTES + 1} more notes"
        said = said if len(said) <= _MOST_NOTES else [*said[: _MOST_NOTES - 1], more_notes]
        room = max(height - _AROUND - len(summary.wrap(console, console.width)) - len(said), 1)
        foot = foot if len(lines) + len(foot[0].wrap(console, console.width)) < room else []
    hidden = lines[room - 1 :] if len(lines) > room else []
    wrong = sum(health is not Health.WELL for health, _ in hidden)
    more = [Text(f"... and {len(hidden)} more, {wrong} of them not well", "bold")] if hidden else []
    table = fitted(_FIELDS, [cells for _, cells in lines[: len(lines) - len(hidden)]], console, **COMPACT)
    below = [_text(note, "yellow", cut=height is not None) for note in said]
    return Group(summary, "", table, *more, "", *below, *foot)


def _text(words: str, style: str, *, cut: bool) -> Text:
    """Make a line, cut at the end of the terminal's line where the lines are counted."""
    return Text(words, style, no_wrap=cut or None, overflow="ellipsis" if cut else None)


def _lines(board: Board, names: Mapping[int, str], now: datetime, console: Console) -> Iterator[_Line]:
    """Make the table's lines: one for each row, and one for a gateway that has none."""
    for name, rows in board.rows.items():
        if not rows:
            is_lost = name in board.lost
            news = Text("lost", "bold red") if is_lost else "..."
            cells: Sequence[Cell] = (f"({printable(name)})", printable(name), *[""] * 6, news)
            yield (Health.LOST if is_lost else Health.WELL), [Text.assemble(cell, style="dim") for cell in cells]
        for row in rows:
            health = board.health(name, row)
            dim = "dim" if health is Health.LOST else ""
            yield health, [Text.assemble(cell, style=dim) for cell in _cells(row, names, now, console, health)]


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
        yield Text(output.battery_cell(millivolts), "red" if is_low(millivolts) else "")
    yield "-" if news.status is None else output.door(news.status.state)
    if news.kind is UpdateKind.LOST:
        yield from ("", Text("lost", "bold red"))
    else:
        yield Text("" if health is Health.WELL else health.name.lower(), "bold red")
        yield age((now - news.at).total_seconds())


def _summary(board: Board, width: int) -> str:
    """Sum up, on two lines where one is too short: how many doors there are, and what is to be seen to."""
    counts = board.counts()
    stuck = f", {counts.stuck} stuck" if counts.stuck else ""
    doors = "1 door" if counts.doors == 1 else f"{counts.doors} doors"
    doors += f": {counts.open} open, {counts.weak} weak, {counts.low} low, {counts.lost} lost{stuck}"
    gateways = f"{len(board.lost)} of {len(board.rows)} gateways lost"
    return f"{doors}; {gateways}" if len(doors) + len(gateways) + 2 <= width else f"{doors}\n{gateways}"


def age(seconds: float) -> str:
    """Write how old something is, in the largest unit that fits; nothing is younger than now."""
    if seconds < 2 * _MINUTE:
        return f"{max(0.0, seconds):.0f} s"
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
        yield f"{printable(name)}: lost for {age((now - update.at).total_seconds())}. {_why(update.error)}"
    for name, rows in board.rows.items():
        for row in rows:
            if row.news.status_error is not None and name not in board.lost:
                why = _why(row.news.status_error)
                yield f"{_locker(row.news.identifier, names)}: the bolt could not be read. {why}"


def _why(error: BaseException | None) -> str:
    return "" if error is None else in_words(error, None)[:_LONGEST_NOTE]
