"""Tables fit their terminal, and what a person copies is never cut, at any width."""

import io

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from tests.sample import IDENTIFIER
from thekeys_async.cli import output
from thekeys_async.cli.tables import Field, fitted

WIDTHS = [10, 20, 40, 60, 80, 120]
words = st.text("abcdefghij ", min_size=1, max_size=30)
codes = st.text("0123456789ABCDEF+/", min_size=1, max_size=40) | st.just("-71 dBm")


def printed(renderable, width):
    file = io.StringIO()
    console = Console(file=file, width=width)
    console.print(renderable, soft_wrap=not hasattr(renderable, "columns"))
    return file.getvalue()


FIELDS = (
    Field("Number", right=True, whole=True),
    Field("Name"),
    Field("Note", leaves=1),
    Field("Code", whole=True),
)


@given(st.lists(st.tuples(codes, words, words, codes), min_size=1, max_size=4), st.integers(5, 150))
def test_what_is_whole_is_on_one_line_at_any_width(rows, width):
    shown = printed(fitted(FIELDS, rows, Console(file=io.StringIO(), width=width)), width)
    for number, _, _, code in rows:
        assert any(number in line for line in shown.splitlines())
        assert any(code in line for line in shown.splitlines())


@given(st.lists(st.tuples(codes, words, words, codes), min_size=1, max_size=4), st.integers(5, 150))
def test_a_table_is_never_wider_than_the_terminal(rows, width):
    table = fitted(FIELDS, rows, Console(file=io.StringIO(), width=width))
    if hasattr(table, "columns"):
        assert max(map(len, printed(table, width).splitlines())) <= width


@given(st.lists(st.tuples(*[words.map(str.strip)] * 3), min_size=1, max_size=4), st.integers(5, 150))
def test_no_word_is_cut_where_there_is_room_for_each(rows, width):
    fields = (Field("One"), Field("Two"), Field("Three"))
    shown = printed(fitted(fields, rows, Console(file=io.StringIO(), width=width)), width)
    assert "…" not in shown
    assert {word for row in rows for cell in row for word in cell.split()} <= set(shown.replace("│", " ").split())


def test_dates_and_phone_numbers_are_not_cut_at_80_columns():
    fields = (
        Field("Number", right=True, whole=True),
        *map(Field, ("Locker", "Through", "Name", "From", "Until", "State")),
    )
    row = ("3704", "Porte 45961123", "+33611111111", "thekeys", "2030-08-01", "2030-08-08", "asked for")
    shown = printed(fitted(fields, [row], Console(file=io.StringIO(), width=80)), 80)
    assert "…" not in shown
    assert all(word in shown for word in row[2:6])
    assert max(map(len, shown.splitlines())) == 80


def test_columns_that_matter_less_go_first():
    fields = (Field("A", whole=True), Field("B", leaves=1, whole=True), Field("C", leaves=2, whole=True))
    row = ("a" * 10, "b" * 10, "c" * 10)
    shown = {width: printed(fitted(fields, [row], Console(file=io.StringIO(), width=width)), width) for width in WIDTHS}
    assert "c" in shown[60]
    assert "b" in shown[40]
    assert "b" not in shown[20]
    assert "a" * 10 in shown[10]


@pytest.fixture
def shares(run, simulated_home):
    cloud = simulated_home.cloud
    known = {"THEKEYS_CLOUD_URL": cloud.url, "THEKEYS_USERNAME": cloud.username, "THEKEYS_PASSWORD": cloud.password}
    cloud.add_keypad(int(IDENTIFIER), identifier="TK-KP-7", name="The keypad beside the door of the garden house")
    return lambda *arguments, **environment: run("shares", *arguments, **known | environment)


@pytest.mark.parametrize("width", [*WIDTHS, None])
def test_codes_of_shares_are_whole(shares, simulated_home, width):
    arguments = (
        "create",
        IDENTIFIER,
        "--with",
        "TK-KP-7",
        "--pin",
        "80314159",
        "--name",
        "Ada Lovelace and her friends",
    )
    made = shares(*arguments, "--from", "2030-08-01 16:00", "--until", "2030-08-08 11:00")
    assert made.exit_code == 0
    made = shares("create", IDENTIFIER, "--with", "TK-GW-1", "--name", "an integration with a long name")
    assert made.exit_code == 0
    environment = {} if width is None else {"COLUMNS": str(width)}
    lines = shares("list", "--show-codes", **environment).stdout.splitlines()
    for share in simulated_home.cloud.shares:
        assert any(share.code in line for line in lines)
        assert any(str(share.number) in line for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_identifiers_are_whole(run, simulated_gateway, width):
    simulated_gateway.lockers[int(IDENTIFIER)].last_log = 123_456_789
    shown = run("search", "--host", simulated_gateway.address, COLUMNS=str(width)).stdout
    assert any(IDENTIFIER in line for line in shown.splitlines())


def test_a_file_has_as_much_room_as_is_needed(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output.console().width > 1000
    monkeypatch.setenv("COLUMNS", "80")
    assert output.console().width == 80


def test_a_row_in_lines_leaves_out_what_is_empty():
    fields = (Field("Locker", whole=True), Field("", whole=True), Field("", whole=True), Field("News", whole=True))
    shown = printed(fitted(fields, [("front-door", "", "weak", "")], Console(file=io.StringIO(), width=9)), 9)
    assert shown.splitlines() == ["Locker: front-door", "weak"]
