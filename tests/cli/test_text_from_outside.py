"""What a gateway says reaches no terminal, log or JSON raw, and none of it is longer than a line should be."""

import json
import os

import pytest

pytestmark = pytest.mark.usefixtures("no_rest")

FORGED = "2026-01-01 00:00:00,000 CRITICAL thekeys_async: forged"
EVIL = f"\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\n{FORGED}\n" + "so long " * 7000
REPLIES = {
    "cause": ("open", {"status": "ko", "code": 35, "cause": EVIL}),
    "message": ("close", {"status": EVIL, "code": 500, "cause": EVIL, "message": EVIL}),
    "phase": ("status", {"version": 1, "current_status": EVIL}),
    "position": ("locker_status", {"status": EVIL, "code": 49, "position": 10**4000}),
    "body": ("search", EVIL.encode()),
}
LONGEST = 2000


@pytest.mark.parametrize("where", REPLIES)
@pytest.mark.parametrize("flags", [(), ("-d",), ("--json",), ("--json", "-d")])
def test_no_output_is_raw_or_endless(ask, simulated_gateway, where, flags):
    action, reply = REPLIES[where]
    simulated_gateway.reply_next(reply, on="lockers" if action == "search" else action, times=9)
    result = ask(action, *flags, "--timeout", "6")
    for line in result.output.split("\n"):
        assert line.isprintable(), ascii(line)
        assert not line.startswith(FORGED)
        assert len(line) < LONGEST


@pytest.mark.parametrize("flags", [(), ("-d",)])
def test_what_watch_prints_as_json_is_bounded(ask, simulated_gateway, flags):
    simulated_gateway.reply_next(EVIL.encode(), on="lockers", times=99)
    result = ask("watch", "--json", *flags, "--interval", "0.1", "--timeout", "2.5")
    (line,) = result.stdout.splitlines()
    assert "message" in json.loads(line)
    assert len(line) < LONGEST
    assert "\x1b" not in result.output


@pytest.mark.parametrize("words", [("search", "--all"), ("watch", "--timeout", "0.2"), ("status", "entr\xe9e")])
def test_a_letter_that_the_terminal_does_not_know_is_no_reason_to_fail(start, simulated_gateway, tmp_path, words):
    path = tmp_path / "config.toml"
    path.write_text(f'[gateways."entr\xe9e"]\nhost = "{simulated_gateway.address}"\n', encoding="utf-8")
    path.chmod(0o600)
    environment = {**os.environ, "THEKEYS_CONFIG": str(path), "PYTHONIOENCODING": "ascii"}
    process = start(*words, env=environment)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.isascii()
    assert ("entr\\xe9e" in stdout) is (words[0] != "status")


@pytest.mark.parametrize(
    "words",
    [
        ("plot", "{file}", "x.svg"),
        ("plot", "{file}-", "x.svg"),
        ("plot", "{file}", "{file}"),
        ("simulate", "--port", "0", "--replay", "{file}"),
        ("simulate", "--port", "0", "--replay", "{file}-"),
        ("search", "--config", "{file}-"),
        ("search", "--config", "{file}"),
        ("search", "--state-dir", "{file}"),
        ("check", "--host", "127.0.0.1:1", "--save", "{file}"),
        ("search", "{file}"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_files_name_does_not_write_to_the_terminal(run, tmp_path, words, flags):
    file = tmp_path / "x\x1b[2Jy\x07z"
    file.write_text("nothing")
    result = run(*(word.format(file=file) for word in words), *flags)
    assert result.exit_code != 0
    assert not set(result.output) & set("\x1b\x07")
    assert "Traceback" not in result.output
