"""Names of a package whose modules are loaded when somebody first asks for one of them.

`import thekeys_async` has to be quick, and pytest loads the simulator's plugin in every run of everybody who has us.
The imports of a package's ``__init__`` are its only list of names, for type checkers and for us: those under
``if TYPE_CHECKING`` are read here from the source, and carried out on demand.
"""

import ast
import linecache
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module


def _source(module: str) -> str:
    there = sys.modules[module]
    return "".join(linecache.getlines(str(there.__file__), vars(there)))


SOURCELESS = not _source(__name__)
"""Whether the package was installed without its sources, as some tools that freeze programs do: then all is loaded."""


def public_names(package: str) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Make a package's ``__all__``, ``__getattr__`` and ``__dir__`` from the imports of its ``__init__``."""
    tree = ast.parse(_source(package))
    conditional = [node for branch in tree.body if isinstance(branch, ast.If) for node in branch.body]
    homes = dict(_imported(conditional))
    names = sorted({*homes, *dict(_imported(tree.body))})

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    return names, load, lambda: names


def _imported(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield each name that is imported under its own name, and its module: so a name is handed on."""
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            yield from ((name.name, statement.module) for name in statement.names if name.asname == name.name)
