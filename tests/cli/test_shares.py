"""`thekeys shares`: list, create with a guest's dates, revoke."""

import json
from datetime import date, datetime, time, timedelta

import pytest

from tests.sample import IDENTIFIER
from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import Fault, SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")

PIN = "80314159"


@pytest.fixture
def shares(run, simulated_home):
    """Run `thekeys shares ...` unattended."""
    cloud = simulated_home.cloud
    known = {"THEKEYS_CLOUD_URL": cloud.url, "THEKEYS_USERNAME": cloud.username, "THEKEYS_PASSWORD": cloud.password}
    return lambda *arguments, **environment: run("shares", *arguments, **known | environment)


@pytest.fixture
def keypad(simulated_home):
    return simulated_home.cloud.add_keypad(int(IDENTIFIER), identifier="TK-KP-7", name="Pad")


def as_json(result):
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_from_nothing_to_a_guest_and_back(shares, keypad, simulated_home):
    assert as_json(shares("list", "--json")) == []
    assert "no share" in shares("list").stdout
    dates = ("--from", "2030-08-01 16:00", "--until", "2030-08-08T11:00")
    arguments = ("create", IDENTIFIER, "--with", "Pad", "--name", "Ada", *dates, "--pin", PIN, "--json")
    made = as_json(shares(*arguments))
    number = made.pop("id")
    assert made == {
        "identifier": int(IDENTIFIER),
        "locker": f"Porte {IDENTIFIER}",
        "with": "TK-KP-7",
        "name": "Ada",
        "description": "",
        "starts": "2030-08-01T16:00:00+02:00",
        "ends": "2030-08-08T11:00:00+02:00",
        "active": True,
        "usable": True,
    }
    (row,) = simulated_home.cloud.shares
    assert (row.code, row.first_day, row.last_hour) == (PIN, date(2030, 8, 1), time(11))
    assert as_json(shares("list", IDENTIFIER, "--json")) == [made | {"id": number}]
    revoked = shares("revoke", str(number))
    assert revoked.exit_code == 0
    assert "synchronize" in revoked.stdout
    assert simulated_home.cloud.shares == ()


def test_errors_carry_the_words_that_were_typed(shares):
    result = shares("list", THEKEYS_PASSWORD="wrong")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("Error: shares list: log in: ")


def test_a_locker_that_is_not_there_gets_the_nearest_first(shares, simulated_home):
    simulated_home.gateway.appear(SimulatedLocker(7))
    simulated_home.cloud.names[7] = "Back door"
    simulated_home.cloud.names[int(IDENTIFIER)] = "Cellar"
    assert "has: 7 (Back door), 45961123 (Cellar)" in shares("list", "bak dor").stderr
    assert "has: 45961123 (Cellar), 7 (Back door)" in shares("list", "celar").stderr


def test_a_keypad_wants_digits(shares, keypad, simulated_home):
    result = shares("create", IDENTIFIER, "--with", "pad", "--name", "Ada")
    assert result.exit_code == ExitCode.USAGE
    assert "A keypad wants digits: give them with --pin" in result.stderr
    assert not simulated_home.cloud.shares
    assert shares("create", IDENTIFIER, "--with", "pad", "--name", "Ada", "--pin", PIN).exit_code == 0


def test_a_table_shows_no_code_unless_it_is_asked_for(shares, keypad, simulated_home):
    created = shares("create", IDENTIFIER, "--with", "TK-KP-7", "--name", "Ada", THEKEYS_PIN=PIN)
    assert created.exit_code == 0
    listed = shares("list", f"porte {IDENTIFIER}", COLUMNS="200")
    for result in (created, listed):
        assert "Ada" in result.stdout
        assert PIN not in result.stdout
    assert PIN not in shares("list", "--json").stdout
    assert PIN in shares("list", "--show-codes", COLUMNS="200").stdout
    (listed,) = as_json(shares("list", "--show-codes", "--json"))
    assert listed["code"] == PIN
    other = as_json(shares("create", IDENTIFIER, "--with", "TK-GW-1", "--name", "x", "--show-codes", "--json"))
    assert other["code"] in {share.code for share in simulated_home.cloud.shares}


@pytest.mark.parametrize(
    ("starts", "ends", "shown"),
    [
        ("2030-08-01", "2030-08-08", ("2030-08-01", "2030-08-08")),
        ("08:00", "18:30", ("08:00", "18:30")),
        ("2030-08-01 16:00+00:00", "2030-08-08", ("2030-08-01 18:00", "2030-08-08")),
    ],
)
def test_days_hours_and_moments(shares, starts, ends, shown):
    result = shares("create", IDENTIFIER, "--name", "Ada", "--from", starts, "--until", ends, COLUMNS="200")
    assert result.exit_code == 0
    for moment in shown:
        assert f" {moment} " in result.stdout


def test_states(shares, simulated_home):
    yesterday = (datetime.now().astimezone() - timedelta(days=2)).date()
    assert shares("create", IDENTIFIER, "--name", "past", "--until", yesterday.isoformat()).exit_code == 0
    assert shares("create", IDENTIFIER, "--name", "off").exit_code == 0
    simulated_home.cloud.shares[1].active = False
    shown = shares("list", COLUMNS="200").stdout
    assert "has run out" in shown
    assert "switched off" in shown


def test_a_name_of_the_configuration_file(shares, simulated_home, tmp_path):
    file = tmp_path / "keys.toml"
    file.write_text(
        f'[gateways.hall]\nhost = "{simulated_home.gateway.address}"\n'
        f'[lockers.front-door]\nidentifier = {IDENTIFIER}\ngateway = "hall"\n'
    )
    file.chmod(0o600)
    made = as_json(shares("create", "front-door", "--name", "Ada", "--config", str(file), "--json"))
    assert made["identifier"] == int(IDENTIFIER)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", IDENTIFIER), "--name"),
        (("create", IDENTIFIER, "--with", "TK-KP-7", "--name", "", "--pin", PIN), "has a name"),
        (("create", IDENTIFIER, "--with", "TK-KP-7", "--name", "\udcff", "--pin", PIN), "can't be sent"),
        (("create", IDENTIFIER, "--name", "a", "--with", "Pad"), "TK-KP-7 (Pad), TK-KP-8 (Pad)"),
        (("create", IDENTIFIER, "--name", "a"), "Say through what"),
        (("create", "7", "--name", "a"), "Say which locker"),
        (("create", "geheim", "--name", "a"), f"{IDENTIFIER} (Porte {IDENTIFIER})"),
        (("create", IDENTIFIER, "--name", "a", "--with", "TK-GW-1", "--from", "soon"), "2026-08-01"),
        (("create", IDENTIFIER, "--name", "a", "--with", "TK-GW-1", "--from", "2030-13-01"), "2026-08-01"),
        (
            ("create", IDENTIFIER, "--name", "a", "--with", "TK-GW-1", "--from", "2030-01-02", "--until", "2030-01-01"),
            "end",
        ),
        (("create", IDENTIFIER, "--name", "a", "--with", "TK-GW-1", "--pin", "gehäim"), "ASCII"),
        (("revoke", "geheim"), "NUMBER"),
        (("list", "geheim"), "Say which locker"),
        ((), "Commands"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-d",)])
@pytest.mark.usefixtures("keypad")
def test_wrong_flags(shares, simulated_home, arguments, says, flags):
    simulated_home.cloud.add_keypad(int(IDENTIFIER), identifier="TK-KP-8", name="Pad")
    result = shares(*arguments, *(flags if arguments else ()))
    assert result.exit_code == ExitCode.USAGE
    assert says in result.stderr
    assert "geh" not in result.stderr.replace("'geheim' is not a valid integer", "")
    assert simulated_home.cloud.shares == ()


def test_a_refused_form_says_why_and_blots_the_pin_out(shares, keypad):
    result = shares("create", IDENTIFIER, "--with", "Pad", "--name", "Ada", "--pin", "123x", "--json")
    assert result.exit_code == ExitCode.REFUSED
    error = json.loads(result.stderr)
    assert error["error"] == "ShareRejectedError"
    assert "chiffres" in error["message"]
    assert "no share was changed" in error["message"]
    assert "123x" not in result.stderr


def test_a_share_that_is_not_there(shares):
    result = shares("revoke", "7")
    assert result.exit_code == ExitCode.REFUSED
    assert "thekeys shares list" in result.stderr


def test_a_creation_without_an_answer_may_have_made_a_share(shares, simulated_home):
    simulated_home.cloud.fail(Fault.RESET_AFTER, on="create")
    result = shares("create", IDENTIFIER, "--name", "Ada")
    assert result.exit_code == ExitCode.OUTCOME_UNKNOWN
    assert "may have been created" in result.stderr
    assert "thekeys shares list" in result.stderr
    assert len(simulated_home.cloud.shares) == 1


def test_a_list_that_fails_changed_nothing(shares, simulated_home):
    simulated_home.cloud.reply_next(b"nonsense", on="shares", times=4)
    result = shares("list")
    assert result.exit_code == ExitCode.NOT_UNDERSTOOD
    assert "no share was changed" in result.stderr


def test_the_clouds_words_can_not_write_to_the_terminal(shares, simulated_home):
    assert shares("create", IDENTIFIER, "--name", "a\x1b[2Jb").exit_code == 0
    assert "\x1b" not in shares("list").stdout
    assert "\x1b" not in shares("list", "--json").stdout


def test_a_person_is_invited_listed_and_switched(shares, simulated_home):
    arguments = ("invite", IDENTIFIER, "06 11 11 11 11", "--name", "Ada", "--description", "cleans", "--country", "FR")
    made = as_json(shares(*arguments, "--json"))
    number = made.pop("id")
    assert made == {
        "identifier": int(IDENTIFIER),
        "locker": f"Porte {IDENTIFIER}",
        "with": None,
        "phone": "+33611111111",
        "person": "",
        "accepted": False,
        "name": "Ada",
        "description": "cleans",
        "starts": None,
        "ends": None,
        "active": True,
        "usable": False,
    }
    assert as_json(shares("list", "--json")) == [made | {"id": number}]
    table = shares("list", "--show-codes").stdout
    assert "+33611111111" in table
    assert "asked for" in table
    (row,) = simulated_home.cloud.people
    row.accepted = True
    assert as_json(shares("list", "--json"))[0]["person"] == "Dominique Petit"
    off = shares("off", str(number))
    assert (off.exit_code, off.stderr, row.active) == (0, "", False)
    assert "switched off" in shares("list").stdout
    assert as_json(shares("on", str(number), "--json"))["active"] is True
    assert (row.active, row.name, row.description) == (True, "Ada", "cleans")


def test_a_guests_share_is_switched_off_and_on(shares, keypad, simulated_home):
    number = as_json(shares("create", IDENTIFIER, "--with", "Pad", "--name", "Ada", "--pin", PIN, "--json"))["id"]
    (row,) = simulated_home.cloud.shares
    for word, active in (("off", False), ("on", True)):
        result = shares(word, str(number))
        assert (result.exit_code, result.stderr) == (0, "")
        assert "synchronize" in result.stdout
        assert (row.active, row.code) == (active, PIN)
        assert PIN not in result.output


def test_a_number_that_two_shares_have_needs_a_word(shares, keypad, simulated_home):
    number = as_json(shares("create", IDENTIFIER, "--with", "Pad", "--name", "Ada", "--pin", PIN, "--json"))["id"]
    assert shares("invite", IDENTIFIER, "+33611111111", "--name", "Ada").exit_code == 0
    (row,), (person,) = simulated_home.cloud.shares, simulated_home.cloud.people
    person.number = number
    both = shares("off", str(number))
    assert (both.exit_code, row.active, person.active) == (ExitCode.USAGE, True, True)
    assert "--person" in both.stderr
    assert shares("off", str(number), "--person").exit_code == 0
    assert (row.active, person.active) == (True, False)
    assert shares("off", "99").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "arguments", [("invite", IDENTIFIER, "Ada", "--name", "Ada"), ("invite", IDENTIFIER, "+33611111111")]
)
def test_who_is_invited_needs_a_number_and_a_name(shares, simulated_home, arguments):
    result = shares(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert not simulated_home.cloud.people
