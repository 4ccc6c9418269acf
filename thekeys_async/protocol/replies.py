"""From a gateway's answer to a value or an error.

Gateways differ: numbers come as numbers, decimal or hex text, in ``status`` or in ``code``; words stand in ``code``,
``message`` or ``cause``. All that is taken. What can't be understood is an error of the right class, never a guess.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

from thekeys_async.protocol.endpoints import LOCKER_STATUS, Endpoint
from thekeys_async.protocol.errors import BUSY, TheKeysError, refusal, unusable
from thekeys_async.protocol.models import (
    BATTERY_MV,
    NATURAL,
    POSITION,
    RSSI,
    DoorState,
    GatewayStatus,
    LockerReading,
    LockerStatus,
)
from thekeys_async.protocol.secrets import Signed
from thekeys_async.protocol.text import fit_to_show

MAX_BODY: Final = 64 * 1024
MAX_HEAD: Final = 16 * 1024

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}|0[xX][0-9a-fA-F]{1,16}", re.ASCII)
_STATES = {48: DoorState.UNKNOWN, 49: DoorState.CLOSED, 50: DoorState.OPEN}
_STATE_WORDS = {"door closed": DoorState.CLOSED, "door open": DoorState.OPEN}
_JAMMED = re.compile(r"\bjam", re.IGNORECASE)
_BUSY = re.compile(r"(the )?(gateway )?(is )?busy\b", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
_FAILURE = re.compile(r"error|fail|invalid|refused|time ?out|timed out")
_NO_SUCH_REQUEST = frozenset({400, 404, 405, 501})


class HttpError(Exception):
    """The reply is not HTTP, or larger than allowed."""


class IncompleteError(Exception):
    """The connection ended before the reply did."""


@attrs.frozen
class Head:
    """The head of a reply.

    Attributes:
        status: 200 and so on.
        version: ``b"1.1"`` or ``b"1.0"``.
        reason: The words behind the status; may be empty.
        headers: Names and values as they came, in their order.
    """

    status: int
    version: bytes
    reason: bytes
    headers: list[tuple[bytes, bytes]]


@attrs.define  # not frozen: each poll makes one
class Reply:
    """A complete answer as it came over the wire.

    Attributes:
        http_status: 200 and so on. Gateways have been seen to put a JSON body behind error statuses; it is the body
            that counts then.
        body: At most 64 KiB; the transport sees to that.
        signed: The signature of the request that it answers, of which nothing may be shown.
    """

    http_status: int
    body: bytes = attrs.field(repr=False)
    signed: Signed | None = attrs.field(default=None, repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether HTTP itself speaks of success."""
        return 200 <= self.http_status < 300  # noqa: PLR2004

    def show(self, text: str) -> str:
        """Make words of the gateway's fit for messages and logs, whatever of the request they echo."""
        return fit_to_show(self.signed.mask(text) if self.signed else text)


@attrs.define  # not frozen: each poll makes one
class Scanned:
    """The lockers that a gateway's scan sees.

    Attributes:
        readings: Its lockers.
        left_out: How many devices had no usable identifier.
    """

    readings: tuple[LockerReading, ...]
    left_out: int = 0


@attrs.frozen
class _Meaning:
    """The meaning of a reply's fields, wherever it stands."""

    ok: bool
    ko: bool
    number: int | None
    disputed: bool
    cause: str | None


_DONE = _Meaning(ok=True, ko=False, number=None, disputed=False, cause=None)
_REMARKS = frozenset({"code", "message", "cause"})


def _number(value: object) -> int | None:
    """Read a whole number, however it is written; None if it is not one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(text := value.strip()):
        return int(text, 16 if text[:2].lower() == "0x" else 10)
    return None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_json = json.JSONDecoder(strict=False, parse_constant=_refuse_constant)


def _fields(endpoint: Endpoint, reply: Reply) -> Mapping[str, Any]:
    text = reply.body.decode("utf-8", "replace").strip("\ufeff \t\r\n\0")
    try:
        value, end = _json.raw_decode(text)
    except (ValueError, RecursionError):
        value, end = None, -1
    if end < len(text):
        what = "an empty body" if not text else "something that is not JSON"
        if reply.body.startswith(_GZIP):
            what = "compressed (gzip), which was not asked for"
        raise unusable(endpoint, f"the answer was {what} (HTTP {reply.http_status})")
    if not isinstance(value, dict):
        raise unusable(endpoint, f"the answer was not a JSON object (HTTP {reply.http_status})")
    return cast("dict[str, Any]", value)


def _interpret(fields: Mapping[str, Any], reply: Reply) -> _Meaning:
    if fields.get("status") == "ok" and _REMARKS.isdisjoint(fields):
        return _DONE  # what nearly all of them say; the rest of this function would find the same
    head = [fields.get("status"), fields.get("code")]
    words = [v for v in (fields.get("cause"), fields.get("message"), head[1], head[0]) if _is_words(v)]
    numbers = [n for n in map(_number, head) if n is not None]
    cause = reply.show(str(words[0])) or None if words else None
    told = {n for n in numbers if n != 0}
    number = told.pop() if len(told) == 1 else None
    if number is None and not told and cause and _BUSY.match(cause):
        number = BUSY
    folded = [v.strip().lower() for v in head if isinstance(v, str)]
    ok = "ok" in folded or 0 in numbers
    if isinstance(fields.get("cause"), str):
        folded.append(fields["cause"].lower())
    disputed = bool(told) or (ok and any(map(_FAILURE.search, folded))) or not all(map(_is_plain, head))
    return _Meaning(ok=ok, ko="ko" in folded, number=number, disputed=disputed, cause=cause)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str) or _number(value) is not None


def _is_words(value: object) -> bool:
    return isinstance(value, str) and _number(value) is None and value.strip().lower() not in {"", "ok", "ko"}


def _refused(endpoint: Endpoint, reply: Reply, meaning: _Meaning) -> TheKeysError | None:
    """Make the error that a reply stands for; None if nothing in it speaks against success."""
    if meaning.disputed or (meaning.ok and meaning.number is not None):
        return unusable(endpoint, "the answer contradicts itself", code=meaning.number, cause=meaning.cause)
    if meaning.number is not None:
        why = f"the answer has an unknown number, {meaning.number}"
        return refusal(endpoint, meaning.number, meaning.cause) or unusable(
            endpoint, why, code=meaning.number, cause=meaning.cause
        )
    if meaning.ko:
        why = f"the answer speaks of failure and does not say which (HTTP {reply.http_status})"
        return unusable(endpoint, why, cause=meaning.cause)
    return None


def check_done(endpoint: Endpoint, reply: Reply) -> None:
    """Check that a command was carried out.

    Raises:
        TheKeysError: What the gateway says instead, or `OutcomeUnknownError` where it says nothing usable.
    """
    if endpoint.may_be_empty and reply.succeeded and not reply.body.strip():
        return
    meaning = _interpret(_fields(endpoint, reply), reply)
    if error := _refused(endpoint, reply, meaning):
        raise error
    if not meaning.ok:
        why = f"the answer does not say whether it was done (HTTP {reply.http_status})"
        raise unusable(endpoint, why, cause=meaning.cause)


def _sensible(fields: Mapping[str, Any], name: str, within: range) -> int | None:
    """Read a number; None where there is none, or none that makes sense: one odd field hides no other."""
    number = fields.get(name)
    if type(number) is not int:  # nearly all of them are
        number = _number(number)
    return number if number is not None and number in within else None


def _reading(device: object) -> LockerReading | None:
    """Read one locker of a scan; None for a device without a usable identifier."""
    if not isinstance(device, dict):
        return None
    fields = cast("dict[str, Any]", device)
    identifier = _sensible(fields, "identifier", NATURAL)
    if identifier is None:
        return None
    return LockerReading(
        identifier=identifier,
        rssi=_sensible(fields, "rssi", RSSI),
        battery_mv=_sensible(fields, "battery", BATTERY_MV),
        last_log=_sensible(fields, "last_log", NATURAL),
    )


def lockers(endpoint: Endpoint, reply: Reply) -> Scanned:
    """Read the answer to ``/lockers``.

    Raises:
        ProtocolError: It can't be understood, or none of its devices has a usable identifier.
        GatewayBusyError: The gateway says so.
    """
    fields = _fields(endpoint, reply)
    meaning = _interpret(fields, reply)
    if error := _refused(endpoint, reply, meaning):
        raise error
    devices = fields.get("devices")
    if not isinstance(devices, list):
        raise unusable(endpoint, f"the answer has no list of devices (HTTP {reply.http_status})", cause=meaning.cause)
    listed = cast("list[object]", devices)
    readings = tuple(filter(None, map(_reading, listed)))
    if listed and not readings:
        raise unusable(endpoint, "no device in the answer has a usable identifier")
    return Scanned(readings, len(listed) - len(readings))


def gateway_status(endpoint: Endpoint, reply: Reply) -> GatewayStatus:
    """Read the answer to ``/status``, or to ``/`` on old firmware.

    Raises:
        ProtocolError: It can't be understood.
        GatewayBusyError: The gateway says so.
    """
    fields = _fields(endpoint, reply)
    meaning = _interpret(fields, reply)
    if error := _refused(endpoint, reply, meaning):
        raise error
    version, phase = _sensible(fields, "version", NATURAL), fields.get("current_status")
    if version is None and not isinstance(phase, str):
        why = f"the answer has neither a version nor a current_status (HTTP {reply.http_status})"
        raise unusable(endpoint, why, cause=meaning.cause)
    return GatewayStatus(version, reply.show(phase) if isinstance(phase, str) else "")


def _state(meaning: _Meaning) -> DoorState | None:
    words = (meaning.cause or "").lower()
    if _JAMMED.search(words):
        return DoorState.JAMMED
    told = {_STATES.get(meaning.number or 0), _STATE_WORDS.get(words)} - {None}
    return told.pop() if len(told) == 1 else None


def locker_status(endpoint: Endpoint, reply: Reply) -> LockerStatus:
    """Read the answer to ``/locker_status``.

    Raises:
        ProtocolError: It can't be understood.
        TheKeysError: The gateway's refusal.
    """
    fields = _fields(endpoint, reply)
    meaning = _interpret(fields, reply)
    if meaning.number is not None and (refused := refusal(endpoint, meaning.number, meaning.cause)):
        raise refused
    state = _state(meaning)
    if state is None or meaning.ko:
        why = f"the answer has no state of the door (HTTP {reply.http_status})"
        raise _refused(endpoint, reply, meaning) or unusable(endpoint, why)
    return LockerStatus(
        state=state,
        position=_sensible(fields, "position", POSITION),
        rssi=_sensible(fields, "rssi", RSSI),
        battery_mv=_sensible(fields, "battery", BATTERY_MV),
        version=_sensible(fields, "version", NATURAL),
    )


def has_no_such_request(reply: Reply) -> bool:
    """Tell whether the gateway's firmware does not know the path at all (``/status`` came with version 17)."""
    if reply.http_status in _NO_SUCH_REQUEST:
        return True
    try:
        return _interpret(_fields(LOCKER_STATUS, reply), reply).number in _NO_SUCH_REQUEST
    except TheKeysError:
        return False
