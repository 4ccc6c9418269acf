"""The updates of a stream, and their conflation: two that a slow consumer has not taken become one. All pure."""

import enum
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, TypeAlias

import attrs

from thekeys_async.protocol.errors import TheKeysError
from thekeys_async.protocol.models import LockerReading, LockerStatus
from thekeys_async.protocol.serialization import Serializable, moment, named

READING_FIELDS: Final = ("rssi", "battery_mv", "last_log")
STATUS: Final = "status"
STATUS_ERROR: Final = "status_error"

_Mostly: TypeAlias = LockerReading | Any  # None in one documented case; type checkers let the others do without a check


class UpdateKind(enum.Enum):
    """The kind of news of a locker, compared with the last update that the consumer got of it."""

    APPEARED = "appeared"
    """The consumer has not had it, or had it as lost."""
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    """Every poll was asked for; or it had changed and changed back before a slow consumer took the news."""
    LOST = "lost"
    """The gateway's scan no longer sees it, or never saw one that was asked for."""


@attrs.frozen(kw_only=True)
class LockerUpdate(Serializable):
    """News of one locker.

    Attributes:
        gateway: The name of the gateway that tells it.
        identifier: The locker's number.
        kind: The kind of news.
        reading: What the gateway's scan says of it; of a lost one, what it said last. None only for one that was
            asked for, was never seen, and is `UpdateKind.LOST`.
        previous: The reading that the consumer last got; None when it appears.
        changed: Which of ``rssi``, ``battery_mv`` and ``last_log`` are not what the consumer last got; ``status`` if
            the door was read afresh, ``status_error`` if whether or why it can't be read is news.
        status: The locker's last status, if doors are followed.
        status_error: The error of the door's last read, if that failed: a wrong share code, for example.
        at: When the gateway said it, with a time zone.
        missed: How many older updates a slow consumer did not take in time; this one stands for them all.
    """

    _readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "kind": named(UpdateKind),
        "reading": LockerReading.from_dict,
        "previous": LockerReading.from_dict,
        "changed": frozenset,
        "status": LockerStatus.from_dict,
        "status_error": TheKeysError.from_dict,
        "at": moment,
    }

    gateway: str
    identifier: int
    kind: UpdateKind
    reading: _Mostly
    previous: LockerReading | None = None
    changed: frozenset[str] = frozenset()
    status: LockerStatus | None = None
    status_error: TheKeysError | None = None
    at: datetime
    missed: int = 0


@attrs.frozen(kw_only=True)
class GatewayUpdate(Serializable):
    """News of a gateway: it was lost, or is back; it answers, and has no locker to tell of; or it says something new.

    Of what it says of itself this is news: it synchronises or does so no longer, it has synchronised for ten minutes,
    which in the field means that it hangs (observed), its firmware has changed.

    Attributes:
        gateway: Its name.
        reachable: Whether it answers, as far as that is known.
        error: Why not; a `CoordinationError` says nothing against the gateway, and leaves it reachable.
        phase: The phase that it last told, if anybody has asked.
        phase_since: When it was first heard to do so, with a time zone; all of a synchronisation is one phase.
        version: Its firmware, if anybody has asked.
        at: When that was found, with a time zone.
    """

    _readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "error": TheKeysError.from_dict,
        "phase_since": moment,
        "at": moment,
    }

    gateway: str
    reachable: bool
    error: TheKeysError | None = None
    phase: str | None = None
    phase_since: datetime | None = None
    version: int | None = None
    at: datetime


Update: TypeAlias = LockerUpdate | GatewayUpdate


def differing(one: LockerReading | None, other: LockerReading | None) -> frozenset[str]:
    """Name the fields of two readings that are not the same."""
    return frozenset(name for name in READING_FIELDS if getattr(one, name, None) != getattr(other, name, None))


def fold(waiting: Update, newer: Update) -> Update:
    """Make one update of one that nobody has taken yet and a newer one about the same locker or gateway."""
    if isinstance(waiting, LockerUpdate) and isinstance(newer, LockerUpdate):
        changed = _changed(waiting, newer)
        return attrs.evolve(
            newer,
            kind=_kind(waiting, newer, changed),
            previous=waiting.previous,
            changed=changed,
            missed=waiting.missed + 1 + newer.missed,
        )
    return newer


def _changed(waiting: LockerUpdate, newer: LockerUpdate) -> frozenset[str]:
    """Name the fields that are news to a consumer who has taken neither of the two: noise is not, unless all is."""
    news = waiting.changed | newer.changed
    readings = differing(waiting.previous, newer.reading)
    if waiting.previous is not None and newer.kind is not UpdateKind.APPEARED:
        readings &= news
    return readings | (news - frozenset(READING_FIELDS))


def _kind(waiting: LockerUpdate, newer: LockerUpdate, changed: frozenset[str]) -> UpdateKind:
    if newer.kind is UpdateKind.LOST:
        return UpdateKind.LOST
    if waiting.previous is None:
        return UpdateKind.APPEARED
    return UpdateKind.CHANGED if changed else UpdateKind.UNCHANGED
