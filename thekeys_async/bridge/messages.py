"""The form that a command message has to have. Pure.

Home Assistant keeps what it could not deliver and delivers it when the broker is back (observed: 20 s later); neither
the retain flag, nor a clean session, nor an expiry shows that. Only a time inside the message does.
"""

import enum
import json
import math
from typing import Any, Final, cast

import attrs

from thekeys_async.bridge.topics import Target

LONGEST_MESSAGE: Final = 512
"""Bytes of a command at most."""

_LONGEST_ID: Final = 128


class Action(enum.Enum):
    """An action; the value is the word for it in messages."""

    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    READ = "read"
    CALIBRATE = "calibrate"
    SYNCHRONISE = "synchronise"

    @property
    def is_read(self) -> bool:
        """Whether nothing moves and nothing changes."""
        return self is Action.READ

    @property
    def harmless_when_late(self) -> bool:
        """Whether it may be carried out although nobody knows when it was asked for."""
        return self in {Action.LOCK, Action.READ}


_ACTIONS: Final = {
    ("lock", "set"): frozenset({Action.LOCK, Action.UNLOCK}),
    ("lock", "press"): frozenset({Action.READ, Action.CALIBRATE}),
    ("gateway", "press"): frozenset({Action.SYNCHRONISE}),
}


@attrs.frozen
class CommandMessage:
    """A message that has the form of a command.

    Attributes:
        action: The action.
        at: When somebody wanted it, in seconds since 1970 by that one's clock; None for a plain word.
        id: The sender's own word for it, if any.
    """

    action: Action
    at: float | None = None
    id: str | int | None = None


class MalformedMessageError(ValueError):
    """A message has not the form of a command; it does not repeat what the message was."""


def parse(target: Target, payload: bytes) -> CommandMessage:
    """Parse a message: a plain word, or an object of exactly ``action``, ``at`` and perhaps ``id``.

    Args:
        target: The target that its topic names.
        payload: The message; it is never repeated in an error.

    Raises:
        MalformedMessageError: It has not that form.
    """
    if len(payload) > LONGEST_MESSAGE:
        raise MalformedMessageError("it is too long")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise MalformedMessageError("it is not UTF-8") from None
    if (plain := _action(target, text)) is not None:
        return CommandMessage(plain)
    try:
        found = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MalformedMessageError("it is neither a known word nor JSON") from None
    return _request(target, found)


def _request(target: Target, found: object) -> CommandMessage:
    if not isinstance(found, dict):
        raise MalformedMessageError("it is no JSON object")
    table = cast("dict[str, Any]", found)
    if not {"action", "at"} <= table.keys() <= {"action", "at", "id"}:
        raise MalformedMessageError("it has other keys than action, at and id")
    action = _action(target, table["action"])
    if action is None:
        raise MalformedMessageError("its action is none of this topic's")
    return CommandMessage(action, _time(table["at"]), _id(table.get("id")))


def _action(target: Target, word: object) -> Action | None:
    known = _ACTIONS.get((target.kind, target.channel), frozenset())
    return next((action for action in known if action.value == word), None)


def _time(at: object) -> float:
    if isinstance(at, bool) or not isinstance(at, (int, float)):
        raise MalformedMessageError("its time is no number")
    try:
        seconds = float(at)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise MalformedMessageError("its time is not finite")
    return seconds


def _id(value: object) -> str | int | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
        raise MalformedMessageError("its id is neither text nor a whole number")
    if isinstance(value, str) and (len(value) > _LONGEST_ID or not value.isprintable()):
        raise MalformedMessageError("its id is not short, printable text")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _no_constant(_name: str) -> float:
    raise ValueError("no number")
