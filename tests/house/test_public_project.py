"""What a public project has: workflows, templates, and pages for who contributes; they agree with the rest."""

import re
import tomllib
from pathlib import Path

import pytest

from thekeys_async.cli.commands import thekeys

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_their_major_version(path):
    used = re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action)


def test_every_supported_python_is_tested():
    text = (GITHUB / "workflows" / "tests.yml").read_text(encoding="utf-8")
    tested = set(re.findall(r'"(3\.\d+)"', text.partition("macos:")[0]))
    classified = {each.rpartition(" ")[2] for each in _PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)}
    assert classified <= tested
    assert {"3.11", "3.12", "3.13", "3.14"} <= tested


def test_the_folders_of_the_windows_job_exist():
    text = (GITHUB / "workflows" / "tests.yml").read_text(encoding="utf-8").partition("windows:")[2]
    paths = re.findall(r"tests/\S+", text)
    assert len(paths) > 5
    assert all((ROOT / path).exists() for path in paths)


def test_sessions_of_the_workflows_are_in_the_noxfile():
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    listed = re.search(r"session: \[(.+)\]", (GITHUB / "workflows" / "lint.yml").read_text(encoding="utf-8"))
    assert listed
    for name in listed[1].split(", "):
        assert f"def {name}(" in text


def test_publishing_needs_no_token():
    text = (GITHUB / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert "id-token: write" in text
    assert "secrets." not in text
    assert 'grep -qx "version = \\"${GITHUB_REF_NAME#v}\\"" pyproject.toml' in text


@pytest.mark.parametrize("name", ["hardware", "bug"])
def test_reports_ask_for_the_output_of_a_check(name):
    text = (GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8")
    assert "thekeys check --json" in text
    flags = {flag for option in thekeys.commands["check"].params for flag in option.opts}
    assert set(re.findall(r"(?<= )--[a-z-]+(?=[` ])", text)) <= flags


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(name):
    path = GITHUB / name
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (path.parent / link).exists(), link
