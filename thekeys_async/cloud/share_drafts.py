"""Drafts of shares: made of a caller's arguments, and checked before anything is sent."""

import enum
from typing import Final, TypeVar

import attrs

from thekeys_async.cloud.models import Accessory, Locker, PersonShare, Share, check_order, rounded
from thekeys_async.protocol.secrets import Secret

_T = TypeVar("_T")


class Keep(enum.Enum):
    """The value "leave it as it is", where None means "none"."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


def draft(locker: Locker, accessory: Accessory, name: str) -> Share:
    """Make the draft of a share, without the number and the code that the cloud will give it."""
    return Share(
        id=0,
        locker_id=locker.id,
        accessory=accessory,
        name=name,
        code=None,
        active=True,
        starts=None,
        ends=None,
        description="",
        timezone=locker.timezone,
    )


def kept(new: _T | Keep, old: _T) -> _T:
    """Return the new value, or the old one where that is to stay."""
    return old if isinstance(new, Keep) else new


def checked(share: Share) -> Share:
    """Check a share before it is sent, and bring its moments into the cloud's form.

    Raises:
        ValueError: It has no name or can't be sent, or its moments make no sense.
    """
    check_words(share.name, share.description)
    starts, ends = rounded(share.starts, share.timezone), rounded(share.ends, share.timezone)
    check_order(starts, ends)
    return attrs.evolve(share, starts=starts, ends=ends)


def check_code(*, given: bool, code: Secret | None) -> None:
    """Check a code that the caller gave.

    Raises:
        ValueError: It is not one.
    """
    if given and not (code and code.reveal().isascii()):
        raise ValueError("a share code is ASCII text that is not empty")


def draft_for_person(locker: Locker, phone: str, name: str, description: str) -> PersonShare:
    """Make the draft of a share with a person, without the number that the cloud will give it.

    Raises:
        ValueError: It has no name or can't be sent.
    """
    check_words(name, description)
    return PersonShare(
        id=0,
        locker_id=locker.id,
        phone=phone,
        name=name,
        active=True,
        accepted=False,
        description=description,
        person="",
        role="",
        starts=None,
        ends=None,
        notification_enabled=None,
        timezone=locker.timezone,
    )


def check_words(name: str, description: str) -> None:
    """Check the words of a share: what can't be sent is an error here, not a broken exchange.

    Raises:
        ValueError: There is no name, or a character that can't be sent.
    """
    if not name:
        raise ValueError("a share has a name")
    (name + description).encode()
