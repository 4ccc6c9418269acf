"""`thekeys discover`: who is asked, what counts as a gateway, and what is written into the file."""

import json
import socket
import threading
import time
import tomllib
from contextlib import contextmanager

import anyio
import pytest

from tests.sample import LOCKER
from thekeys_async.cli import discover
from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import Fault, SimulatedLocker

USUAL = "127.0.0.1:9"


@pytest.fixture(autouse=True)
def _usual_name(monkeypatch):
    """Nobody is at thekeys.local, which is not looked up in a test."""
    monkeypatch.setattr(discover, "DEFAULT_HOST", USUAL)


@pytest.fixture
def patient(monkeypatch):
    """A slow machine may need longer than is given to strangers."""
    monkeypatch.setattr(discover, "_STRANGER", 2.0)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "thekeys" / "config.toml"


@pytest.fixture
def configured(file):
    def configured(**hosts):
        file.parent.mkdir(parents=True)
        file.write_text("# mine\n" + "".join(f'[gateways.{name}]\nhost = "{host}"\n' for name, host in hosts.items()))
        file.chmod(0o600)

    return configured


@pytest.fixture
def port():
    """A port that is free at every address of 127.0.0.0/28."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def answering(host, port, reply):
    """Somebody who is no gateway answers everything the same."""
    with socket.create_server((host, port)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def found(result):
    return {each["host"]: each for each in json.loads(result.stdout)}


@pytest.mark.usefixtures("patient")
def test_the_network_is_asked_and_only_gateways_are_shown(run, simulated_gateway_factory, port):
    lockers = [SimulatedLocker(2), SimulatedLocker(1)]
    gateways = [simulated_gateway_factory(lockers, host=f"127.0.0.{i}", port=port, version=70 + i) for i in (2, 3)]
    old = simulated_gateway_factory([], host="127.0.0.4", port=port, status_path=False)
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
    thing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with answering("127.0.0.5", port, page), answering("127.0.0.6", port, thing):
        result = run("discover", "--network", "127.0.0.0/28", "--port", str(port), "--timeout", "2", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    answers = found(result)
    assert list(answers) == [f"127.0.0.{i}:{port}" for i in (2, 3, 4)]
    assert answers[f"127.0.0.2:{port}"] == {
        "host": f"127.0.0.2:{port}",
        "name": f"gateway-127-0-0-2-{port}",
        "in_file": False,
        "found_by": "the network",
        "version": 72,
        "phase": "Scanning...",
        "lockers": [1, 2],
        "error": None,
        "message": None,
    }
    assert answers[f"127.0.0.4:{port}"]["lockers"] == []
    for gateway in (*gateways, old):
        asked = {(each.method, each.path) for each in gateway.requests}
        older_status = {("GET", "/")} if gateway is old else set()  # where there is time for it
        assert asked - older_status == {("GET", "/status"), ("GET", "/lockers")}


@pytest.mark.usefixtures("patient")
def test_what_was_found_goes_into_the_file_with_save(run, simulated_gateway_factory, file, configured):
    known, new = simulated_gateway_factory(), simulated_gateway_factory()
    configured(hall=known.address)
    host, port = new.address.split(":")
    flags = ("discover", "--network", host, "--port", port, "--timeout", "2")
    before = file.read_text()
    shown = run(*flags)
    assert shown.exit_code == 0
    assert "--save" in shown.stdout
    name = f"gateway-127-0-0-1-{port}"
    assert f'[gateways.{name}]\nhost = "{new.address}"' in shown.stdout
    assert file.read_text() == before

    saved = run(*flags, "--save")
    assert saved.exit_code == 0
    assert f"Written to {file}" in saved.stdout
    assert f"thekeys search {name}" in saved.stdout
    assert file.read_text().startswith(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(file.read_text())["gateways"] == {
        "hall": {"host": known.address},
        name: {"host": new.address},
    }
    assert run("search", name).exit_code == 0

    again = run(*flags, "--save")
    assert again.exit_code == 0
    assert f"All of them are in {file}" in again.stdout


def test_what_is_shown_without_save_is_a_file_that_works(run, simulated_gateway, file):
    shown = run("discover", "--host", simulated_gateway.address, "--timeout", "2")
    snippet = shown.stdout.partition(f"{file}:")[2]
    assert tomllib.loads(snippet)["gateways"]["gateway-" + simulated_gateway.address.translate({46: 45, 58: 45})]


def test_the_next_command_can_be_typed_where_a_name_has_a_space(run, simulated_gateway, configured):
    configured(**{'"front hall"': simulated_gateway.address})
    assert "Then: thekeys search 'front hall'\n" in run("discover", "--timeout", "1").stdout


def test_the_usual_name_is_asked(run, simulated_gateway, monkeypatch):
    monkeypatch.setattr(discover, "DEFAULT_HOST", simulated_gateway.address)
    result = run("discover", "--json")
    assert result.exit_code == 0
    assert found(result)[simulated_gateway.address]["lockers"] == [LOCKER]


def test_a_usual_name_that_nobody_has_costs_no_time(run, monkeypatch):
    async def nobody(*_):
        raise OSError("no such name")

    monkeypatch.setattr(discover, "DEFAULT_HOST", "thekeys.local")
    monkeypatch.setattr("anyio.getaddrinfo", nobody)
    before = time.monotonic()
    assert run("discover").exit_code == ExitCode.UNREACHABLE
    assert time.monotonic() - before < 5


def test_two_names_of_one_gateway_are_asked_once(run, simulated_gateway, configured, monkeypatch):
    port = simulated_gateway.address.split(":")[1]
    monkeypatch.setattr(discover, "DEFAULT_HOST", f"localhost:{port}")
    configured(hall=simulated_gateway.address)
    result = run("discover", "--network", "127.0.0.1", "--port", port, "--json")
    assert [each["name"] for each in json.loads(result.stdout)] == ["hall"]
    assert len(simulated_gateway.requests) == 2


def test_one_of_the_file_that_does_not_answer_stands_last(run, simulated_gateway, configured):
    configured(dead="127.0.0.1:1", hall=simulated_gateway.address)
    result = run("discover", "--timeout", "2")
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if line.startswith("│")]
    assert ["hall" in row for row in rows] == [True, False]
    assert "no answer" in rows[1]


def test_a_busy_gateway_is_one(run, simulated_gateway):
    simulated_gateway.fail(Fault.BUSY, times=99)
    result = run("discover", "--host", simulated_gateway.address, "--timeout", "2", "--json")
    assert result.exit_code == 0
    assert found(result)[simulated_gateway.address]["lockers"] is None


def test_with_an_account_the_cloud_says_where_gateways_are(run, simulated_home, file):
    cloud = simulated_home.cloud
    account = {"THEKEYS_USERNAME": cloud.username, "THEKEYS_PASSWORD": cloud.password, "THEKEYS_CLOUD_URL": cloud.url}
    result = run("discover", "--save", "--json", "--timeout", "1", **account)
    assert result.exit_code == 0
    (answer,) = json.loads(result.stdout)
    assert (answer["host"], answer["found_by"]) == (simulated_home.gateway.address, "the cloud")
    assert answer["in_file"]
    assert tomllib.loads(file.read_text())["gateways"] == {
        "gateway-1": {"host": simulated_home.gateway.address, "id": "TK-GW-1"}
    }
    assert not cloud.shares  # only looked at


def test_a_cloud_that_is_away_is_a_warning(run, simulated_gateway):
    account = {"THEKEYS_USERNAME": "+33612345678", "THEKEYS_PASSWORD": "secret", "THEKEYS_CLOUD_URL": f"http://{USUAL}"}
    result = run("discover", "--host", simulated_gateway.address, "--timeout", "1", **account)
    assert result.exit_code == 0
    assert "Warning: The cloud was not asked" in result.stderr


def test_nothing_found_says_what_to_do(run):
    result = run("discover", "--timeout", "0.2")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert result.stderr == (
        "Error: discover: nothing answered like a gateway; no door moved. "
        "Say with --network which addresses to ask, for example 192.168.0.0/24.\n"
    )
    as_json = run("discover", "--timeout", "0.2", "--json")
    assert json.loads(as_json.stdout) == []
    assert json.loads(as_json.stderr)["exit_code"] == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (["192.168.0.0/21"], "at most 1024"),
        (["192.168.0.0/22", "10.0.0.0/30"], "at most 1024"),
        (["fd00::/64"], "at most 1024"),
        (["8.8.8.0/24"], "of your own"),
        (["224.0.0.0/24"], "of your own"),
        (["192.168.0.0/33"], "192.168.0.0/24"),
        (["home"], "192.168.0.0/24"),
    ],
)
def test_networks_that_are_not_asked(run, networks, words):
    result = run("discover", *[flag for each in networks for flag in ("--network", each)])
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr


def test_at_most_64_are_asked_at_once_for_half_a_second_each(run, monkeypatch):
    asked, running, most, seconds_given = [], [], [], set()

    async def ask(gateway, candidate, seconds):
        if candidate.by != "the network":
            return discover.Probed(candidate, error=discover.TheKeysError("nobody"))
        asked.append(candidate.host)
        running.append(candidate.host)
        most.append(len(running))
        seconds_given.add(seconds)
        await anyio.lowlevel.checkpoint()
        running.remove(candidate.host)
        return discover.Probed(candidate, error=discover.TheKeysError("nobody"))

    monkeypatch.setattr(discover, "_ask", ask)
    assert run("discover", "--network", "192.168.0.0/22", "--timeout", "9").exit_code == ExitCode.UNREACHABLE
    assert len(set(asked)) == len(asked) == 1022
    assert max(most) == 64
    assert seconds_given == {0.5}


def test_a_file_that_is_not_there_yet_is_made_where_it_was_asked_for(run, simulated_gateway, tmp_path):
    path = tmp_path / "new" / "locks.toml"
    result = run("discover", "--host", simulated_gateway.address, "--config", str(path), "--save")
    assert result.exit_code == 0, result.stderr
    (gateway,) = tomllib.loads(path.read_text())["gateways"].values()
    assert gateway == {"host": simulated_gateway.address}
