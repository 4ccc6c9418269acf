"""What a page lists is what the code has: exit codes, errors, flags, actions, names, modules, the CI's command."""

import re

import click
import pytest

import thekeys_async
from thekeys_async import (
    CloudError,
    GatewayBusyError,
    OutcomeUnknownError,
    TheKeysError,
    cloud,
    coordination,
    simulator,
)
from thekeys_async.cli.commands import thekeys
from thekeys_async.cli.errors import MEANINGS
from thekeys_async.protocol.endpoints import ENDPOINTS
from thekeys_async.protocol.errors import refusal


@pytest.fixture
def read(root):
    return lambda name: (root / name).read_text(encoding="utf-8")


def _rows(text):
    """The cells of all rows of all tables, without backticks and stars."""
    rows = [[cell.strip(" `*") for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in rows if set(row[0]) != {"-"}]


def test_the_exit_codes(read):
    table = read("docs/command.md").partition("### Exit codes")[2].partition("```")[0]
    documented = {int(code): meaning for code, meaning in _rows(table) if code.isdecimal()}
    assert documented == {int(code): meaning for code, meaning in MEANINGS.items()}


def test_the_errors_are_all_there_with_their_numbers_and_what_they_mean_for_the_door(read):
    documented = {row[0]: row for row in _rows(read("docs/errors.md")) if re.fullmatch(r"\w+Error", row[0])}
    public = {name: getattr(thekeys_async, name) for name in thekeys_async.__all__}
    errors = {name for name, value in public.items() if isinstance(value, type) and issubclass(value, TheKeysError)}
    assert set(documented) == errors - {"TheKeysError"}

    for name, row in documented.items():
        if issubclass(public[name], CloudError):
            continue  # no number of a gateway's means one of these
        refusals = _refusals(public[name])
        assert set(re.findall(r"\d+", row[1])) == {str(error.code) for error in refusals}, name
        executed = any(error.may_have_executed for error in refusals) or public[name] is OutcomeUnknownError
        if name != "GatewayRefusedError":
            assert row[3] == ("yes" if executed else "no"), name


def _refusals(kind):
    """Every refusal of exactly this kind that any number can mean on any request."""
    words = "action already started" if kind is GatewayBusyError else None
    made = (refusal(endpoint, code, words) for endpoint in ENDPOINTS for code in range(600))
    return [error for error in made if type(error) is kind]


def test_the_numbers_of_the_protocol_are_known_to_the_code(read):
    table = read("docs/protocol.md").partition("## Numbers")[2].partition("\n## ")[0]
    documented = {int(number) for row in _rows(table) for number in re.findall(r"\d+", row[0])}
    known = {code for endpoint in ENDPOINTS for code in range(600) if refusal(endpoint, code, None)}
    assert documented == known


def test_the_requests(read):
    documented = {
        tuple(row[0].split()) for row in _rows(read("docs/protocol.md")) if row[0].startswith(("GET", "POST"))
    }
    assert documented == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


def test_the_actions(read):
    table = read("docs/command.md").partition("## Actions")[2].partition("\n## ")[0]
    assert {row[0] for row in _rows(table)} - {"Action"} == set(thekeys.commands)


def test_the_flags(read):
    text = read("docs/command.md")
    flags = {flag for command in _commands(thekeys) for flag in _flags(command)} | {"-h", "--help"}
    assert set(re.findall(r"`(--?[a-z][a-z-]*)`", text)) == flags


def test_the_environment(read, root):
    modules = [path for part in ("bridge", "cli", "config") for path in (root / "thekeys_async" / part).glob("*.py")]
    used = {name for path in modules for name in _variables(path.read_text())}
    assert _variables(read("docs/command.md")) == used
    assert _variables(read("docs/configuration.md")) == used


def _variables(text):
    return set(re.findall(r"(?<!_)THEKEYS_[A-Z_]+", text))


def _commands(command):
    return [command, *(each for part in getattr(command, "commands", {}).values() for each in _commands(part))]


def _flags(command):
    return {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts}


def test_every_command_in_passing_exists(page):
    for action in re.findall(r"`thekeys ([a-z_]+)", page.read_text(encoding="utf-8")):
        assert action in thekeys.commands


def test_every_public_name_is_on_an_api_page_and_no_other(read):
    pages = read("docs/api.md") + read("docs/cloud.md")
    documented = re.findall(r"^::: thekeys_async\.(\S+)$", pages, flags=re.MULTILINE)
    public = {name for name in thekeys_async.__all__ if name not in cloud.__all__}
    public |= {
        f"{part.__name__.removeprefix('thekeys_async.')}.{name}"
        for part in (cloud, coordination, simulator)
        for name in part.__all__
    }
    assert sorted(documented) == sorted(public)


def test_every_module_of_the_architecture_page_exists(read, root):
    for name in re.findall(r"\b((?:\w+/)*\w+\.py|\w+/)(?=[\s`])", read("docs/architecture.md")):
        assert (root / "thekeys_async" / name).exists(), name


def test_the_first_screen_of_the_readme_has_both_commands(blocks, read):
    demo, tests = [block for block in blocks if block.page == "README.md" and block.language == "sh"][:2]
    assert demo.text.strip().endswith("thekeys demo")
    assert tests.text.strip().endswith("nox -s tests")
    assert tests.line < 25
    assert all(len(block.text.splitlines()) == 1 for block in (demo, tests))
    assert tests.text.strip() in read(".ci/run").splitlines()


def test_every_page_is_in_the_navigation(root, read):
    listed = re.findall(r"^ +- .+: (\S+\.md)$", read(".mkdocs.yml"), flags=re.MULTILINE)
    assert sorted(listed) == sorted(str(path.relative_to(root / "docs")) for path in (root / "docs").rglob("*.md"))
