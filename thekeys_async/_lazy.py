"""Names of a package whose modules are loaded when somebody first asks for one of them.

`import thekeys_async` has to be quick, and pytest loads the simulator's plugin in every run of everybody who has us.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def loader(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Make a package's ``__getattr__``.

    Args:
        package: Its name.
        homes: The module of the package in which each name lives.
    """

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return load
