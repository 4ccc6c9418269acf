"""Values of the cloud, frozen, with English names.

A share's start and end are one moment for callers, and a date and an hour for the cloud: `joined` and `split`.
"""

import re
from datetime import date, datetime, time, tzinfo

import attrs

from thekeys_async.protocol.models import DoorState
from thekeys_async.protocol.secrets import Secret

_SEPARATORS = re.compile(r"[\s.\-/()]")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_FRENCH = re.compile(r"(?:0|0033|\+33)([1-9][0-9]{8})")

GATEWAY = 1
"""The accessory type of gateways (observed)."""

KEYPAD = 2
"""The accessory type of keypads (observed); 3 is a remote, other numbers are not known here."""

Moment = datetime | date | time
"""When a share starts or ends: a moment (an aware datetime), a whole day, or an hour of every day."""


@attrs.frozen
class Accessory:
    """A device that a locker can be shared with: a gateway, a keypad, a remote.

    Attributes:
        id: The cloud's number for it.
        identifier: Its text identifier, as printed on it.
        name: The name that its owner gave it.
        type: The vendor's number for its kind, if told: 1 is a gateway, 2 a keypad, 3 a remote (observed).
    """

    id: int
    identifier: str
    name: str = ""
    type: int | None = None

    @property
    def is_gateway(self) -> bool:
        """Whether it is a gateway."""
        return self.type == GATEWAY

    @property
    def is_keypad(self) -> bool:
        """Whether it is a keypad: the code of its shares is the PIN that a guest types."""
        return self.type == KEYPAD


@attrs.frozen
class Gateway(Accessory):
    """A gateway, with what it last told the cloud.

    Attributes:
        address: Its host, or host and port, on its LAN; None if it has never told.
        last_seen: When it last reported, which it does every 5 s (the vendor's page); None if never.
        version: Its firmware, if told.
    """

    address: str | None = None
    last_seen: datetime | None = None
    version: int | None = None


@attrs.frozen
class LockerEvent:
    """An event at a locker, as the cloud tells it; its words are the vendor's and are not known here.

    Attributes:
        at: When.
        action: The action, in the vendor's word.
        by: The name of the one who did it; empty where the cloud tells none.
        id: The cloud's number for it, if told.
        status: The vendor's number for how it ended, if told.
        share_id: The share with a person that was used, if told.
        accessory_share_id: The share with an accessory that was used, if told.
        user_id: The cloud's number of the person, if told.
        accessory_id: The accessory that it went through, if told (`Accessory.id`).
    """

    at: datetime
    action: str
    by: str = ""
    id: int | None = None
    status: int | None = None
    share_id: int | None = None
    accessory_share_id: int | None = None
    user_id: int | None = None
    accessory_id: int | None = None


@attrs.frozen
class Locker:
    """A locker of the account.

    Attributes:
        id: The cloud's number for it; no gateway knows it.
        identifier: The number that gateways use, printed on the locker.
        name: The name that its owner gave it.
        battery_mv: Its battery in mV, as last told to the cloud.
        version: Its firmware, if told.
        accessories: The devices that belong to it: gateways, keypads, remotes.
        timezone: The zone of the locker's clock, in which the hours of its shares are written.
        state: The cloud's last word on the bolt, if there is one: what it was when the cloud last heard of the locker.
            Ask the gateway for what it is.
        state_at: When the cloud last heard of the locker, if told: at its newest event, or at its battery's date.
        events: Its newest events, the newest first, where the cloud sends them.
    """

    id: int
    identifier: int
    name: str
    battery_mv: int | None
    version: int | None
    accessories: tuple[Accessory, ...]
    timezone: tzinfo
    state: DoorState | None = None
    state_at: datetime | None = None
    events: tuple[LockerEvent, ...] = ()


@attrs.frozen
class Account:
    """The account that is logged in.

    Attributes:
        id: The cloud's number for it, if told.
        username: Its phone number.
        lockers: Its lockers.
    """

    id: int | None
    username: str
    lockers: tuple[Locker, ...]


def _hidden(code: str | None) -> Secret | None:
    return Secret.of(code)


@attrs.frozen
class Share:
    """A right to open one locker through one accessory.

    It works at a gateway once the locker has been synchronised (the vendor's page).

    Attributes:
        id: The cloud's number for it.
        locker_id: The cloud's number for the locker (`Locker.id`).
        accessory: The accessory that it is shared with; None if that is gone.
        name: Its name.
        code: The share code: for a gateway the key of the hash, for a keypad the PIN. None if the cloud keeps it.
            In no repr, and in no field.
        active: Whether it is switched on.
        starts: From when it holds; None for always.
        ends: Until when it holds; None for ever.
        description: Free text.
        timezone: The zone in which the cloud writes its hours: the locker's.
        iddesc: The maker's word for its kind, ``"remote"`` for example; empty where the cloud tells nothing.
        notification_enabled: Whether its use is told to the owner's phone; None where the cloud tells nothing.
    """

    id: int
    locker_id: int
    accessory: Accessory | None
    name: str
    _code: Secret | None = attrs.field(repr=False, alias="code", converter=_hidden)
    active: bool
    starts: Moment | None
    ends: Moment | None
    description: str
    timezone: tzinfo
    iddesc: str = ""
    notification_enabled: bool | None = None

    @property
    def code(self) -> str | None:
        """The share code, in plain text."""
        return self._code.reveal() if self._code else None

    def usable(self, at: datetime) -> bool:
        """Tell whether it is switched on and has not run out; its time may still be to come, or be certain hours.

        Args:
            at: When, an aware datetime.
        """
        return self.active and not _has_ended(self.ends, self.timezone, at)


@attrs.frozen
class PersonShare:
    """A right of a person to open one locker with the vendor's app and an account of their own.

    Attributes:
        id: The cloud's number for it; shares with accessories are numbered apart.
        locker_id: The cloud's number for the locker (`Locker.id`).
        phone: The person's phone number.
        name: The share's name.
        active: Whether it is switched on.
        accepted: Whether the person has accepted it; until then it is asked for.
        description: Free text.
        person: The person's name, where the cloud tells it.
        role: The person's rights, in the vendor's words, where the cloud tells them.
        starts: From when it holds; None for always.
        ends: Until when it holds; None for ever.
        notification_enabled: Whether its use is told to the owner's phone; None where the cloud tells nothing.
        timezone: The zone in which the cloud writes its hours: the locker's.
    """

    id: int
    locker_id: int
    phone: str
    name: str
    active: bool
    accepted: bool
    description: str
    person: str
    role: str
    starts: Moment | None
    ends: Moment | None
    notification_enabled: bool | None
    timezone: tzinfo

    def usable(self, at: datetime) -> bool:
        """Tell whether it is accepted, switched on and has not run out.

        Args:
            at: When, an aware datetime.
        """
        return self.accepted and self.active and not _has_ended(self.ends, self.timezone, at)


def _has_ended(ends: Moment | None, zone: tzinfo, at: datetime) -> bool:
    if isinstance(ends, datetime):
        return at > ends
    return isinstance(ends, date) and at.astimezone(zone).date() > ends


def joined(day: date | None, hour: time | None, zone: tzinfo) -> Moment | None:
    """Make one moment of the cloud's date and hour."""
    if day is None or hour is None:
        return hour if day is None else day
    return datetime.combine(day, hour, zone)


def split(moment: Moment | None, zone: tzinfo) -> tuple[date | None, time | None]:
    """Make the cloud's date and hour of a moment, to the minute.

    Raises:
        ValueError: A datetime has no zone, or a time has one.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a share starts and ends at an aware datetime, a date, or a time of day")
        local = moment.astimezone(zone)
        return local.date(), time(local.hour, local.minute)
    if isinstance(moment, time):
        if moment.tzinfo is not None:
            raise ValueError("a time of day is the locker's own, without a zone")
        return None, time(moment.hour, moment.minute)
    return moment, None


def rounded(moment: Moment | None, zone: tzinfo) -> Moment | None:
    """Bring a moment into the form in which the cloud hands it back.

    Raises:
        ValueError: As `split`.
    """
    return joined(*split(moment, zone), zone)


def check_order(starts: Moment | None, ends: Moment | None) -> None:
    """Refuse a share that ends before it starts.

    Hours of the day are not compared: from 22:00 to 06:00 is a night.

    Raises:
        ValueError: It does.
    """
    if isinstance(starts, datetime) and isinstance(ends, datetime):
        wrong = ends <= starts
    elif isinstance(starts, date) and isinstance(ends, date):
        wrong = _day(ends) < _day(starts)
    else:
        wrong = False
    if wrong:
        raise ValueError("the share would end before it starts")


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def international(number: str, country: str | None = None) -> str:
    """Write a phone number as the cloud wants it: ``+33612345678``.

    Args:
        number: Spaces, dots, dashes and brackets are allowed.
        country: ``"FR"`` lets national numbers through: ``06 12 34 56 78``.

    Raises:
        ValueError: It is not international, and no country says what it is.
    """
    if country not in {None, "FR"}:
        raise ValueError('country is None or "FR"')
    plain = _SEPARATORS.sub("", number)
    if country == "FR" and (french := _FRENCH.fullmatch(plain)):
        return f"+33{french[1]}"
    if not _INTERNATIONAL.fullmatch(plain):
        raise ValueError(
            'the user name is a phone number, written internationally: +33612345678 (or 0612345678 with country="FR")'
        )
    return plain
