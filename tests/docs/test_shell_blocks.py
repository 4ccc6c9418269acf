"""Every command line of the README and the docs runs; JSON and TOML that are shown are such."""

import json
import os
import re
import signal
import subprocess
import sys

from thekeys_async.config.file import load

_SECONDS = 60
# The command without the rests that only hardware needs.
_COMMAND = """
from thekeys_async import AsyncGateway, Fleet, Pacing
from thekeys_async.cli import main

for function in (AsyncGateway.__init__, Fleet.__init__, Fleet.from_cloud, Fleet.from_config):
    function.__kwdefaults__["pacing"] = Pacing(0, 0)
main()
"""
_ENDS = re.compile(r"^(.+?) +# ends with (\d+).*$", re.MULTILINE)


def test_shell_block(shell_block, stage, tmp_path):
    code, output = _run(shell_block, stage, tmp_path)
    assert code == 0, output
    assert "Traceback" not in output


def test_json_block(json_block):
    assert json.loads(json_block.text)


def test_toml_block(toml_block, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(toml_block.text, encoding="utf-8")
    file.chmod(0o600)
    assert load(file)


def _run(block, stage, folder):
    clone, environment = _installed(folder)
    with stage() as house:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", _expecting(house.translate(block.text))],
            cwd=clone,
            env=environment | _world(house, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(f"{house.share_code}\n", timeout=_SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    return process.returncode, output


def _expecting(text):
    """Let a line that says how it ends, ``# ends with 6``, end so; all others have to succeed."""
    return _ENDS.sub(r"status=0; \1 || status=$?; [ $status = \2 ]", text)


def _world(house, folder):
    """What a command finds in its environment: a gateway, an account, a cloud, and nothing configured."""
    return {
        "THEKEYS_HOST": house.address,
        "THEKEYS_USERNAME": house.cloud.username,
        "THEKEYS_PASSWORD": house.cloud.password,
        "THEKEYS_CLOUD_URL": house.cloud.url,
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
    }


def _installed(folder):
    """Make a folder and an environment in which virtual environments exist and everything is installed."""
    clone, stubs, command = folder / "clone", folder / "stubs", folder / "thekeys.py"
    command.write_text(_COMMAND, encoding="utf-8")
    for commands in (clone / ".venv" / "bin", stubs):
        commands.mkdir(parents=True)
        _script(commands / "pip", "exit 0")
        _script(commands / "python3", f'[ "$1 $2" = "-m venv" ] || exec "{sys.executable}" "$@"')
        _script(commands / "thekeys", f'exec "{sys.executable}" "{command}" "$@"')
    _script(stubs / "pipx", '[ "$1" = install ]')
    _script(stubs / "uvx", f'[ "$1 $3" = "--from thekeys" ] && shift 3 && exec "{sys.executable}" "{command}" "$@"')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THEKEYS_")}
    return clone, environment | {"PATH": f"{stubs}{os.pathsep}{environment['PATH']}"}


def _script(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
