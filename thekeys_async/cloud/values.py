"""From one JSON value to one typed value. All raise TypeError or ValueError on nonsense."""

import re
from datetime import date, datetime, time, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

from thekeys_async.protocol.secrets import Secret

_NUMBER = re.compile(r"-?[0-9]{1,19}")
_TOKEN = re.compile(r"[!-~]{1,8192}")
_LARGEST = 2**63
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])")
_TIME = re.compile(r"(?:^|[T ])([0-9]{1,2}):([0-9]{2})(?::[0-9]{2}|$)")
_FIRST_YEAR = 1971
_LAST_YEAR = 9998
_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false", ""})


def text(value: Any) -> str:
    """Read text that can be written out again."""
    if not isinstance(value, str):
        raise TypeError("not text")
    value.encode()
    return value


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
