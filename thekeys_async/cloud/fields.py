"""The fields of a JSON answer: values of the right kind, or `CloudProtocolError`, and never a value in its text.

An answer may hold codes and tokens, so it stays wrapped: a rendered traceback shows no more than ``Fields(...)``, and
who reads attributes finds a function.

One odd value hides nothing else: an optional field that is nonsense is None, and one thing of a list that can't be read
is left out with a warning.

The functions make one typed value of one JSON value; all raise TypeError or ValueError on nonsense.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, tzinfo
from itertools import islice
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from thekeys_async.cloud.errors import CloudProtocolError
from thekeys_async.protocol.secrets import Secret

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_JsonObject = Mapping[str, Any]

_NUMBER = re.compile(r"-?[0-9]{1,19}")
_TOKEN = re.compile(r"[!-~]{1,8192}")
_LARGEST = 2**63
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])")
_TIME = re.compile(r"(?:^|[T ])([0-9]{1,2}):([0-9]{2})(?::[0-9]{2}|$)")
_FIRST_YEAR = 1971
_LAST_YEAR = 9998
_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false", ""})


class Fields:
    """A JSON object of the cloud's.

    Args:
        values: The object.
        what: Its kind, for error messages: ``"a share"``.
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
        """Tell whether the field has a value; null and empty text are none."""
        return self._wrapped().get(name) not in (None, "")

    def has(self, name: str) -> bool:
        """Tell whether the field is there, also if it is null."""
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
            what: The kind of each, for messages: ``"a share"``.
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
        return self.optional(name, whole)

    def messages(self, name: str) -> "Fields":
        """Read an object inside this one that is for people only; anything else is an empty one."""
        return self.fields(name, name) or Fields({}, name)

    def words(self, name: str, most: int = 20) -> tuple[str, ...]:
        """Collect text under a field, however it is packed; messages for a person.

        Args:
            name: The vendor's name for it.
            most: How many texts at most: there may be a hundred thousand.
        """
        found = islice(_words(self._wrapped().get(name)), most)
        return tuple(word.encode("utf-8", "replace").decode() for word in found)

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


def _words(value: Any, depth: int = 4) -> Iterator[str]:
    """Flatten messages: lists of text, and objects with a field's name before each text."""
    if isinstance(value, str):
        if value:
            yield value
    elif depth and isinstance(value, list):
        for item in cast("Sequence[Any]", value):
            yield from _words(item, depth - 1)
    elif depth and isinstance(value, dict):
        for name, item in cast("_JsonObject", value).items():
            yield from (f"{name}: {word}" for word in _words(item, depth - 1))


def text(value: Any) -> str:
    """Read text that can be written out again."""
    if not isinstance(value, str):
        raise TypeError("not text")
    value.encode()
    return value


def word(value: Any) -> str:
    """Read a word that may also be a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def filled(value: Any) -> str:
    """Read text that is not empty."""
    if not text(value):
        raise ValueError("empty")
    return text(value)


def path_segment(value: Any) -> str:
    """Read an identifier that goes into a path as one segment, and can't climb out of it."""
    if not filled(value).strip("."):
        raise ValueError("dots")
    return filled(value)


def whole(value: Any) -> int:
    """Read a whole number, also written as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        raise TypeError("not a whole number")
    return value


def natural(value: Any) -> int:
    """Read a whole number that is not negative."""
    if whole(value) < 0:
        raise ValueError("negative")
    return whole(value)


def flag(value: Any) -> bool:
    """Read yes or no, also written as 0 and 1."""
    written = str(value).lower() if isinstance(value, bool | int | str) else None
    if written not in _TRUE | _FALSE:
        raise ValueError("neither yes nor no")
    return written in _TRUE


def code(value: Any) -> str:
    """Read a share's code; a keypad's PIN may come as a number."""
    read = str(natural(value)) if isinstance(value, int) else filled(value)
    if not read.isascii():
        raise ValueError("not ASCII")
    return read


def token(value: Any) -> Secret:
    """Read a token that can stand in a header."""
    if not _TOKEN.fullmatch(filled(value)):
        raise ValueError("not a token")
    return Secret(value)


def seconds(value: Any) -> float:
    """Read a span of time in seconds, more than none."""
    span = float(value) if isinstance(value, str) else value
    if isinstance(span, bool) or not isinstance(span, int | float) or not 0 < span < _LARGEST:
        raise ValueError("not a span of time")
    return float(span)


def moment(value: Any, zone: tzinfo) -> datetime:
    """Read an aware moment; where it names no zone itself, it is in the zone given."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        value, name = fields["date"], fields.get("timezone")
        zone = zone_named(name) or zone
        if name and not zone_named(name):
            value = f"{value}{name}"  # an offset, such as +02:00, is the other thing that PHP writes there
    read = datetime.fromisoformat(text(value))
    _check_year(read)
    return read if read.tzinfo else read.replace(tzinfo=zone)


def day(value: Any) -> date:
    """Read a date on the wall calendar, from a date, a moment, or an object of PHP's."""
    if not (match := _DATE.match(_written(value))):
        raise ValueError("not a date")
    read = date(int(match[1]), int(match[2]), int(match[3]))
    _check_year(read)
    return read


def _check_year(day: date) -> None:
    """Refuse what databases write for "never": 0000-00-00, 0001-01-01, -0001-11-30, 1970-01-01, 9999-12-31."""
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError("not a date of a share")


def hour(value: Any) -> time:
    """Read a time on the wall clock, to the minute, from a time, a moment, or an object of hour and minute."""
    if isinstance(value, dict) and "hour" in value:
        fields = cast("dict[str, Any]", value)
        return time(whole(fields["hour"]), whole(fields.get("minute", 0)))
    if not (match := _TIME.search(_written(value))):
        raise ValueError("not a time")
    return time(int(match[1]), int(match[2]))


def _written(value: Any) -> str:
    return text(cast("dict[str, Any]", value)["date"] if isinstance(value, dict) else value)


def zone(name: Any) -> tzinfo:
    """Read the name of a time zone that this machine knows."""
    if (found := zone_named(name)) is None:
        raise ValueError("not a time zone")
    return found


def zone_named(name: Any) -> tzinfo | None:
    """Find a time zone by its name; None for one that this machine does not know."""
    try:
        return ZoneInfo(text(name))
    except (TypeError, ValueError, KeyError, OSError):
        return None
