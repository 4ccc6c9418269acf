"""The live table: what it knows of each door and how it is drawn, without a terminal."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from tests.sample import LOCKER
from thekeys_async import (
    DoorState,
    GatewayUnreachableError,
    GatewayUpdate,
    LockerReading,
    LockerStatus,
    LockerUpdate,
    NotSharedError,
    UpdateKind,
)
from thekeys_async.cli.live_table import Board, age, draw
from thekeys_async.cli.signal_strength import sparkline, style

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def told(identifier=1, gateway="hall", rssi=-71, ago=3, kind=UpdateKind.CHANGED, **fields):
    at = NOW - timedelta(seconds=ago)
    reading = None if rssi is None else LockerReading(identifier, rssi, 7783)
    return LockerUpdate(gateway=gateway, identifier=identifier, kind=kind, reading=reading, at=at, **fields)


def lost(gateway="hall", reachable=False):
    return GatewayUpdate(
        gateway=gateway,
        reachable=reachable,
        error=None if reachable else GatewayUnreachableError("no power\x1b[31m"),
        at=NOW - timedelta(minutes=3),
    )


def drawn(*updates, names=(), width=100, encoding="utf-8"):
    board = Board(["hall", "annex"])
    for update in updates:
        board.take(update)
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    console = Console(file=file, width=width)
    console.print(draw(board, dict(names), NOW, console))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def row(shown, word):
    (line,) = (line for line in shown.splitlines() if word in line)
    return line


def test_a_row_has_everything():
    status = LockerStatus(DoorState.OPEN)
    shown = row(drawn(told(rssi=-80), told(rssi=-64, status=status), names={1: "front-door"}), "front-door")
    for words in ("hall", "-64 dBm", "━", "▁█", "7783 mV  77 %", "open", "3 s"):
        assert words in shown


def test_rows_stand_in_the_order_of_gateways_and_then_of_lockers():
    shown = drawn(told(7, "annex"), told(5), told(3))
    assert [line.split()[0] for line in shown.splitlines() if "dBm" in line] == ["3", "5", "7"]


def test_a_gateway_that_has_said_nothing_yet_is_there():
    assert "..." in row(drawn(), "annex")


def test_what_is_lost_is_seen_to_be():
    updates = (told(1), told(2, kind=UpdateKind.LOST), told(3, rssi=None, kind=UpdateKind.LOST), lost("annex"))
    summary, _, shown = drawn(*updates).partition("\n")
    assert summary == "3 doors: 0 open, 0 weak, 0 low, 2 lost; 1 of 2 gateways lost"
    assert "lost" not in row(shown, "  3 s")
    assert sum(line.rstrip().endswith("lost") for line in shown.splitlines()) == 3
    note = row(shown, "lost for 3 min")
    assert "annex" in note
    assert "no power" in note
    assert "\x1b" not in shown


def test_one_door_is_one():
    assert drawn(told()).startswith("1 door: 0 open")


def test_a_gateway_that_is_back_is_lost_no_more():
    summary, _, shown = drawn(lost(), lost(reachable=True)).partition("\n")
    assert summary.endswith("0 of 2 gateways lost")
    assert "lost" not in shown


def test_why_a_bolt_cannot_be_read():
    shown = drawn(told(1, status_error=NotSharedError("not shared", code=32)), names={1: "front-door"})
    assert "front-door: the bolt could not be read. not shared" in " ".join(shown.split())


def test_news_of_the_door_is_no_point_of_the_trend():
    board = Board(["hall"])
    board.take(told(rssi=-70))
    board.take(told(rssi=-70, changed=frozenset({"status"}), status=LockerStatus(DoorState.OPEN)))
    board.take(told(rssi=-72, changed=frozenset({"status", "rssi"})))
    board.take(told(rssi=-72, kind=UpdateKind.LOST))
    assert list(board.rows["hall"][0].signals) == [-70, -72]


def test_the_memory_of_a_row_is_bounded():
    board = Board(["hall"])
    for number in range(10_000):
        board.take(told(rssi=-50 - number % 40))
    assert len(board.rows["hall"][0].signals) < 100


def test_a_terminal_that_knows_only_ascii():
    assert drawn(told(), encoding="ascii").isascii()


@pytest.mark.parametrize("width", [80, 200])
def test_no_column_is_cut_off(width):
    shown = drawn(told(LOCKER, "192.168.0.26:80", ago=7000), width=width)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width


def test_noise_of_a_few_db_stays_low_and_a_fall_is_seen():
    assert set(sparkline([-70, -71, -70, -69])) <= set("▄▅")
    assert sparkline([-60, -90]) == "█▁"
    assert not sparkline([])


@pytest.mark.parametrize(("rssi", "colour"), [(-75, "green"), (-76, "yellow"), (-85, "yellow"), (-86, "red")])
def test_colours(rssi, colour):
    assert style(rssi) == colour


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_ages(seconds, words):
    assert age(seconds) == words


def test_lost_rows_make_room_for_new_ones():
    board = Board(["hall"])
    for number in range(3000):
        for kind in (UpdateKind.APPEARED, UpdateKind.LOST):
            reading = LockerReading(number, -70, 7000)
            board.take(
                LockerUpdate(gateway="hall", identifier=number, kind=kind, reading=reading, at=datetime.now(UTC))
            )
    assert len(board.rows["hall"]) <= 1000
