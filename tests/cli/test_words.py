"""The words for actions: others for them, typing mistakes, errors in the word that was typed, and the Tab key."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample import CODE
from thekeys_async import TheKeysError
from thekeys_async.cli.commands import thekeys
from thekeys_async.cli.errors import ExitCode, in_words
from thekeys_async.cli.group import OTHER_WORDS
from thekeys_async.protocol.endpoints import ENDPOINTS

pytestmark = pytest.mark.usefixtures("no_rest")


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("unlock", "open"),
        ("lock", "close"),
        ("list", "lockers"),
        ("Unlock", "open"),
        ("OPEN", "open"),
        ("locker-status", "locker_status"),
        ("synchronise", "synchronize"),
    ],
)
def test_other_words_for_an_action(ask, simulated_gateway, typed, means):
    assert ask(typed).exit_code == 0
    assert [request.endpoint for request in simulated_gateway.requests] == [means]


def test_every_other_word_stands_for_an_action_and_hides_none():
    assert set(OTHER_WORDS.values()) <= set(thekeys.commands)
    assert not set(OTHER_WORDS) & set(thekeys.commands)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("opne", "open"),
        ("unlok", "unlock"),
        ("serach", "search"),
        ("locker_stauts", "locker_status"),
        ("wacth", "watch"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_typing_mistake_gets_the_nearest_action_and_does_nothing(run, simulated_gateway, typed, meant, flags):
    result = run("--host", simulated_gateway.address, *flags, typed)
    assert result.exit_code == ExitCode.USAGE
    assert f"Did you mean 'thekeys {meant}'?" in result.stderr
    assert typed not in result.stderr
    assert not simulated_gateway.requests


def test_what_is_like_no_action_is_not_repeated(run):
    result = run(CODE)
    assert result.exit_code == ExitCode.USAGE
    assert "'thekeys --help' lists them" in result.stderr
    assert CODE not in result.output


TYPED = [name for name in thekeys.commands if name in {"search", *(each.name for each in ENDPOINTS)}]


@pytest.mark.parametrize(
    ("typed", "flags"),
    [*((typed, ()) for typed in [*TYPED, *OTHER_WORDS]), ("open", ("--json",)), (next(iter(OTHER_WORDS)), ("--json",))],
)
def test_an_error_carries_the_word_that_was_typed(run, typed, flags):
    result = run(typed, "--host", "127.0.0.1:1", "-i", "1", "-c", CODE, "--timeout", "1", *flags)
    assert result.exit_code == ExitCode.UNREACHABLE
    said = json.loads(result.stderr)["message"] if flags else result.stderr.removeprefix("Error: ")
    assert re.match(rf"{typed}(:| was )", said)


@pytest.mark.parametrize(
    ("text", "typed", "said"),
    [
        ("lockers: no connection", "list", "list: no connection"),
        ("lockers: no connection", None, "no connection"),
        (
            "open was sent, and may have been carried out: x",
            "unlock",
            "unlock was sent, and may have been carried out: x",
        ),
        ("lockers was not sent within 2 s: lockers: no connection", None, "it was not sent within 2 s: no connection"),
        ("root_status: no answer within 2 s", "status", "status: no answer within 2 s"),
        ("opening hours: none", "unlock", "opening hours: none"),
    ],
)
def test_the_words_of_an_error(text, typed, said):
    assert in_words(TheKeysError(text), typed) == said


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_watch_names_no_request(run, flags):
    result = run("watch", "--host", "127.0.0.1:1", "--interval", "0.1", "--timeout", "1.5", *flags)
    assert "no connection to 127.0.0.1:1" in result.stdout
    assert "lockers: " not in result.stdout


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(
        '[gateways.hall]\nhost = "192.168.0.26"\n[gateways."Hinter Haus"]\nhost = "192.168.0.27"\n'
        '[lockers.front-door]\nidentifier = 1\ngateway = "hall"\n'
        '[lockers.Garden]\nidentifier = 2\ngateway = "hall"\n'
    )
    path.chmod(0o600)
    return path


@pytest.fixture
def complete(run, file):
    """What is offered for a line that ends where the cursor is."""

    def complete(line, config=file):
        words = line.split(" ")
        environment = {"_THEKEYS_COMPLETE": "fish_complete", "COMP_WORDS": line, "COMP_CWORD": words[-1]}
        result = run(THEKEYS_CONFIG=str(config), **environment)
        return [line.split(",", 1)[1].split("\t")[0] for line in result.stdout.splitlines() if line]

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("thekeys open ", ["front-door", "Garden"]),
        ("thekeys close g", ["Garden"]),
        ("thekeys unlock FR", ["front-door"]),
        ("thekeys search h", ["hall", "Hinter Haus"]),
        ("thekeys watch hall hi", ["Hinter Haus"]),
        ("thekeys shares list f", ["front-door"]),
        ("thekeys calib", ["calibrate"]),
        ("thekeys open --state", ["--state-dir"]),
    ],
)
def test_what_the_shell_offers(complete, line, offered):
    assert complete(line) == offered


def test_a_file_given_by_flag_is_the_one_that_counts(complete, file, tmp_path):
    assert complete(f"thekeys --config {file} open f", config=tmp_path / "none.toml") == ["front-door"]
    assert complete(f"thekeys --config {tmp_path / 'none.toml'} open f") == []


def test_a_file_that_can_not_be_used_offers_nothing(complete, file):
    file.chmod(0o644)
    assert complete("thekeys open f") == []
    file.chmod(0o600)
    file.write_text("nonsense")
    assert complete("thekeys open f") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_docs_switches_completion_on(shell, tmp_path, file):
    """It runs in the shell itself where that is installed; else what the shell would read is looked at."""
    script = tmp_path / "thekeys"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m thekeys_async "$@"\n')
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "THEKEYS_CONFIG": str(file)}
    page = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| {shell} \| `([^`]+)` \|", page, re.MULTILINE)
    line = line.replace("\\|", "|")
    checks = {
        "bash": 'COMP_WORDS=(thekeys open fr); COMP_CWORD=2; _thekeys_completion thekeys; echo "${COMPREPLY[@]}"',
        "zsh": "whence -w _thekeys_completion",
        "fish": "complete -C 'thekeys open fr'",
    }
    if shutil.which(shell) is None:
        line = line.replace("eval ", "echo ").replace("| source", "")
        checks[shell] = ":"
        runner = ["bash", "-c"]
        offered = "_thekeys_completion"
    else:
        runner = [shell, "--norc", "-c"] if shell == "bash" else [shell, "-c"]
        offered = {"bash": "front-door", "zsh": "function", "fish": "front-door"}[shell]
    done = subprocess.run(
        [*runner, f"{line}\n{checks[shell]}"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert offered in done.stdout
