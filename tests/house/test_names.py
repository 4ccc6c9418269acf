"""One name, one thing; and docstrings that begin with the thing or the deed."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2] / "thekeys_async"
_QUESTIONS = ("What ", "Who ", "Whose ", "Which ", "How ", "Why ", "When ", "Where ")


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield str(path.relative_to(_PACKAGE)), node


def test_no_class_name_stands_for_two_things() -> None:
    places = defaultdict(list)
    for file, node in _nodes():
        if isinstance(node, ast.ClassDef):
            places[node.name.lstrip("_")].append(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_no_docstring_begins_with_a_question() -> None:
    found = [
        f"{file}: {text.splitlines()[0]}"
        for file, node in _nodes()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(node) or "").startswith(_QUESTIONS)
    ]
    assert found == []


def test_the_modules_that_are_mutated_and_their_tests_are_there() -> None:
    mutants = (_PACKAGE.parent / "tests" / "mutants" / "mutants.py").read_text(encoding="utf-8")
    (table,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(mutants).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TESTS"
    )
    assert [module for module in table if not (_PACKAGE / module).is_file()] == []
    places = {place for tests in table.values() for place in tests.split()}
    assert [place for place in places if not (_PACKAGE.parent / place).exists()] == []
