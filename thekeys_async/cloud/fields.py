"""Reading a JSON answer: values of the right kind, or `CloudProtocolError`, and never a value in its text.

An answer may hold codes and tokens, so it stays wrapped: a rendered traceback shows no more than ``Fields(...)``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from thekeys_async.cloud import values
from thekeys_async.cloud.errors import CloudProtocolError

_T = TypeVar("_T")
_JsonObject = Mapping[str, Any]


class Fields:
    """A JSON object of the cloud's.

    Args:
        values: The object.
        what: What it is, for error messages: ``"a share"``.
    """

    __slots__ = ("_values", "_what")

    def __init__(self, values: _JsonObject, what: str) -> None:
        self._values = values
        self._what = what

    @classmethod
    def parse(cls, body: bytes) -> "Fields | None":
        """Read a body; None if it is not one JSON object."""
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
        return cls(cast("_JsonObject", value), "the answer") if isinstance(value, dict) else None

    def __repr__(self) -> str:
        return "Fields(...)"

    def __contains__(self, name: str) -> bool:
        """Whether something stands there: null and empty text are nothing."""
        return self._values.get(name) not in (None, "")

    def has(self, name: str) -> bool:
        """Whether the field is there at all, be it null."""
        return name in self._values

    def required(self, name: str, convert: Callable[[Any], _T]) -> _T:
        """Read a field that has to be there.

        Args:
            name: The vendor's name for it.
            convert: Makes a value of what stands there; raises TypeError or ValueError on nonsense.

        Raises:
            CloudProtocolError: It is missing, null, empty or nonsense.
        """
        value = self._converted(name, convert) if name in self else None
        if value is None:
            raise CloudProtocolError(f"{self._what} has no usable {name}")
        return value

    def optional(self, name: str, convert: Callable[[Any], _T]) -> _T | None:
        """Read a field that may be missing, null or empty.

        Raises:
            CloudProtocolError: It is there, and nonsense.
        """
        return self.required(name, convert) if name in self else None

    def fields(self, name: str, what: str) -> "Fields | None":
        """Read an object inside this one; None where it is missing or null.

        Raises:
            CloudProtocolError: It is something else.
        """
        inner = self.optional(name, _object)
        return None if inner is None else Fields(inner, what)

    def each(self, name: str, what: str) -> "tuple[Fields, ...]":
        """Read a list of objects; missing or null is an empty list.

        Raises:
            CloudProtocolError: It is something else.
        """
        return tuple(Fields(inner, what) for inner in self.optional(name, _objects) or ())

    def number(self, name: str) -> int | None:
        """Read a number if there is one; anything else is None."""
        return self._converted(name, values.whole) if name in self else None

    def messages(self, name: str) -> "Fields":
        """Read an object inside this one that is for people only; anything else is an empty one."""
        return Fields((self._converted(name, _object) if name in self else None) or {}, name)

    def words(self, name: str) -> tuple[str, ...]:
        """Collect all text under a field, however it is packed; messages for a person."""
        return tuple(word.encode("utf-8", "replace").decode() for word in _words(self._values.get(name)))

    def _converted(self, name: str, convert: Callable[[Any], _T]) -> _T | None:
        # None and no exception: the caller raises in a frame that does not hold the value.
        try:
            return convert(self._values[name])
        except (TypeError, ValueError, OverflowError, KeyError):
            return None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _object(value: Any) -> _JsonObject:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return cast("_JsonObject", value)


def _objects(value: Any) -> tuple[_JsonObject, ...]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return tuple(_object(item) for item in cast("Sequence[Any]", value))


def _words(value: Any, depth: int = 4) -> list[str]:
    """Flatten messages: lists of text, and objects with a field's name before each text."""
    if isinstance(value, str):
        return [value] if value else []
    if not depth:
        return []
    if isinstance(value, list):
        return [word for item in cast("Sequence[Any]", value) for word in _words(item, depth - 1)]
    if isinstance(value, dict):
        named = cast("_JsonObject", value)
        return [f"{name}: {word}" for name, item in named.items() for word in _words(item, depth - 1)]
    return []
