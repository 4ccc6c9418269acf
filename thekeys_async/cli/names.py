"""Names as people type them: in any case, or nearly right. Pure functions."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_NEAR = 0.6


def found(names: Iterable[str], typed: str) -> str | None:
    """Find the name that is meant: as it stands, else the only one that differs in case alone.

    Args:
        names: Those there are.
        typed: What a person typed.
    """
    there = list(names)
    if typed in there:
        return typed
    alike = [name for name in there if name.casefold() == typed.casefold()]
    return alike[0] if len(alike) == 1 else None


def nearest_first(names: Iterable[str], typed: str) -> list[str]:
    """Sort names by how much they look like what was typed; equally near ones stay in order."""
    return sorted(names, key=lambda name: -_likeness(name, typed))


def nearest(names: Iterable[str], typed: str) -> str | None:
    """Pick the name that was probably meant, or None where none looks like what was typed."""
    first = next(iter(nearest_first(names, typed)), None)
    return first if first is not None and _likeness(first, typed) >= _NEAR else None


def _likeness(name: str, typed: str) -> float:
    return SequenceMatcher(None, name.casefold(), typed.casefold(), autojunk=False).ratio()
