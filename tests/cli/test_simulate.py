"""`thekeys simulate` as a process: its ready line, control lines, and the cloud beside it."""

import json
import os
import subprocess
import sys

import anyio
import pytest

from tests.sample import CODE, IDENTIFIER
from thekeys_async import AsyncGateway, Pacing, Recorder
from thekeys_async.cli.simulate import learn_shares
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends by a signal")

SECONDS = 30
FAST = ("--port", "0", "--light", "0", "--bluetooth", "0", "--bolt", "0")


@pytest.fixture
def simulate(start):
    def simulate(*arguments, **options):
        return start("simulate", *FAST, *arguments, **options)

    return simulate


@pytest.fixture
def control(simulate):
    """Start it with a pipe as its input, and give both."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", buffering=1) as lines:
        yield lambda *arguments: (simulate(*arguments, stdin=reading), lines)
    os.close(reading)


@pytest.fixture
def locker_status(run):
    def locker_status(address):
        result = run("locker_status", "--json", "--host", address, "-i", IDENTIFIER, "-c", CODE)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return locker_status


def tell(simulator, lines, line):
    lines.write(line + "\n")
    return simulator.stdout.readline().strip()


def test_the_ready_line_says_that_it_takes_control_lines(control, locker_status):
    simulator, lines = control("--locker", f"{IDENTIFIER}:{CODE}")
    ready = simulator.stdout.readline()
    assert "control lines on standard input" in ready
    address = ready.partition(" at ")[2].split()[0]
    assert locker_status(address)["state"] == "closed"
    assert (
        tell(simulator, lines, f"turn {IDENTIFIER} open")
        == f"Locker {IDENTIFIER} was turned by hand: its bolt is open."
    )
    assert locker_status(address)["state"] == "open"
    assert tell(simulator, lines, "nonsense") == "There is no such control line; 'help' lists them."
    assert tell(simulator, lines, f"battery {IDENTIFIER} 6200").startswith("The battery")
    assert locker_status(address)["battery_mv"] == 6200
    simulator.terminate()
    assert simulator.wait(SECONDS) == 0


def test_control_lines_as_json_and_the_last_one_without_a_line_end(control, run):
    simulator, lines = control("--json", "--locker", f"{IDENTIFIER}:{CODE}")
    ready = json.loads(simulator.stdout.readline())
    assert ready["control_lines"] == "stdin"
    assert json.loads(tell(simulator, lines, "firmware 18")) == {"done": True, "answer": "The gateway has firmware 18."}
    assert json.loads(tell(simulator, lines, "x" * 100_000))["done"] is False
    lines.write("power off\nfirmware 19\npower on\nnonsense")
    lines.close()
    assert [json.loads(simulator.stdout.readline())["done"] for _ in range(4)] == [True, True, True, False]
    # The end of the input is not the end of the simulator.
    assert json.loads(run("status", "--json", "--host", ready["address"]).stdout)["version"] == 19
    simulator.terminate()
    assert simulator.wait(SECONDS) == 0
    assert simulator.stderr.read() == ""


def test_nobody_has_to_read_the_answers(control, run):
    simulator, lines = control("--locker", f"{IDENTIFIER}:{CODE}")
    address = simulator.stdout.readline().partition(" at ")[2].split()[0]
    lines.write("firmware 18\n" * 1000 + "firmware 19\n")
    lines.close()
    while json.loads(run("status", "--json", "--host", address).stdout)["version"] != 19:
        pass
    simulator.terminate()
    assert simulator.wait(SECONDS) == 0


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, None])
def test_it_runs_without_an_input(simulate, run, stdin, tmp_path):
    options = {"stdin": stdin} if stdin is not None else {"preexec_fn": lambda: os.close(0)}
    simulator = simulate("--locker", f"{IDENTIFIER}:{CODE}", **options)
    address = simulator.stdout.readline().partition(" at ")[2].split()[0]
    assert run("status", "--host", address).exit_code == 0
    simulator.terminate()
    assert simulator.wait(SECONDS) == 0


def test_a_process_in_the_background_of_a_terminal_is_not_stopped(simulate, run, start):
    master, slave = os.openpty()
    script = (
        "import os, sys, subprocess, signal\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.tcsetpgrp(0, os.getpgrp())\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'thekeys_async', 'simulate', *{FAST!r},"
        f" '--locker', '{IDENTIFIER}:{CODE}'], process_group=0)\n"
        "signal.signal(signal.SIGTERM, lambda *_: child.terminate())\n"
        "sys.exit(child.wait())\n"
    )
    shell = subprocess.Popen(
        [sys.executable, "-c", script], stdin=slave, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        address = shell.stdout.readline().partition(" at ")[2].split()[0]
        for _ in range(2):
            assert run("status", "--host", address).exit_code == 0
    finally:
        shell.terminate()
        assert shell.wait(SECONDS) == 0
        shell.stdout.close()
        os.close(master)
        os.close(slave)


def test_a_cloud_stays_and_prints_its_account(simulate, run, tmp_path):
    simulator = simulate("--cloud", "--json")
    ready = json.loads(simulator.stdout.readline())
    assert ready["lockers"] == [int(IDENTIFIER)]
    config = ("--config", str(tmp_path / "config.toml"))
    account = {"THEKEYS_PASSWORD": ready["password"]}
    setup = run("setup", "--cloud-url", ready["cloud"], "--username", ready["username"], *config, **account)
    assert setup.exit_code == 0, setup.stderr
    assert run("synchronize", *config).exit_code == 0  # only then the gateway knows the share
    opened = run("open", *config, "-i", IDENTIFIER, "--json")
    assert opened.exit_code == 0, opened.stderr
    simulator.terminate()
    assert simulator.wait(SECONDS) == 0


def test_the_account_stands_in_the_ready_line(simulate):
    simulator = simulate("--cloud", "--locker", "7")
    ready = simulator.stdout.readline()
    assert "with locker 7, and its cloud at http://127.0.0.1:" in ready
    assert "the account +33612345678 simulated;" in ready


@pytest.mark.anyio
@pytest.mark.parametrize("automatic", [True, False])
async def test_a_gateway_learns_its_shares_by_itself_unless_that_is_switched_off(automatic):
    learnt = []
    gateway = SimulatedGateway()
    gateway.state.automatic_synchronization = automatic
    gateway.on_synchronize.append(learnt.append)
    with anyio.move_on_after(0.05):
        await learn_shares(gateway, 0.001)
    assert (len(learnt) > 1) is automatic
    assert set(learnt) <= {None}


def test_a_locker_is_needed_without_a_cloud(run):
    result = run("simulate", "--port", "0")
    assert result.exit_code == 2
    assert "--locker 45961123:CODE" in result.stderr


@pytest.fixture
def recording(tmp_path):
    async def record():
        lockers = [SimulatedLocker(int(IDENTIFIER), share_code=CODE)]
        sim = SimulatedGateway(lockers, light=0, bluetooth=0, version=33)
        with Recorder(tmp_path / "gateway.jsonl") as recorder:
            async with sim, AsyncGateway(sim.address, record=recorder, pacing=Pacing(0, 0)) as gateway:
                await gateway.status()
                await gateway.lockers()
                await gateway.locker(int(IDENTIFIER), share_code=CODE).status()

    anyio.run(record)
    return str(tmp_path / "gateway.jsonl")


@pytest.mark.parametrize("code", [None, "mine"])
def test_a_recording_is_replayed(simulate, run, recording, code):
    simulator = simulate("--json", "--replay", recording, *(("-c", code) if code else ()))
    ready = json.loads(simulator.stdout.readline())
    assert ready.get("share_code") == (None if code else CODE)
    (locker,) = ready["lockers"]
    asked = ("--json", "--host", ready["address"])
    assert json.loads(run("status", *asked).stdout)["version"] == 33
    opened = run("open", *asked, "-i", str(locker), "-c", code or CODE)
    assert opened.exit_code == 0, opened.stderr
    simulator.terminate()
    assert simulator.wait(SECONDS) == 0


def test_the_ready_line_of_a_replay_has_the_share_code(simulate, recording):
    assert f"(share code {CODE});" in simulate("--replay", recording).stdout.readline()


@pytest.mark.parametrize("text", ["", "nonsense", '{"recording": 7}', '{"recording": 1}'])
def test_what_is_no_recording_is_one_sentence(run, tmp_path, text):
    path = tmp_path / "x"
    path.write_text(text)
    result = run("simulate", "--port", "0", "--replay", str(path))
    assert result.exit_code == 2
    assert "can't be replayed" in result.stderr
    assert "It has to be what 'thekeys check --save' has written." in result.stderr


def test_a_locker_that_is_not_in_the_recording_is_a_mistake(run, recording):
    result = run("simulate", "--port", "0", "--replay", recording, "--locker", "7:x")
    assert (result.exit_code, "no locker 7" in result.stderr) == (2, True)
