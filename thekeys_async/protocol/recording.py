"""The format of a recording: a gateway's exchanges, one a line, made anonymous.

A recording is JSON lines. The first says which version of the form it is; each of the others is one exchange. It is
made to be sent to strangers: what `Anonymizer` lets through tells nobody whose gateway it is.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, cast

import attrs

from thekeys_async.protocol.serialization import Serializable, moment

VERSION: Final = 1

_BLANK_LINE = re.compile(r"\r?\n\r?\n")
_INTERIM = re.compile(r"HTTP/[0-9.]{1,3} +1[0-9]{2}\b", re.IGNORECASE)


def _pieces(pieces: Any) -> tuple[tuple[float, int], ...]:
    """Read when each piece came, and how many bytes it had.

    Raises:
        ValueError: It is no list of such pairs.
    """
    found: list[tuple[float, int]] = []
    if not isinstance(pieces, list):
        raise TypeError("pieces are a list")
    for piece in cast("list[object]", pieces):
        match piece:
            case [int() | float() as seconds, int() as length] if 0 <= seconds < math.inf and length >= 0:
                found.append((seconds, length))
            case _:
                raise ValueError("pieces are pairs of seconds and a number of bytes")
    return tuple(found)


@attrs.frozen(kw_only=True)
class RecordedExchange(Serializable):
    """One request and its outcome.

    Attributes:
        at: When it began, with a time zone.
        gateway: A name for the gateway, not its own.
        action: The request, by its name in the vendor's command.
        method: The HTTP method.
        path: The path.
        identifier: The locker it is about, replaced; None if it is about none.
        lead: Seconds that its timestamp was ahead of the clock; None for an unsigned request.
        connection: ``"new"`` or ``"kept"``.
        found_closed: Whether a connection that the gateway had kept was closed when it was to be used again.
        connected_after: Seconds until the connection was there; None if none was needed, or it never was.
        pieces: When each piece of the reply came, in seconds after the request had left, and how many bytes it had.
        reply: The bytes of the reply, as text in Latin-1; empty if none came.
        ended: How the exchange ended: ``"kept"``, ``"to be closed"`` as the reply said, ``"closed by the gateway"``,
            ``"given up"``, ``"not sent"``, or ``"broken: ..."`` with the reason.
        error: The name of the caller's error, if it failed.
    """

    _readers: ClassVar[Mapping[str, Any]] = {"at": moment, "pieces": _pieces}

    at: datetime
    gateway: str
    action: str
    method: str
    path: str
    identifier: int | None = None
    lead: float | None = None
    connection: str = "new"
    found_closed: bool = False
    connected_after: float | None = None
    pieces: tuple[tuple[float, int], ...] = ()
    reply: str = ""
    ended: str
    error: str | None = None

    @property
    def head(self) -> str:
        """The head of the reply, without the empty line; empty if none came whole."""
        begin, end = find_head(self.reply)
        return "" if end is None else self.reply[begin:end].rstrip("\r\n")

    @property
    def body(self) -> str:
        """The body of the reply."""
        _, end = find_head(self.reply)
        return "" if end is None else self.reply[end:]


def find_head(reply: str) -> tuple[int, int | None]:
    """Find where the head of a reply begins, behind those of interim answers, and where its body does.

    Returns:
        Both; None for the second if the head did not come whole.
    """
    begin = 0
    while (end := _BLANK_LINE.search(reply, begin)) and _INTERIM.match(reply, begin):
        begin = end.end()
    return begin, end.end() if end else None


def header() -> str:
    """Make the first line of a recording."""
    return json.dumps({"recording": VERSION})


def line(exchange: RecordedExchange) -> str:
    """Make the line of an exchange."""
    return json.dumps(exchange.as_dict())


def read_recording(lines: Iterable[str]) -> Iterator[RecordedExchange]:
    """Read a recording.

    Blank lines are passed over, and so is a last line that was cut off: so it ends when the disk was full.

    Raises:
        ValueError: It is none, or of a version that is not known here; the line is named.
    """
    cut_off: ValueError | None = None
    begun = False
    for number, text in enumerate(lines, 1):
        if number == 1:
            _check_version(text.removeprefix("\ufeff"))
            continue
        if not text.strip():
            continue
        if cut_off:
            raise cut_off
        try:
            exchange = RecordedExchange.from_dict(json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            wrong = ValueError(f"line {number} is not of a recording: {error}")
            if not begun or not isinstance(error, json.JSONDecodeError):
                raise wrong from None
            cut_off = wrong
            continue
        begun = True
        yield exchange


def _check_version(first: str) -> None:
    try:
        values = json.loads(first)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or "recording" not in values:
        raise ValueError('line 1 is not of a recording, which begins with {"recording": 1}')
    version = cast("dict[str, Any]", values)["recording"]
    if version != VERSION:
        raise ValueError(f"line 1 is not of a recording: version {version!r} of the form is not known")
