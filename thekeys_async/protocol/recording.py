"""The format of a recording: a gateway's exchanges, one a line, made anonymous.

A recording is JSON lines. The first says which version of the form it is; each of the others is one exchange. It is
made to be sent to strangers: share codes and hashes are stars, and identifiers, serial numbers and addresses are
replaced by others of the same length, always by the same ones, so that a reply is as long as it was.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, cast

import attrs

from thekeys_async.protocol.serialization import Serializable, moment

VERSION: Final = 1

# Numbers that tell nobody whose gateway it is, and whose size is a habit of it.
_READINGS = r"rssi|battery|last_log|version|position"
_TELLTALE = re.compile(
    rf'"(?:{_READINGS})"\s*:\s*"?-?[0-9]+'
    r"|(?<![0-9A-Fa-f:-])(?P<mac>(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})(?![0-9A-Fa-f:-])"
    r"|(?<![0-9A-Za-z])(?P<bare_mac>(?=[0-9]{0,11}[A-Fa-f])[0-9A-Fa-f]{12})(?![0-9A-Za-z])"
    r"|(?<![0-9.])(?P<ip>(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9.])"
    r"|(?<![0-9A-Za-z:])(?P<ip6>(?=[0-9A-Fa-f:]{0,34}::|(?:[0-9A-Fa-f]{1,4}:){7})[0-9A-Fa-f:]{2,39})(?![0-9A-Za-z:])"
    r'|"identifier"\s*:\s*"?(?P<identifier>[0-9]{4,})'
    r"|(?P<number>[0-9]{6,})"
    r"|(?<![0-9])(?P<short>[0-9]{4,5})(?![0-9])"
)
_LENGTH = re.compile(r"^content-length\s*:[\s0-9]*$", re.IGNORECASE)
_IN_CHUNKS = re.compile(r"^transfer-encoding\s*:.*chunked", re.IGNORECASE | re.MULTILINE)
_CHUNK = re.compile(r"(?:\r?\n)?([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n")
_MOST = 10_000
_LONGEST = 100


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
        head, found, _ = self.reply.partition("\r\n\r\n")
        return head if found else ""

    @property
    def body(self) -> str:
        """The body of the reply."""
        return self.reply.partition("\r\n\r\n")[2]


class Anonymizer:
    """Replaces whatever tells whose gateway it is, the same by the same each time."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def number(self, number: str) -> str:
        """Replace a number by another of the same length; one of three digits or fewer tells nothing."""
        if len(number) < 4:  # noqa: PLR2004 - as the sentence says
            return number
        if len(number) > _LONGEST:
            return "9" * len(number)
        if number not in self._numbers:
            least = 10 ** (len(number) - 1)
            # One that sends ever new numbers costs no more memory than this.
            self._numbers[number if len(self._numbers) < _MOST else ""] = str(least + len(self._numbers) % (9 * least))
        return self._numbers.get(number, "9" * len(number))

    def name(self, name: str) -> str:
        """Replace the name of a gateway."""
        return self._names.setdefault(name, f"gateway-{len(self._names) + 1}")

    def reply(self, text: str, hide: Callable[[str], str] = str) -> str:
        """Replace what is in a reply, also what goes on from one chunk of it to the next.

        Args:
            text: The reply as it came.
            hide: Leaves secrets out of a text, and stars of the same length in their place.
        """
        head, found, body = text.partition("\r\n\r\n")
        lines = (line if _LENGTH.match(line) else self._words(hide(line)) for line in head.split("\r\n"))
        chunks = _chunks(body) if _IN_CHUNKS.search(head) else []
        joined = "".join(body[chunk] for chunk in chunks)
        fit, at, done = self._words(hide(joined)), 0, 0
        parts: list[str] = []
        for chunk in chunks:
            length = chunk.stop - chunk.start
            parts += (body[at : chunk.start], fit[done : done + length])
            at, done = chunk.stop, done + length
        return "\r\n".join(lines) + found + "".join(parts) + self._words(hide(body[at:]))

    def _words(self, text: str) -> str:
        return _TELLTALE.sub(self._replace, text)

    def _replace(self, found: "re.Match[str]") -> str:
        if found["mac"] or found["bare_mac"] or found["ip"] or found["ip6"]:
            return re.sub("[0-9A-Fa-f]", "0", found[0])
        number = found["identifier"] or found["number"]
        if found["short"] in self._numbers:  # few digits tell nothing but where they are an identifier's
            number = found["short"]
        return found[0][: -len(number)] + self.number(number) if number else found[0]


def _chunks(body: str) -> list[slice]:
    """Find what is in the chunks of a body, as far as it is one in chunks."""
    found: list[slice] = []
    at = 0
    while start := _CHUNK.match(body, at):
        at = min(len(body), start.end() + int(start[1], 16))
        found.append(slice(start.end(), at))
    return found


def header() -> str:
    """Make the first line of a recording."""
    return json.dumps({"recording": VERSION})


def line(exchange: RecordedExchange) -> str:
    """Make the line of an exchange."""
    return json.dumps(exchange.as_dict())


def read_recording(lines: Iterable[str]) -> Iterator[RecordedExchange]:
    """Read a recording.

    Raises:
        ValueError: It is none, or of a version that is not known here; the line is named.
    """
    for number, text in enumerate(lines, 1):
        try:
            values = json.loads(text)
            if number == 1:
                _check_version(values)
                continue
            exchange = RecordedExchange.from_dict(values)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"line {number} is not of a recording: {error}") from None
        yield exchange


def _check_version(values: Mapping[str, Any]) -> None:
    if values["recording"] != VERSION:
        raise ValueError(f"version {values['recording']!r} of the form is not known")
