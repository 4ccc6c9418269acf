"""The architecture page names classes and functions that are where it says, in its sentences and in its picture."""

import importlib
import re
from pathlib import Path

import pytest

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_PACKAGE = Path(__file__).resolve().parents[2] / "thekeys_async"
_PAGE = (_DOCS / "architecture.md").read_text(encoding="utf-8")
_PICTURE = (_DOCS / "architecture.svg").read_text(encoding="utf-8")
_FILE = re.compile(r"\b[a-z_]+(?:/[a-z_0-9]+)*\.py\b")
_BOX = re.compile(r'class="name">([^<]+)</text><text[^>]*class="file">([^<]+)<')


def _defined_in(file: str) -> set[str]:
    module = importlib.import_module("thekeys_async." + file.removesuffix(".py").replace("/", "."))
    return {name for name, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__}


def _ways() -> list[str]:
    """The numbered sentences of both ways, each whole."""
    text = _PAGE[_PAGE.index("## The way of a call") : _PAGE.index("## Where each promise lives")]
    return re.findall(r"^\d\. .*(?:\n   .*)*", text, flags=re.MULTILINE)


@pytest.mark.parametrize("file", sorted({*_FILE.findall(_PAGE), *_FILE.findall(_PICTURE)}))
def test_a_file_that_is_named_is_there(file: str) -> None:
    assert (_PACKAGE / file).is_file()


@pytest.mark.parametrize(("names", "files"), _BOX.findall(_PICTURE))
def test_a_box_of_the_picture_is_in_its_files(names: str, files: str) -> None:
    there = set.union(*(_defined_in(file) for file in files.split(", ")))
    assert set(names.split(", ")) <= there


def test_every_name_of_the_ways_is_defined_somewhere_in_the_package() -> None:
    modules = [str(path.relative_to(_PACKAGE)) for path in _PACKAGE.rglob("*.py") if "__" not in path.name]
    defined = {name for file in modules for name in _defined_in(file)}
    names = {name.split(".")[0] for way in _ways() for name in re.findall(r"`([A-Za-z_.]+)`", way)}
    names = {name for name in names if name[0].isupper() or "_" in name}
    assert len(names) > 10
    assert names - defined - {"last_log"} == set()


def test_a_file_beside_a_name_has_it() -> None:
    pairs = [pair for way in _ways() for pair in re.findall(r"`([A-Za-z_]+)` (?:in|\() ?`([a-z_/]+\.py)`", way)]
    assert len(pairs) >= 5
    for name, file in pairs:
        assert name in _defined_in(file), f"{name} is not in {file}"


def test_a_module_that_is_named_beside_a_file_is_in_the_same_folder() -> None:
    layout = _PAGE[_PAGE.index("```text") : _PAGE.index("```\n", _PAGE.index("```text") + 3)]
    lines = re.findall(r"^  ([a-z_/]+)/[a-z_]+\.py +(.*)$", layout, flags=re.MULTILINE)
    named = [
        (folder, name)
        for folder, text in lines
        for name in re.findall(r"\b((?<=; )[a-z_]+(?=:)|[a-z]+(?:_[a-z]+)+)", text)
    ]
    assert len(named) > 12
    for folder, name in named:
        assert (_PACKAGE / folder / f"{name}.py").is_file(), f"{folder} has no {name}"
