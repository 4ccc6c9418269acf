"""Flags before and after the action, the environment, and what is wrong with them."""

import json

import pytest

from tests.sample import CODE, IDENTIFIER


@pytest.mark.parametrize("where", [0, 2, 4, 6])
def test_flags_before_and_after_the_action(run, simulated_gateway, where):
    arguments = ["--host", simulated_gateway.address, "-i", IDENTIFIER, "--code", CODE]
    arguments.insert(where, "open")
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")


def test_json_before_the_action(run, simulated_gateway):
    assert json.loads(run("--json", "--host", simulated_gateway.address, "search").stdout)


def test_the_flag_after_the_action_wins(run, simulated_gateway):
    result = run(
        *("--host", "127.0.0.1:1", "-i", "7", "-c", "wrong", "open"),
        *("--host", simulated_gateway.address, "-i", IDENTIFIER, "-c", CODE),
    )
    assert result.exit_code == 0


def test_the_environment_gives_code_and_host(run, simulated_gateway):
    result = run("open", "-i", IDENTIFIER, THEKEYS_CODE=CODE, THEKEYS_HOST=simulated_gateway.address)
    assert result.exit_code == 0


def test_a_flag_before_the_action_overrides_the_environment(run, simulated_gateway):
    result = run(
        *("--host", simulated_gateway.address, "-c", CODE, "open", "-i", IDENTIFIER),
        THEKEYS_CODE="wrong",
        THEKEYS_HOST="127.0.0.1:1",
    )
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("open", "-c", "geheim"), "-i"),
        (("open", "-i", "geheim"), "number"),
        (("open", "-i", "1" * 400), "number"),
        (("open", "-i", IDENTIFIER, "-c", "gehäim"), "ASCII"),
        (("open", "-i", IDENTIFIER, "-c", ""), "empty"),
        (("search", "--host", "http://geheim:geheim@x/"), "--host"),
        (("search", "--host", ""), "--host"),
        (("search", "--timeout", "0"), "above 0"),
        (("search", "--timeout", "nan"), "above 0"),
        (("search", "--timeout", "soon"), "above 0"),
        (("simulate", "--locker", "geheim"), "number"),
        (("simulate", "--locker", "1:gehäim"), "ASCII"),
        (("simulate", "--locker", "1"), "share code"),
        (("simulate",), "--locker"),
        (("nonsense",), "no such action"),
        (("open", "front-door", "geheim"), "a word too many"),
        (("search", "hall", "geheim", "geheim"), "a word too many"),
        (("plot", "-", "x.svg", "geheim"), "a word too many"),
        (("shares", "revoke", "1", "geheim"), "a word too many"),
        (("shares", "revoke", "geheim"), "thekeys shares list"),
    ],
)
def test_wrong_flags(run, arguments, says):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert "geh" not in result.stderr


def test_a_wrong_flag_as_json(run):
    result = run("--json", "open")
    error = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (error["error"], error["exit_code"], error["may_have_executed"]) == ("UsageError", 2, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--timeout", "soon", "search"),
        ("--timeout", "soon", "search", "--json"),
        ("--json", "--no-such-flag", "search"),
        ("search", "--no-such-flag", "--json"),
        ("search", "--timeout", "soon", "--json"),
        ("--json",),
        ("--json", "shares"),
        ("--json", "shares", "lsit"),
        ("--json", "shares", "create"),
    ],
)
def test_a_flag_that_is_wrong_anywhere_is_said_as_json(run, arguments):
    result = run(*arguments)
    error = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (error["error"], error["exit_code"]) == ("UsageError", 2)
    assert "\n" not in error["message"]


@pytest.mark.parametrize("arguments", [(), ("shares",)])
def test_without_a_command_there_is_the_help(run, arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == run(*arguments, "--help").stdout


def test_settings_do_not_show_the_code(run):
    from thekeys_async.cli.settings import CommandSettings  # noqa: PLC0415

    assert "geheim" not in repr(CommandSettings(code="geheim"))


def test_help_lists_the_actions_and_the_exit_codes(run):
    shown = run("--help").stdout
    for action in (
        *("open", "close", "calibrate", "locker_status", "search", "status", "synchronize", "update"),
        *("synchronize_locker", "update_locker", "watch", "plot", "simulate", "demo"),
    ):
        assert f"\n  {action} " in shown
    assert "  130  " in shown
    assert "MAY HAVE BEEN DONE" in shown
    assert "..." not in shown.partition("Commands:")[2], "every summary fits its line"


def test_every_action_has_its_own_help(run):
    for action in ("open", "update", "watch", "plot", "simulate", "demo"):
        assert run(action, "-h").exit_code == 0
