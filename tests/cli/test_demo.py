"""The demonstration: it ends by itself, and shows what happened."""

import io
import json
import subprocess
import sys

import anyio
import httpx
import pytest
from rich.console import Console

from tests.sample import CODE, LOCKER
from thekeys_async import DoorState, GatewayBusyError, InvalidHmacError, LockerStatus, ProtocolError
from thekeys_async.cli.demo import comparison as demo
from thekeys_async.cli.demo.comparison import NaiveClient
from thekeys_async.protocol.endpoints import OPEN

ALL_OPEN = {"45961123": "open", "45961124": "open", "45961125": "open"}


@pytest.fixture(scope="module")
def shown():
    """Run it once, as a program that wants JSON sees it."""
    program = [sys.executable, "-m", "thekeys_async", "demo", "--json"]
    result = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_the_naive_client_meets_the_traps(shown):
    naive = shown["naive"]
    assert sum(naive["at_once"].values()) == shown["callers"] == 20
    assert naive["at_once"]["busy"] > 0
    assert naive["in_a_row"]["stale"] > 0
    assert naive["overlaps"] > 0
    assert naive["doors"] != ALL_OPEN


def test_the_library_meets_none(shown):
    library = shown["library"]
    assert library["at_once"] == {"succeeded": 20, "busy": 0, "stale": 0, "other": 0}
    assert library["in_a_row"] == {"succeeded": 10, "busy": 0, "stale": 0, "other": 0}
    assert library["overlaps"] == 0
    assert library["doors"] == ALL_OPEN


def test_a_door_is_opened_read_and_closed(shown):
    door = shown["door"]
    assert shown["naive"]["doors"][str(door["identifier"])] == "closed"
    assert (door["before"], door["opened"]["state"], door["closed"]) == ("closed", "open", "closed")


def test_it_ends_with_some_seconds_of_the_live_table(shown):
    rows = {row["identifier"]: row for row in shown["live"]}
    assert {row["gateway"] for row in rows.values()} == {"hall", "annex"}
    assert all(row["polls"] >= 2 and row["state"] in {"open", "closed"} for row in rows.values())


def test_a_tally_counts_what_became_of_each_call():
    tally = demo.Tally()
    errors = [None, None, None, GatewayBusyError("x"), InvalidHmacError("x"), ProtocolError("x"), httpx.ReadError("x")]

    async def call(number):
        if errors[number]:
            raise errors[number]

    async def count():
        for number in range(len(errors)):
            await tally.count(call, number)

    anyio.run(count)
    assert tally == demo.Tally(succeeded=3, busy=1, stale=1, other=2)


def test_the_table_shows_what_was_counted():
    doors = dict.fromkeys((LOCKER, 45961124, 45961125), DoorState.CLOSED)
    naive = demo.Side(demo.Tally(1, 2, 3, 4), 5, 6.7, doors, demo.Tally(8, 9, 10, 11))
    library = demo.Side(demo.Tally(21, 22, 23, 24), 25, 26.7, doors, demo.Tally(28, 29, 30, 31))
    shown = io.StringIO()
    Console(file=shown, width=80).print(demo._table(naive, library))
    rows = [line.split("│")[2:4] for line in shown.getvalue().splitlines() if line.count("│") == 4]
    numbers = [tuple(cell.strip() for cell in row) for row in rows if row[0].strip()]
    assert numbers == [
        *(("1", "21"), ("2", "22"), ("3", "23"), ("4", "24"), ("5", "25"), ("6.7 s", "26.7 s")),
        *[("closed", "closed")] * 3,
        *(("8", "28"), ("9", "29"), ("10", "30"), ("11", "31")),
    ]


def test_the_story_tells_the_battery():
    status = LockerStatus(DoorState.OPEN, battery_mv=7783, rssi=-70)
    story = demo._story(demo.Visit(5, DoorState.UNKNOWN, status, DoorState.JAMMED)).plain
    for words in ("5", "unknown", "open", "7783 mV (about 77 %)", "-70 dBm", "jammed"):
        assert words in story


def test_the_naive_client_signs_as_the_vendors_sample_does(simulated_gateway):
    async def ask():
        async with httpx.AsyncClient(trust_env=False) as http:
            await NaiveClient(http, simulated_gateway.address, CODE).ask(OPEN, LOCKER)

    anyio.run(ask)
    assert simulated_gateway.lockers[LOCKER].state == "open"


def test_from_an_account_to_an_open_door(run):
    result = run("demo", "--from-cloud", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = [(step["step"], step["outcome"]) for step in json.loads(result.stdout)["steps"]]
    expected = [
        ("Log in", "1 locker"),
        ("Share", "45961123"),
        ("Open, too early", "refused with 32"),
        ("Synchronise", "fetched"),
        ("Open", "done"),
        ("Watch", "the bolt is open"),
        ("Revoke", "gone"),
        ("Open, too late", "refused with 32"),
    ]
    assert [step for step, _ in told] == [step for step, _ in expected]
    for (_, outcome), (_, words) in zip(told, expected, strict=True):
        assert words in outcome


def test_the_way_from_an_account_as_a_person_sees_it(run):
    result = run("demo", "--from-cloud")
    assert result.exit_code == 0
    assert [line[:2] for line in result.stdout.splitlines()[1:] if line[:1].isdigit()] == [f"{n}." for n in range(1, 9)]
