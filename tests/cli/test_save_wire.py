"""`thekeys watch --save-wire`: what is on the wire while it watches, without what tells whose it is."""

import json

from tests.sample import CODE, IDENTIFIER
from thekeys_async import read_recording
from thekeys_async.simulator import SimulatedGateway

FLAGS = ("--json", "--interval", "0.1", "--timeout", "0.4", "-i", IDENTIFIER, "-c", CODE)


def test_watching_records(run, simulated_gateway, tmp_path):
    file = tmp_path / "wire.jsonl"
    result = run("watch", "--host", simulated_gateway.address, *FLAGS, "--save-wire", str(file))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[0])["identifier"] == int(IDENTIFIER)
    text = file.read_text()
    exchanges = list(read_recording(text.splitlines()))
    assert {each.action for each in exchanges} >= {"lockers"}
    assert len(exchanges) == len(simulated_gateway.requests)
    for telltale in (CODE, IDENTIFIER, simulated_gateway.address):
        assert telltale not in text
    assert SimulatedGateway.from_recording(file).lockers


def test_a_file_that_is_there_is_not_written_over(run, simulated_gateway, tmp_path):
    file = tmp_path / "wire.jsonl"
    file.write_text("mine")
    result = run("watch", "--host", simulated_gateway.address, *FLAGS, "--save-wire", str(file))
    assert result.exit_code == 2
    assert json.loads(result.stderr)["message"].endswith("nothing was asked. Give another file.")
    assert file.read_text() == "mine"
    assert simulated_gateway.requests == ()


def test_a_file_that_can_not_be_made(run, simulated_gateway, tmp_path):
    result = run("watch", "--host", simulated_gateway.address, *FLAGS, "--save-wire", str(tmp_path / "no" / "wire"))
    assert result.exit_code == 2
    assert "can't be made" in result.stderr
