"""Screens of `watch` and `search` with forty gateways: three dead, one weak, one low. They are in tests/cli/screens.

`UPDATE_SCREENS=1 pytest tests/cli/test_screens.py` writes them anew; read them before you commit them.
"""

import io
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from thekeys_async import (
    DoorState,
    GatewayUnreachableError,
    GatewayUpdate,
    LockerReading,
    LockerStatus,
    LockerUpdate,
    UpdateKind,
)
from thekeys_async.cli.live_table import Board, draw
from thekeys_async.simulator import SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")

SCREENS = Path(__file__).parent / "screens"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ALL = range(1, 41)
DEAD, WEAK, LOW, OPEN = {7, 19, 33}, 12, 23, {5, 30}
HEIGHT = 24


def same_as_kept(name, shown):
    """Compare a screen with the one that is kept."""
    shown = "".join(f"{line.rstrip()}\n" for line in shown.splitlines())
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


def number(house):
    return 45961100 + house


def name(house):
    return f"house-{house:02}"


NAMES = {number(house): f"flat-{house:02}" for house in ALL}


@pytest.fixture
def board():
    """Forty gateways, one locker each, polled some seconds ago."""
    board = Board([name(house) for house in ALL])
    for house in ALL:
        at = NOW - timedelta(seconds=house % 10)
        if house not in DEAD - {33}:
            reading = LockerReading(number(house), -90 if house == WEAK else -71, 6500 if house == LOW else 7783)
            state = DoorState.OPEN if house in OPEN else DoorState.CLOSED
            board.take(
                LockerUpdate(
                    gateway=name(house),
                    identifier=number(house),
                    kind=UpdateKind.CHANGED,
                    reading=reading,
                    at=at if house not in DEAD else NOW - timedelta(minutes=9),
                    status=LockerStatus(state),
                )
            )
        if house in DEAD:
            error = GatewayUnreachableError(f"lockers: no connection to 192.168.0.{house}:80 (No route to host)")
            board.take(GatewayUpdate(gateway=name(house), reachable=False, error=error, at=NOW - timedelta(minutes=8)))
    return board


def drawn(board, width, height=HEIGHT):
    file = io.StringIO()
    console = Console(file=file, width=width, height=height or 200)
    console.print(draw(board, NAMES, NOW, console, height=height))
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_watch(board, width):
    shown = drawn(board, width)
    assert len(shown.splitlines()) <= HEIGHT
    assert max(map(len, shown.splitlines())) <= width
    same_as_kept(f"watch-{width}", shown)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("height", [10, 24, 60])
def test_nothing_is_left_out_without_being_counted(board, width, height):
    lines = drawn(board, width, height).splitlines()
    assert len(lines) <= height
    rows = [line for line in lines if re.match(r"flat-\d\d |\(house-\d\d\) ", line)]
    counted = sum(int(line.split()[2]) for line in lines if line.startswith("... and") and "notes" not in line)
    assert len(rows) + counted == 40


def test_what_is_wrong_comes_first(board):
    rows = [line for line in drawn(board, 120).splitlines() if "house-" in line and ":" not in line]
    assert [row.split("house-")[1][:2] for row in rows[:6]] == ["07", "19", "33", "12", "23", "01"]


@pytest.mark.parametrize("width", [30, 40, 80])
def test_the_name_and_the_bolt_stay_at_any_width(board, width):
    shown = drawn(board, width)
    row = next(line for line in shown.splitlines() if "flat-12" in line)
    assert "closed" in row
    assert "weak" in row


def test_a_number_is_whole_where_a_long_name_is_cut(board):
    named = {number(WEAK): "the flat of the people upstairs, to the left"}
    console = Console(file=io.StringIO(), width=40, height=HEIGHT)
    console.print(draw(board, named, NOW, console, height=HEIGHT))
    shown = console.file.getvalue()
    assert "the flat of the…" in shown
    assert str(number(LOW)) in shown


@pytest.fixture
def houses(simulated_gateway_factory, tmp_path):
    """The same house behind the command: forty gateways, of which three are not there."""
    text = ""
    for house in ALL:
        rssi, battery = -90 if house == WEAK else -71, 6500 if house == LOW else 7783
        locker = SimulatedLocker(number(house), rssi=rssi, battery_mv=battery, wander=0)
        address = f"127.0.0.1:{house}" if house in DEAD else simulated_gateway_factory([locker]).address
        text += f'[gateways.{name(house)}]\nhost = "{address}"\n'
        text += f'[lockers.flat-{house:02}]\nidentifier = {number(house)}\ngateway = "{name(house)}"\n'
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_search(run, houses):
    for width in (40, 80, 120):
        # Each with a state of its own: the backoff of the dead ones would outlive the command before.
        flags = ("--timeout", "1.5", "--state-dir", str(houses.parent / f"state-{width}"))
        result = run("search", "--config", str(houses), *flags, COLUMNS=str(width))
        assert result.exit_code == 3
        tables = [line for line in result.stdout.splitlines() if line.startswith("house-") and ":" not in line]
        assert len(tables) == 40
        assert max(map(len, tables)) <= width
        same_as_kept(f"search-{width}", result.stdout)
