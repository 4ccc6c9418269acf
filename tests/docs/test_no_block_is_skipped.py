"""No block escapes: each is found, is of a kind that is run or can't be, and is left out only for a known reason."""

import re
import tomllib

_RUN = {"python", "sh"}
_SHOWN = {"text", "json", "toml"}
_REASONS = {"hardware", "account", "test runner"}
_COMMAND = re.compile(
    r"^\s*(\$ |>>> |import |from \w+ import |await |async |thekeys |pip |python3? |nox |curl )", re.MULTILINE
)
_HIDING = re.compile(r"\|\||\bset \+e\b|; *true\b|^! ", re.MULTILINE)
_STRANGER = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|https?://[^\s\"'/]+|\b[\w-]+\.(?:local|lan|home)\b")
_KNOWN = {
    "192.168.0.0",
    "192.168.0.2",
    "192.168.0.26",
    "192.168.0.27",
    "http://192.168.0.26",
    "127.0.0.1",
    "http://192.168.0.26:80",
    "http://127.0.0.1:{port}",
}


def test_every_fence_is_found(page, blocks, root):
    lines = page.read_text(encoding="utf-8").splitlines()
    fences = [line for line in lines if re.match(r"\s*(```|~~~)", line)]
    found = [block for block in blocks if root / block.page == page]
    assert len(fences) == 2 * len(found)


def test_every_block_is_of_a_known_kind(blocks):
    for block in blocks:
        assert block.language in _RUN | _SHOWN, f"{block.page}:{block.line} {block.language!r}"


def test_what_is_only_shown_is_no_program(blocks):
    for block in blocks:
        if block.language in _SHOWN:
            assert not _COMMAND.search(block.text), f"{block.page}:{block.line}"


def test_no_program_stands_outside_a_fence(page):
    without_fences = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for line in without_fences.splitlines():
        assert not (line.startswith("    ") and _COMMAND.match(line)), line


def test_a_marker_has_a_known_reason_and_a_program_below_it(page, blocks, root):
    marked = [block for block in blocks if root / block.page == page and block.not_run]
    markers = re.findall(r"^ *<!-- not run", _without_shown(page), flags=re.MULTILINE)
    assert len(markers) == len(marked)
    for block in marked:
        assert block.language in _RUN
        assert block.not_run in _REASONS


def test_the_test_runner_is_the_only_thing_that_a_marker_so_called_hides(blocks):
    for block in blocks:
        if block.not_run == "test runner":
            assert re.search(r"\b(nox|pytest)\b", block.text), f"{block.page}:{block.line}"


def test_no_line_hides_its_failure(blocks):
    for block in blocks:
        if block.language == "sh":
            assert not re.search(r"\|\|(?!.*# ends with)|\bset \+e\b|; *true\b|^! ", block.text, re.MULTILINE), (
                block.page
            )


def test_no_block_that_is_run_names_a_stranger(blocks):
    for block in blocks:
        if block.language in _RUN and not block.not_run:
            assert set(_STRANGER.findall(block.text)) <= _KNOWN, f"{block.page}:{block.line}"


def test_every_extra_that_is_installed_exists(blocks, root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for block in blocks:
        for extra in re.findall(r"(?:\.|thekeys-async)\[(\w+)\]", block.text):
            assert extra in project["optional-dependencies"]


def _without_shown(page):
    return re.sub(r"^ *```text.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_no_code_of_a_page_has_to_be_scrolled(root):
    """A page at 1280 pixels has room for 88 columns beside its menus; the README is on no such page."""
    for page in (root / "docs").glob("*.md"):
        fenced = re.findall(r"^ *```\w+\n(.*?)^ *```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for line in "".join(fenced).splitlines():
            assert len(line) <= 88, f"{page.name}: {line}"
