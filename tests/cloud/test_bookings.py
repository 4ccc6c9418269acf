"""The recipe of docs/bookings.md: one PIN for each stay, whatever happens to the bookings and to the program."""

import re
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st

from thekeys_async.cloud import CloudError
from thekeys_async.simulator import Fault

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "bookings.md"
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture(scope="module")
def recipe():
    """The program on the page, as a module."""
    (text,) = re.findall(r"```python\n(# bookings\.py\n.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    module = ModuleType("bookings_on_the_page")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(text, "bookings.py", "exec"), vars(module))
    yield module
    del sys.modules[module.__name__]


def calendar(*events):
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN"]
    for event in events:
        lines += ["BEGIN:VEVENT", *event, "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def booking(uid, start="20300801", end="20300808", *more):
    return (f"UID:{uid}", f"DTSTART;VALUE=DATE:{start}", f"DTEND;VALUE=DATE:{end}", f"SUMMARY:{uid}", *more)


@pytest.fixture
async def keep(home, recipe):
    """Run the program once, with a calendar of these bookings."""
    home.server.add_keypad(home.front, identifier="KP1")
    home.server.add_keypad(home.front, identifier="KP2")

    async def keep(*events):
        async with home.cloud() as cloud:
            locker = next(each for each in await cloud.lockers() if each.identifier == home.front)
            keypad = next(each for each in locker.accessories if each.identifier == "KP1")
            stays = recipe.read_stays(calendar(*events), locker.timezone)
            return [
                (what, share.description) for what, share in await recipe.keep_in_step(cloud, locker, keypad, stays)
            ]

    return keep


def codes(home):
    return {share.description: share.code for share in home.server.shares}


async def test_stays_come_move_and_go_and_no_code_changes(home, keep):
    assert await keep(booking("a"), booking("b", "20300901", "20300903")) == [
        ("new", "booking: a"),
        ("new", "booking: b"),
    ]
    first = codes(home)
    assert all(re.fullmatch(r"[0-9]{8}", code) for code in first.values())
    assert len(set(first.values())) == 2
    (share, _) = home.server.shares
    assert (share.first_hour, share.last_hour) == (time(16), time(11))
    assert await keep(booking("a"), booking("b", "20300901", "20300903")) == [], "nothing to do"
    assert await keep(booking("b", "20300901", "20300904"), booking("a", "20300731")) == [
        ("moved", "booking: b"),
        ("moved", "booking: a"),
    ]
    assert codes(home) == first
    assert await keep(booking("a", "20300731"), booking("c")) == [("new", "booking: c"), ("cancelled", "booking: b")]
    assert {description: code for description, code in codes(home).items() if description in first} == {
        "booking: a": first["booking: a"]
    }


async def test_what_the_host_made_by_hand_is_left_alone(home, keep):
    async with home.cloud() as cloud:
        locker = next(each for each in await cloud.lockers() if each.identifier == home.front)
        pads = {each.identifier: each for each in locker.accessories}
        await cloud.create_share(locker, pads["KP1"], name="cleaner", share_code="11111111")
        await cloud.create_share(locker, pads["KP2"], name="x", description="booking: x", share_code="22222222")
    assert await keep(booking("a")) == [("new", "booking: a")]
    assert await keep() == [("cancelled", "booking: a")]
    assert {share.name for share in home.server.shares} == {"cleaner", "x"}, "another keypad is another recipe's"


async def test_a_share_that_the_host_renamed_or_switched_off_stays_so_when_it_moves(home, keep):
    await keep(booking("a"))
    (share,) = home.server.shares
    share.name, share.active = "Ada and Charles", False
    code = share.code
    assert await keep(booking("a", "20300802")) == [("moved", "booking: a")]
    assert (share.name, share.active, share.code) == ("Ada and Charles", False, code)


async def test_a_run_that_broke_off_is_made_good_by_the_next(home, keep):
    home.server.fail(Fault.RESET_AFTER, on="create")
    with pytest.raises(CloudError) as caught:
        await keep(booking("a"), booking("b"))
    assert caught.value.may_have_executed
    before = codes(home)
    assert list(before) == ["booking: a"]
    assert await keep(booking("a"), booking("b")) == [("new", "booking: b")]
    assert codes(home)["booking: a"] == before["booking: a"]


async def test_a_calendar_that_broke_off_changes_nothing(home, keep, recipe):
    await keep(booking("a"), booking("b"))
    before = codes(home)
    whole = calendar(booking("a"), booking("b"))
    for text in (whole[:-20], whole[: len(whole) // 2], b"", b"<html>", calendar(("DTSTART:20300801T100000Z",))):
        with pytest.raises(ValueError):
            recipe.read_stays(text, PARIS)
    with pytest.raises(ValueError):
        await keep(booking("a"), ("UID:b", "SUMMARY:b"))
    assert codes(home) == before


@settings(max_examples=60)
@given(cut=st.integers(0, 400))
def test_no_cut_loses_a_booking(recipe, cut):
    whole = calendar(booking("a"), booking("b"))
    try:
        stays = recipe.read_stays(whole[:cut], PARIS)
    except ValueError:
        return
    assert set(stays) == {"a", "b"}


def test_what_is_no_stay(recipe):
    stays = recipe.read_stays(
        calendar(
            booking("cancelled", "20300801", "20300802", "STATUS:CANCELLED"),
            (
                "UID:blocked",
                "DTSTART;VALUE=DATE:20300801",
                "DTEND;VALUE=DATE:20300802",
                "SUMMARY:Airbnb (Not available)",
            ),
            booking("stay"),
        ),
        PARIS,
    )
    assert list(stays) == ["stay"]


@pytest.mark.parametrize(
    ("lines", "starts", "ends"),
    [
        (
            ("DTSTART:20300801T140030Z", "DTEND:20300808T090000Z"),
            datetime(2030, 8, 1, 16, tzinfo=PARIS),
            datetime(2030, 8, 8, 11, tzinfo=PARIS),
        ),
        (
            ("DTSTART:20300801T150000", "DURATION:P1DT2H"),
            datetime(2030, 8, 1, 15, tzinfo=PARIS),
            datetime(2030, 8, 2, 17, tzinfo=PARIS),
        ),
        (
            ("DTSTART;TZID=America/New_York:20300801T150000", "DTEND;TZID=America/New_York:20300802T100000"),
            datetime(2030, 8, 1, 19, tzinfo=UTC),
            datetime(2030, 8, 2, 14, tzinfo=UTC),
        ),
        (
            ("DTSTART;VALUE=DATE:20300801",),
            datetime(2030, 8, 1, 16, tzinfo=PARIS),
            datetime(2030, 8, 2, 11, tzinfo=PARIS),
        ),
    ],
)
def test_when_a_stay_begins_and_ends(recipe, lines, starts, ends):
    (stay,) = recipe.read_stays(calendar(("UID:a", *lines)), PARIS).values()
    assert (stay.starts, stay.ends, stay.guest) == (starts, ends, "Guest")


async def test_a_stay_that_is_over_gets_no_code(home, keep):
    assert await keep(booking("a", "20200101", "20200102")) == []
    assert home.server.shares == ()


def test_a_pin_is_nobody_elses(recipe, monkeypatch):
    numbers = iter([7, 7, 8])
    monkeypatch.setattr(recipe.secrets, "randbelow", lambda _: next(numbers))
    assert recipe.new_pin({"00000007"}) == "00000008"
