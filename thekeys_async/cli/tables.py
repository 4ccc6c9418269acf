"""Tables that fit their terminal: columns that matter less go first, and nothing that is copied is ever cut.

What can't be a table any more, because what may not be cut is wider than the terminal, is written row by row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import attrs
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

Cell: TypeAlias = str | Text

COMPACT = {"box": SIMPLE_HEAD, "padding": 0, "pad_edge": False, "show_edge": False}
"""The style of a table that may have many rows and columns."""

UNLIMITED = 10_000
"""A width at which no column has to leave."""


@attrs.frozen
class Field:
    """A column.

    Attributes:
        title: The heading of the column.
        right: Whether it is justified to the right.
        whole: Whether its cells are on one line, and never cut: codes, identifiers, numbers.
        leaves: When it goes where there is no room: the column with the highest number first, 0 never.
    """

    title: str
    right: bool = False
    whole: bool = False
    leaves: int = 0


def fitted(fields: Sequence[Field], rows: Iterable[Sequence[Cell]], console: Console, **style: Any) -> RenderableType:
    """Make a table that is no wider than the terminal, or a list where that can't be.

    Args:
        fields: The columns.
        rows: A cell for each of them, row by row.
        console: The console to print it on.
        style: Further arguments of rich's table.
    """
    cells, shown = list(rows), list(range(len(fields)))
    while True:
        table = _table(fields, cells, shown, style)
        needed = console.measure(table, options=console.options.update(max_width=UNLIMITED))
        if needed.minimum <= console.width:
            if needed.maximum > console.width:
                _spread(table, [fields[number] for number in shown], console.width - needed.minimum)
            return table
        leaving = max(shown, key=lambda number: fields[number].leaves)
        if not fields[leaving].leaves:
            return _listed(fields, cells, shown)
        shown.remove(leaving)


def _table(
    fields: Sequence[Field], rows: Sequence[Sequence[Cell]], shown: Sequence[int], style: dict[str, Any]
) -> Table:
    table = Table(**style)
    for number in shown:
        field = fields[number]
        # Rich takes the longest word of a column for its least width, also where it may not wrap.
        least = max([cell_len(field.title), *(cell_len(str(row[number])) for row in rows)]) if field.whole else None
        table.add_column(field.title, justify="right" if field.right else "left", no_wrap=field.whole, min_width=least)
    for row in rows:
        table.add_row(*(row[number] for number in shown))
    return table


def _spread(table: Table, fields: Sequence[Field], spare: int) -> None:
    """Give each column that wraps its longest word, which rich would cut, and what is left to the narrowest."""
    wrapping = [column for column, field in zip(table.columns, fields, strict=True) if not field.whole]
    lines = [[str(column.header), *map(str, column.cells)] for column in wrapping]
    widths = [max(cell_len(word) for line in each for word in line.split() or [""]) for each in lines]
    most = [max(map(cell_len, each)) for each in lines]
    for _ in range(spare):
        growing = [number for number, width in enumerate(widths) if width < most[number]]
        if growing:
            widths[min(growing, key=widths.__getitem__)] += 1
    for column, width in zip(wrapping, widths, strict=True):
        column.width = width


def _listed(fields: Sequence[Field], rows: Iterable[Sequence[Cell]], shown: Sequence[int]) -> Text:
    """Write each row as lines of title and cell where there is one, with a blank line between rows."""
    blocks = [
        Text("\n").join(
            Text.assemble((f"{fields[number].title}: " if fields[number].title else "", "bold"), row[number])
            for number in shown
            if str(row[number])
        )
        for row in rows
    ]
    return Text("\n\n").join(blocks)
