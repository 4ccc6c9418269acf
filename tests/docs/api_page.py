"""Writes what docs/api.md says of each name: its signature, and one line. Run it after a public name has changed.

The page's directives, ``::: thekeys_async.AsyncGateway``, say which names there are; a documentation site has the whole
docstrings in their place. What is written here stands above them, for whoever reads the page in the repository.
"""

import ast
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args

import attrs

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs" / "api.md", ROOT / "docs" / "cloud.md")
BEGIN, END = "<!-- written by tests/docs/api_page.py -->", "<!-- until here -->"

_HANDED_OUT = {"AsyncLocker", "Watcher", "Updates"}  # nobody makes one
_Node = TypeVar("_Node", bound=ast.AST)

_WRITTEN = re.compile(rf"\n{BEGIN}\n.*?\n{END}\n", re.DOTALL)
_DIRECTIVE = re.compile(r"^::: (\S+)\n(?:    options:\n(?:      .*\n)*)?", re.MULTILINE)
_FILTER = re.compile(r'"!(.+?)"')


def written(page: str) -> str:
    """Write the page anew, with what the code says today."""
    without = _WRITTEN.sub("", page)
    sections = re.split(r"(?m)^(?=## )", without)
    return "".join(map(_section, sections))


def _section(text: str) -> str:
    found = list(_DIRECTIVE.finditer(text))
    if not found:
        return text
    lines = [line for each in found for line in _entry(each[1], _FILTER.findall(each[0]))]
    at = found[0].start()
    return text[:at].rstrip("\n") + f"\n\n{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}\n\n" + text[at:]


def _entry(path: str, hidden: list[str]) -> Iterator[str]:
    """Say what a name is, and what its public members are."""
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)
    yield f"- **`{name}{_call(value)}`**{_summary(value)}"
    if isinstance(value, type):
        yield from (f"    - {line}" for line in _members(value, hidden))


def _call(value: Any) -> str:
    if inspect.isfunction(value):
        return _signature(_function(value))
    if not isinstance(value, type):
        return ""
    if issubclass(value, BaseException | enum.Enum) or value.__name__ in _HANDED_OUT or _is_protocol(value):
        return ""
    own = _class(value)
    init = next((each for each in own.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
    return _signature(init, returns=False) if init else f"({', '.join(_fields(value))})"


def _fields(kind: type) -> Iterator[str]:
    """Name the fields of an attrs class as its constructor takes them, with their types."""
    told = {field.name: field for field in getattr(kind, "__attrs_attrs__", ())}
    by_name = {
        each.target.id: _readable(each.annotation)
        for base in reversed(kind.__mro__)
        if base.__module__.startswith("thekeys_async")
        for each in _class(base).body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    keywords = any(field.kw_only for field in told.values())
    if keywords:
        yield "*"
    for name, field in told.items():
        if field.init:
            typed = re.sub(r"^Secret\b", "str", by_name.get(name, "object"))
            yield f"{field.alias}: {typed}{'' if field.default is attrs.NOTHING else ' = ...'}"


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _members(kind: type, hidden: list[str]) -> Iterator[str]:
    if issubclass(kind, enum.Enum):
        yield from (f"`{member.name}`" for member in kind)
        return
    seen: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("thekeys_async") or (base is not kind and not _is_hidden(base)):
            continue
        for each in _class(base).body:
            if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) or each.name.startswith("_"):
                continue
            if each.name in seen or any(re.search(pattern, each.name) for pattern in hidden):
                continue
            decorators = {ast.unparse(decorator) for decorator in each.decorator_list}
            if decorators & {"overload"} or any(one.endswith(".setter") for one in decorators):
                continue
            seen.add(each.name)
            yield f"`{_member(each, decorators)}`{_first_line(ast.get_docstring(each))}"


def _is_hidden(base: type) -> bool:
    """Tell whether a base class is on no page, so that what it gives is said where it is used."""
    package = import_module("thekeys_async")
    return base.__name__ not in package.__all__


def _member(function: ast.FunctionDef | ast.AsyncFunctionDef, decorators: set[str]) -> str:
    if "property" in decorators:
        return f"{function.name}: {ast.unparse(function.returns) if function.returns else 'object'}".replace('"', "")
    prefix = "await " if isinstance(function, ast.AsyncFunctionDef) else ""
    return f"{prefix}{function.name}{_signature(function)}"


def _signature(function: ast.FunctionDef | ast.AsyncFunctionDef | None, *, returns: bool = True) -> str:
    if function is None:
        return "()"
    arguments = function.args
    for group in (arguments.posonlyargs, arguments.args):
        if group and group[0].arg in {"self", "cls"}:
            del group[0]
            break
    result = f" -> {_readable(function.returns)}" if returns and function.returns else ""
    return f"({_readable(arguments).replace('=', ' = ')}){result}"


def _readable(node: ast.AST) -> str:
    """Write code without the quotes around names of types that are not loaded."""
    return re.sub(r"'((?:[A-Z]|httpx\.)[^']*)'", r"\1", ast.unparse(node))


class _SpellingOut(ast.NodeTransformer):
    """Puts what a module's private names stand for in their place."""

    def __init__(self, module: str) -> None:
        self._names = vars(import_module(module))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self._names.get(node.id)
        if not node.id.startswith("_") or value is None:
            return node
        if isinstance(value, int | float):
            return ast.Constant(value)
        if isinstance(value, TypeVar):
            return ast.Name(node.id.lstrip("_"))
        return ast.Name(getattr(get_args(value)[0], "__name__", node.id)) if get_args(value) else node


def _spelled_out(node: _Node, kind: type) -> _Node:
    visited: _Node = _SpellingOut(kind.__module__).visit(node)
    return visited


def _function(value: Any) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _class(kind: type) -> ast.ClassDef:
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(found, ast.ClassDef)
    return _spelled_out(found, kind)


def _summary(value: Any) -> str:
    if isinstance(value, type) or inspect.isfunction(value):
        return _first_line(inspect.getdoc(value))
    return ""


def _first_line(docstring: str | None) -> str:
    words = (docstring or "").partition("\n\n")[0].replace("\n", " ").strip()
    return f": {words}" if words else ""


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(written(text), encoding="utf-8")
    sys.exit(0)
