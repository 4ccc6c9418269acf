"""`search` and `status` of all gateways of the file: at once, the dead ones last, with an exit code of their own."""

import json

import anyio
import pytest

from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import Fault, SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")


@pytest.fixture
def houses(simulated_gateway_factory):
    """Three gateways; the second sees no locker."""
    seen = [[SimulatedLocker(2, rssi=-60, wander=0), SimulatedLocker(1, wander=0)], [], [SimulatedLocker(3, wander=0)]]
    return [simulated_gateway_factory(lockers) for lockers in seen]


@pytest.fixture
def file(tmp_path, houses):
    path = tmp_path / "config" / "thekeys" / "config.toml"
    path.parent.mkdir(parents=True)
    text = "".join(f'[gateways.house-{i}]\nhost = "{house.address}"\n' for i, house in enumerate(houses))
    path.write_text(f'{text}[lockers.attic]\nidentifier = 1\ngateway = "house-0"\n')
    path.chmod(0o600)
    return path


@pytest.fixture
def dead(file):
    """A fourth gateway stands in the file, before all others, and is not there."""
    file.write_text('[gateways.dead]\nhost = "127.0.0.1:1"\n' + file.read_text())


@pytest.mark.parametrize("flags", [(), ("--all",)])
@pytest.mark.usefixtures("file")
def test_all_are_asked_where_none_is_named(run, houses, flags):
    result = run("search", *flags)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith("house-")]
    assert [row[:3] for row in rows] == [
        ["house-0", "attic", "1"],
        ["house-0", "2", "2"],
        ["house-1", "sees", "none"],
        ["house-2", "3", "3"],
    ]
    assert [len(house.requests) for house in houses] == [1, 1, 1]


@pytest.mark.usefixtures("dead")
def test_the_dead_ones_stand_at_the_end_with_the_reason(run):
    result = run("search", "--timeout", "1.5")
    assert result.exit_code == ExitCode.UNREACHABLE
    rows = [line for line in result.stdout.splitlines() if line.startswith(("house-", "dead"))]
    assert [row.split()[0] for row in rows] == ["house-0", "house-0", "house-1", "house-2", "dead", "dead:"]
    assert "no answer" in rows[-2]
    assert "no connection to 127.0.0.1:1" in rows[-1]
    assert result.stderr == "Error: search: 1 of 4 gateways did not answer (dead); no door moved.\n"


@pytest.mark.usefixtures("dead")
def test_search_as_one_array_in_which_all_have_the_same_keys(run):
    result = run("list", "--json", "--timeout", "1.5")
    assert result.exit_code == ExitCode.UNREACHABLE
    values = json.loads(result.stdout)
    assert [(value["gateway"], value["name"], value["identifier"]) for value in values] == [
        ("house-0", "attic", 1),
        ("house-0", None, 2),
        ("house-1", None, None),
        ("house-2", None, 3),
        ("dead", None, None),
    ]
    assert len({tuple(value) for value in values}) == 1
    assert values[1] == {
        "gateway": "house-0",
        "name": None,
        "identifier": 2,
        "rssi": -60,
        "battery_mv": 7044,
        "last_log": 100,
        "battery_percent": 36,
        "error": None,
        "message": None,
    }
    assert values[-1]["error"] == "GatewayUnreachableError"
    error = json.loads(result.stderr)
    assert (error["exit_code"], error["message"].split(":")[0]) == (3, "list")


@pytest.mark.usefixtures("dead")
def test_status_of_all(run):
    result = run("status", "--timeout", "1.5")
    assert result.exit_code == ExitCode.UNREACHABLE
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith(("house-", "dead "))]
    assert rows[0] == ["house-0", "65", "Scanning...", "no"]
    assert rows[-1] == ["dead", "no", "answer"]
    values = json.loads(run("status", "--json", "--timeout", "1.5").stdout)
    assert values[0] == {
        "gateway": "house-0",
        "version": 65,
        "phase": "Scanning...",
        "synchronizing": False,
        "error": None,
        "message": None,
    }
    assert (values[-1]["gateway"], values[-1]["version"]) == ("dead", None)


@pytest.mark.usefixtures("file")
def test_one_that_hangs_keeps_nobody_waiting_and_its_code_is_the_commands(run, houses):
    houses[1].fail(Fault.HANG, on="lockers", times=9)
    result = run("search", "--timeout", "1.5")
    assert result.exit_code == ExitCode.TIMEOUT
    assert "house-1: no answer within" in result.stdout
    assert result.stdout.count("dBm") == 3


@pytest.mark.usefixtures("file")
def test_without_being_told_each_has_5_s(run, monkeypatch):
    given = []

    async def lockers(self, *, timeout):
        given.append(timeout)
        return ()

    monkeypatch.setattr("thekeys_async.AsyncGateway.lockers", lockers)
    assert run("search").exit_code == 0
    assert given == [5, 5, 5]


@pytest.mark.usefixtures("file")
def test_they_are_asked_at_once(run, monkeypatch):
    """Each answers when all three have been asked: one after the other, none ever would."""
    asked = []

    async def lockers(self, *, timeout):
        asked.append(self)
        with anyio.fail_after(timeout):
            while len(asked) < 3:
                await anyio.lowlevel.checkpoint()
        return ()

    monkeypatch.setattr("thekeys_async.AsyncGateway.lockers", lockers)
    assert run("search", "--timeout", "2").exit_code == 0


def test_all_of_one_is_an_array_too(run, file, houses):
    file.write_text(f'[gateways.hall]\nhost = "{houses[2].address}"\n')
    (value,) = json.loads(run("search", "--all", "--json").stdout)
    assert (value["gateway"], value["identifier"]) == ("hall", 3)
    (value,) = json.loads(run("search", "--json").stdout)
    assert "gateway" not in value


@pytest.mark.usefixtures("file")
def test_one_that_is_named_or_given_is_asked_alone(run, houses):
    assert run("search", "house-2").exit_code == 0
    assert run("search", "--host", houses[2].address).exit_code == 0
    assert run("search", THEKEYS_HOST=houses[2].address).exit_code == 0
    assert [len(house.requests) for house in houses] == [0, 0, 3]
    assert run("search", "--all", THEKEYS_HOST=houses[2].address).exit_code == 0
    assert [len(house.requests) for house in houses] == [1, 1, 4]


@pytest.mark.parametrize("arguments", [("house-1",), ("--host", "x")])
@pytest.mark.usefixtures("file")
def test_all_and_one_contradict_each_other(run, arguments):
    result = run("search", "--all", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "contradict" in result.stderr


def test_all_of_none(run):
    result = run("status", "--all")
    assert result.exit_code == ExitCode.USAGE
    assert "thekeys setup" in result.stderr
