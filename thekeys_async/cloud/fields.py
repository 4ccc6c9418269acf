"""Reading a JSON answer: values of the right kind, or `CloudProtocolError`, and never a value in its text.

An answer may hold codes and tokens, so it stays wrapped: a rendered traceback shows no more than ``Fields(...)``, and
who reads attributes finds a function.

One odd value hides nothing else: an optional field that is nonsense is None, and one thing of a list that can't be read
is left out with a warning.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from thekeys_async.cloud import values
from thekeys_async.cloud.errors import CloudProtocolError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_JsonObject = Mapping[str, Any]


class Fields:
    """A JSON object of the cloud's.

    Args:
        values: The object.
        what: What it is, for error messages: ``"a share"``.
    """

    __slots__ = ("_what", "_wrapped")

    _wrapped: Callable[[], _JsonObject]

    def __init__(self, values: _JsonObject, what: str) -> None:
        self._wrapped = lambda: values
        self._what = what

    @classmethod
    def parse(cls, body: bytes) -> "Fields | None":
        """Read a body; None if it is not one JSON object."""
        try:
            value = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
        return cls(cast("_JsonObject", value), "the answer") if isinstance(value, dict) else None

    @classmethod
    def of(cls, value: Any, what: str) -> "Fields":
        """Wrap a JSON object.

        Raises:
            TypeError: It is something else.
        """
        return cls(_object(value), what)

    def __repr__(self) -> str:
        return "Fields(...)"

    def __contains__(self, name: str) -> bool:
        """Whether something stands there: null and empty text are nothing."""
        return self._wrapped().get(name) not in (None, "")

    def has(self, name: str) -> bool:
        """Whether the field is there at all, be it null."""
        return name in self._wrapped()

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
        """Read a field that may be missing, null, empty or nonsense: all are None."""
        return self._converted(name, convert) if name in self else None

    def fields(self, name: str, what: str) -> "Fields | None":
        """Read an object inside this one; anything else is None."""
        return self.optional(name, lambda value: Fields.of(value, what))

    def each(self, name: str, what: str, read: "Callable[[Fields], _T]") -> tuple[_T, ...]:
        """Read a list of things; missing or null is an empty list.

        Args:
            name: The vendor's name for the list.
            what: What each is, for messages: ``"a share"``.
            read: Reads one. One that raises `CloudProtocolError` is left out, with one warning for the list.

        Raises:
            CloudProtocolError: It is no list.
        """
        items = self.required(name, _listed) if name in self else ()
        found: list[_T] = []
        problems: list[str] = []
        for item in items:
            try:
                found.append(read(Fields(_object_or_empty(item), what)))
            except CloudProtocolError as error:
                problems.append(str(error))
        if problems:
            _log.warning("%d of %d left out of the cloud's answer: %s", len(problems), len(items), problems[0])
        return tuple(found)

    def number(self, name: str) -> int | None:
        """Read a number if there is one; anything else is None."""
        return self.optional(name, values.whole)

    def messages(self, name: str) -> "Fields":
        """Read an object inside this one that is for people only; anything else is an empty one."""
        return self.fields(name, name) or Fields({}, name)

    def words(self, name: str) -> tuple[str, ...]:
        """Collect all text under a field, however it is packed; messages for a person."""
        return tuple(word.encode("utf-8", "replace").decode() for word in _words(self._wrapped().get(name)))

    def _converted(self, name: str, convert: Callable[[Any], _T]) -> _T | None:
        # None and no exception: the caller raises in a frame that does not hold the value.
        try:
            return convert(self._wrapped()[name])
        except (TypeError, ValueError, OverflowError, KeyError):
            return None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _object(value: Any) -> _JsonObject:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return cast("_JsonObject", value)


def _object_or_empty(value: Any) -> _JsonObject:
    return cast("_JsonObject", value) if isinstance(value, dict) else {}


def _listed(value: Any) -> Sequence[Any]:
    """Take a list; PHP writes one with gaps as an object of numbers."""
    if isinstance(value, dict):
        numbered = cast("_JsonObject", value)
        if all(key.isdecimal() for key in numbered):
            return list(numbered.values())
    if not isinstance(value, list):
        raise TypeError("not a list")
    return cast("Sequence[Any]", value)


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
