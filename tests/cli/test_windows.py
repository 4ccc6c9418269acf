"""What Windows can't do is said in one sentence at once; what it can is not in the way. The system is made believe."""

import sys

import pytest

from thekeys_async.cli.errors import ExitCode
from thekeys_async.coordination import file_directory


@pytest.fixture(autouse=True)
def _windows(simulated_gateway, monkeypatch):
    """The gateway comes first: it runs on the real system."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(file_directory, "fcntl", raising=False)


def test_a_folder_for_turns_is_refused_in_one_sentence(run, simulated_gateway, tmp_path):
    result = run("search", "--host", simulated_gateway.address, "--state-dir", str(tmp_path / "turns"))
    assert result.exit_code == ExitCode.COORDINATION
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "no flock" in result.stderr
    assert "Redis" in result.stderr
    assert simulated_gateway.requests == ()
    assert not (tmp_path / "turns").exists()


@pytest.mark.parametrize("action", ["search", "status"])
def test_without_a_folder_it_works(run, simulated_gateway, action):
    result = run(action, "--host", simulated_gateway.address)
    assert (result.exit_code, result.stderr) == (0, "")
