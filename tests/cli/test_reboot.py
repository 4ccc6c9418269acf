"""`thekeys reboot`: asked first at a terminal, by the names that people have for a gateway."""

import json

import pytest

from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import Fault


@pytest.fixture
def reboot(run, simulated_home):
    """Run `thekeys reboot ...` on a gateway that hangs."""
    cloud = simulated_home.cloud
    simulated_home.gateway.settings.restart = 0.0
    simulated_home.gateway.start_synchronizing()
    known = {"THEKEYS_CLOUD_URL": cloud.url, "THEKEYS_USERNAME": cloud.username, "THEKEYS_PASSWORD": cloud.password}

    def reboot(*arguments, input=None, **more):  # noqa: A002 - as click calls it
        return run("reboot", *arguments, input=input, **known | more)

    return reboot


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "config" / "thekeys" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    return write


def hangs(home):
    return home.gateway.phase != "Scanning..."


@pytest.mark.parametrize("name", ["TK-GW-1", "Gateway 1", "gateway 1"])
def test_by_identifier_and_by_the_name_of_the_app(reboot, simulated_home, name):
    result = reboot(name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "rebooting" in result.stdout
    assert not hangs(simulated_home)


@pytest.mark.parametrize("known_by", ["id", "host"])
def test_by_the_name_of_the_file(reboot, simulated_home, file, known_by):
    identifier = 'id = "TK-GW-1"\n' if known_by == "id" else ""
    host = simulated_home.gateway.address if known_by == "host" else "192.168.0.26"
    file(f'[gateways.hall]\nhost = "{host}"\n{identifier}')
    result = reboot("Hall", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"rebooted": "TK-GW-1", "name": "Gateway 1"}
    assert not hangs(simulated_home)


def test_a_name_that_nobody_knows_lists_those_there_are(reboot, simulated_home):
    result = reboot("attic")
    assert result.exit_code == ExitCode.USAGE
    assert "TK-GW-1 (Gateway 1)" in result.stderr
    assert hangs(simulated_home)


@pytest.mark.parametrize(
    "case",
    [((), "y\n", True, True), ((), "n\n", True, False), ((), "", True, False), (("--yes",), "", False, True)],
)
def test_at_a_terminal_it_asks_first(reboot, simulated_home, monkeypatch, case):
    flags, answer, asked, rebooted = case
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True, raising=False)
    result = reboot("TK-GW-1", *flags, input=answer)
    assert ("Go on?" in result.stderr) is asked
    assert hangs(simulated_home) is not rebooted
    assert (result.exit_code == 0) is rebooted


def test_what_it_says_when_it_fails(reboot, simulated_home):
    wrong = reboot("TK-GW-1", THEKEYS_PASSWORD="geheim")
    assert wrong.exit_code == ExitCode.REFUSED
    assert "no gateway was rebooted" in wrong.stderr
    assert hangs(simulated_home)
    simulated_home.cloud.fail(Fault.RESET_AFTER, on="reboot")
    lost = reboot("TK-GW-1", "--json")
    told = json.loads(lost.stderr)
    assert told["may_have_executed"] is True
    assert "may be rebooting" in told["message"]
    assert lost.exit_code == ExitCode.OUTCOME_UNKNOWN
