"""`thekeys setup`: what it asks, what it writes, and that the names work afterwards."""

import json
import os
import shlex
import stat
import time
import tomllib
from datetime import timedelta

import pytest

from tests.sample import LOCKER
from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import Fault, SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")

NAME = "porte-45961123"  # the simulated cloud calls it "Porte 45961123"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "thekeys" / "config.toml"


@pytest.fixture
def setup(run, simulated_home):
    """Run `thekeys setup` unattended."""

    def setup(*flags, **environment):
        cloud = simulated_home.cloud
        known = {
            "THEKEYS_CLOUD_URL": cloud.url,
            "THEKEYS_USERNAME": cloud.username,
            "THEKEYS_PASSWORD": cloud.password,
        }
        return run("setup", *flags, **known | environment)

    return setup


def codes_of(home):
    return [share.code for share in home.cloud.shares]


def test_setup_writes_what_every_command_needs(run, setup, simulated_home, file):
    result = setup()
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"thekeys open {NAME}" in result.stdout
    (code,) = codes_of(simulated_home)
    assert code not in result.stdout
    assert tomllib.loads(file.read_text()) == {
        "gateways": {"gateway-1": {"host": simulated_home.gateway.address, "id": "TK-GW-1"}},
        "lockers": {NAME: {"identifier": LOCKER, "gateway": "gateway-1", "code": code}},
    }

    refused = run("open", NAME)
    assert refused.exit_code == ExitCode.REFUSED
    assert "'thekeys synchronize'" in refused.stderr
    assert run("synchronize", "gateway-1").exit_code == 0
    assert run("open", NAME).exit_code == 0
    assert simulated_home.gateway.lockers[LOCKER].state == "open"


def test_a_gateway_outside_of_private_networks_is_left_out_unless_told(setup, simulated_home, file):
    (row,) = simulated_home.cloud.accessories.values()
    row.address = "gateway.example"
    result = setup()
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "--allow-public" in result.stderr
    assert not file.exists()
    assert not simulated_home.cloud.shares
    assert setup("--allow-public").exit_code == 0
    assert tomllib.loads(file.read_text())["gateways"]["gateway-1"]["host"] == "gateway.example"


def test_the_next_steps_name_each_gateway_with_its_lockers(run, setup, simulated_home, simulated_gateway_factory):
    annex = simulated_gateway_factory([SimulatedLocker(2), SimulatedLocker(3)])
    simulated_home.cloud.add_gateway(annex, name="Annex")
    shown = setup().stdout
    assert "'thekeys setup --synchronize'" in shown
    steps = [line.strip() for line in shown.splitlines() if line.startswith("  thekeys")]
    assert sorted(steps) == [
        "thekeys synchronize annex && thekeys synchronize_locker porte-2 && thekeys synchronize_locker porte-3",
        f"thekeys synchronize gateway-1 && thekeys synchronize_locker {NAME}",
    ]
    for step in steps:
        for command in step.split(" && "):
            assert run(*command.split()[1:]).exit_code == 0
    for name in ("porte-2", "porte-3", NAME):
        assert run("open", name).exit_code == 0


def test_the_next_steps_name_a_file_that_was_given(run, setup, tmp_path):
    path = tmp_path / "my keys.toml"
    shown = setup("--config", str(path)).stdout
    steps = [line.strip() for line in shown.splitlines() if line.startswith("  thekeys")]
    steps += [line.removeprefix("Then: ") for line in shown.splitlines() if line.startswith("Then: ")]
    assert len(steps) == 2
    for command in (command for step in steps for command in step.split(" && ")):
        assert run(*shlex.split(command)[1:]).exit_code == 0


def test_a_refusal_right_after_it_asks_first_whether_all_is_synchronised(run, setup, simulated_home, file):
    assert setup("--synchronize").exit_code == 0
    share = file.read_text()
    file.write_text(share.replace(codes_of(simulated_home)[0], "another"))  # as one that the gateway has not yet
    result = run("open", NAME)
    assert result.exit_code == ExitCode.REFUSED
    first = f"Not synchronised yet? Run 'thekeys synchronize gateway-1' and 'thekeys synchronize_locker {NAME}'"
    assert first in result.stderr
    assert result.stderr.index(first) < result.stderr.index("check the share code")
    # A code of the command line is not of the file, and an old file has been synchronised long ago.
    assert "Not synchronised" not in run("open", NAME, "-c", "third").stderr
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(file, (long_ago, long_ago))
    assert "Not synchronised" not in run("open", NAME).stderr


def test_nobody_else_can_read_the_file(setup, file):
    assert setup().exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_with_debug_it_shows_no_secret(setup, simulated_home):
    result = setup("-d", "--synchronize")
    assert "DEBUG" in result.stderr
    tokens = simulated_home.cloud._held._tables._tokens
    for secret in (*codes_of(simulated_home), *tokens, simulated_home.cloud.password):
        assert secret not in result.output


def test_after_synchronising_too_the_door_opens_at_once(run, setup, simulated_home):
    simulated_home.gateway.lockers[LOCKER].synchronized = False
    assert setup("--synchronize").exit_code == 0
    assert run("open", NAME).exit_code == 0


def test_who_is_not_known_is_asked_and_the_password_is_neither_echoed_nor_stored(run, simulated_home, file):
    cloud = simulated_home.cloud
    answers = f"{cloud.username}\n{cloud.password}\n"
    result = run("setup", "--cloud-url", cloud.url, input=answers)
    assert result.exit_code == 0
    assert cloud.password not in result.output
    assert cloud.password not in file.read_text()
    assert cloud.username not in file.read_text()


def test_nobody_is_there_to_be_asked(run, simulated_home):
    result = run("setup", "--cloud-url", simulated_home.cloud.url, THEKEYS_USERNAME="+33612345678")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "Error: Nobody is there to be asked for the log-in: give THEKEYS_PASSWORD.\n"
    result = run("shares", "list", "--cloud-url", simulated_home.cloud.url)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == (
        "Error: Nobody is there to be asked for the log-in: "
        "give --username (or THEKEYS_USERNAME) and THEKEYS_PASSWORD.\n"
    )
    assert not simulated_home.cloud.requests


def test_without_a_terminal_one_sentence_is_all_that_is_said(start):
    for flags in ((), ("--username", "+33612345678")):
        process = start("setup", *flags)
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout) == (ExitCode.USAGE, "")
        assert stderr.startswith("Error: Nobody is there")
        assert stderr.count("\n") == 1
    process = start("setup", "--json")
    assert json.loads(process.communicate(timeout=30)[1])["exit_code"] == ExitCode.USAGE


def test_a_flag_overrides_the_environment(setup, simulated_home):
    result = setup("--username", simulated_home.cloud.username, THEKEYS_USERNAME="+33699999999")
    assert result.exit_code == 0


@pytest.mark.parametrize(("country", "code"), [([], 2), (["--country", "FR"], 0)])
def test_a_national_number_needs_its_country(setup, country, code):
    result = setup("--username", "06 12 34 56 78", *country)
    assert result.exit_code == code
    assert ("--country FR" in result.stderr) is bool(code)


@pytest.mark.parametrize(
    "trouble",
    [
        ({"THEKEYS_PASSWORD": "geheim"}, ExitCode.REFUSED, "password"),
        ({"THEKEYS_CLOUD_URL": "http://192.168.0.26"}, ExitCode.USAGE, "https"),
        ({"THEKEYS_CLOUD_URL": "http://127.0.0.1:9"}, ExitCode.UNREACHABLE, "Internet"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-d",), ("--json",)])
def test_it_fails_without_showing_a_secret(setup, simulated_home, file, trouble, flags):
    environment, code, says = trouble
    result = setup(*flags, **environment)
    assert result.exit_code == code
    assert says in result.stderr
    assert result.stdout == ""
    assert "geheim" not in result.stderr
    assert simulated_home.cloud.password not in result.stderr
    assert not file.exists()


def test_a_share_whose_creation_was_not_answered_is_found_by_repeating(setup, simulated_home):
    simulated_home.cloud.fail(Fault.RESET_AFTER, on="create", times=3)
    simulated_home.cloud.fail(Fault.HTML_500, on="shares", times=1)
    assert setup().exit_code == 0
    assert len(codes_of(simulated_home)) == 1


def test_repeating_it_changes_only_what_has_changed(setup, simulated_home, file):
    assert setup().exit_code == 0
    mine = file.read_text().replace(NAME, "front-door").replace("gateway-1", "hall")
    mine = f'# mine\n[lockers.shed]\nidentifier = 7\ngateway = "hall" # far away\n{mine}'
    mine = mine.replace(simulated_home.gateway.address, "10.9.9.9")
    file.write_text(mine)
    result = setup("--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "file": str(file),
        "gateways": [{"name": "hall", "host": simulated_home.gateway.address, "id": "TK-GW-1"}],
        "lockers": [{"name": "front-door", "identifier": LOCKER, "gateway": "hall"}],
        "left_out": [],
    }
    assert file.read_text() == mine.replace("10.9.9.9", simulated_home.gateway.address)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(codes_of(simulated_home)) == 1


def test_the_gateway_that_the_file_has_for_a_locker_stays(setup, simulated_home, simulated_gateway_factory, file):
    assert setup().exit_code == 0
    other = simulated_gateway_factory([SimulatedLocker(LOCKER)])
    simulated_home.cloud.add_gateway(other, name="Annex")
    simulated_home.cloud.accessories["TK-GW-1"].silent_for = timedelta(minutes=1)
    assert setup().exit_code == 0
    assert tomllib.loads(file.read_text())["lockers"][NAME]["gateway"] == "gateway-1"
    file.unlink()
    assert setup().exit_code == 0
    assert tomllib.loads(file.read_text())["lockers"][NAME]["gateway"] == "annex"


def test_what_was_left_out_and_why(setup, simulated_home, simulated_gateway_factory, file):
    silent = simulated_home.cloud.add_gateway(simulated_gateway_factory([SimulatedLocker(2)]))
    silent.silent_for = timedelta(hours=1)
    result = setup()
    assert result.exit_code == 0
    assert "Porte 2 (2): none of its gateways has reported" in result.stderr
    assert list(tomllib.loads(file.read_text())["lockers"]) == [NAME]
    (left_out,) = json.loads(setup("--json").stdout)["left_out"]
    assert left_out["identifier"] == 2


def test_a_share_that_was_switched_off_stays_so(setup, simulated_home, file):
    assert setup().exit_code == 0
    file.unlink()
    simulated_home.cloud.shares[0].active = False
    result = setup()
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "switched off" in result.stderr
    assert "Nothing was written" in result.stderr
    assert not simulated_home.cloud.shares[0].active
    assert not file.exists()
    assert setup("--share-name", "another").exit_code == 0


def test_a_file_that_others_can_read_is_refused_before_the_cloud_is_asked(setup, simulated_home, file):
    file.parent.mkdir(parents=True)
    file.write_text("")
    file.chmod(0o640)
    result = setup()
    assert result.exit_code == ExitCode.USAGE
    assert "chmod 600" in result.stderr
    assert not simulated_home.cloud.requests


def test_a_file_that_cannot_be_written_says_so(setup, tmp_path):
    (tmp_path / "config").write_text("no folder")
    result = setup()
    assert result.exit_code == ExitCode.USAGE
    assert "--config" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_share_has_a_name(setup):
    result = setup("--share-name", "")
    assert result.exit_code == ExitCode.USAGE
    assert "name" in result.stderr


def test_lockers_of_one_name_are_told_apart():
    from thekeys_async.cli.setup import fresh_name  # noqa: PLC0415 - no simulated cloud has two lockers of one name

    assert fresh_name("Porte d'entrée", "1", "locker", ()) == "porte-d-entree"
    assert fresh_name("Porte d'entrée", "2", "locker", {"porte-d-entree"}) == "porte-d-entree-2"
    assert fresh_name("门", "TK/1", "gateway", ()) == "gateway-tk-1"


def test_a_link_to_the_file_stays_a_link(setup, file, tmp_path):
    kept = tmp_path / "elsewhere.toml"
    file.parent.mkdir(parents=True)
    file.symlink_to(kept)
    assert setup().exit_code == 0
    assert file.is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_an_account_without_lockers(setup, simulated_home, file):
    simulated_home.gateway.lockers.clear()
    result = setup()
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "the account has none" in result.stderr
    assert not file.exists()


def test_the_file_may_be_elsewhere(run, setup, tmp_path, file):
    elsewhere = tmp_path / "deep" / "er" / "keys.toml"
    assert setup("--config", str(elsewhere), "--synchronize").exit_code == 0
    assert not file.exists()
    assert run("open", NAME, "--config", str(elsewhere)).exit_code == 0
    assert run("--config", str(elsewhere), "close", NAME).exit_code == 0
    assert run("open", NAME, THEKEYS_CONFIG=str(elsewhere)).exit_code == 0
