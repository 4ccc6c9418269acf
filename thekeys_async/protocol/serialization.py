"""Values as plain types, for JSON, and back."""

import enum
from collections.abc import Callable, Mapping, Set as AbstractSet
from datetime import datetime
from types import NoneType
from typing import Any, ClassVar, Self, cast, get_args

import attrs

from thekeys_async.protocol.errors import TheKeysError


class Serializable:
    """A value of ours that can be written as JSON and read back.

    Its attrs fields make up the dictionary: numbers, text, true, false and null as they are, times in ISO 8601, enums
    by their names, sets as sorted lists, values in values and errors as dictionaries.
    """

    __slots__ = ()

    _readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    def as_dict(self) -> dict[str, Any]:
        """Make a dictionary that `json.dumps` takes; `from_dict` takes it back."""
        return {field.name: plain(getattr(self, field.name)) for field in _fields(type(self))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a value of what `as_dict` has made; keys that are not known are passed over.

        Raises:
            ValueError: A key is missing, or its value makes no sense.
            TypeError: A value is of another type.
        """
        given: dict[str, Any] = {}
        for field in _fields(cls):
            if field.name not in values:
                if field.default is attrs.NOTHING:
                    raise ValueError(f"{field.name} is missing")
                continue
            value, reader = values[field.name], cls._readers.get(field.name)
            if not _fits(value, field.type, read=reader is not None):
                raise TypeError(f"{field.name} is of another type")
            given[field.name] = value if reader is None or value is None else reader(value)
        return cls(**given)


def _fits(value: object, annotation: Any, *, read: bool) -> bool:
    """Tell whether a value is of a field's type, where that is a plain one; a reader checks what it reads."""
    kinds = get_args(annotation) or (annotation,)
    if value is None:
        return NoneType in kinds or Any in kinds
    if read or not all(kind in _PLAIN for kind in kinds):
        return True
    kind = type(value)
    return kind in kinds or (kind is int and float in kinds)


_PLAIN = (int, float, bool, str, NoneType)


def _fields(kind: type[Any]) -> tuple["attrs.Attribute[Any]", ...]:
    found: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)  # every subclass is an attrs class
    return found


def plain(value: object) -> Any:
    """Make plain types of a value, and of everything in it."""
    made: Any = value
    match value:
        case Serializable() | TheKeysError():
            made = value.as_dict()
        case enum.Enum():
            made = value.name
        case datetime():
            made = value.isoformat()
        case Mapping():
            made = {str(key): plain(item) for key, item in cast("Mapping[object, object]", value).items()}
        case AbstractSet():
            made = sorted(plain(item) for item in cast("AbstractSet[object]", value))
        case list() | tuple():
            made = [plain(item) for item in cast("tuple[object, ...]", value)]
        case BaseException():
            made = {"error": type(value).__name__, "message": str(value)}
        case _:
            pass
    return made


def named(kind: type[enum.Enum]) -> Callable[[Any], enum.Enum]:
    """Make a function that reads a member of an enum by its value."""

    def read(name: Any) -> enum.Enum:
        if name not in kind.__members__:
            raise ValueError(f"not a name of {kind.__name__}")
        return kind[name]

    return read


def moment(text: Any) -> datetime:
    """Read a time with a zone.

    Raises:
        ValueError: It is none.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a time zone")
    return at
