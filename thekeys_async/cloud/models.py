"""What the cloud knows of an account, as frozen values with English names.

A share's start and end are one moment for callers, and a date and an hour for the cloud: `joined` and `split`.
"""

import re
from datetime import date, datetime, time, tzinfo

import attrs

from thekeys_async.protocol.secrets import Secret

_SEPARATORS = re.compile(r"[\s.\-/()]")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_FRENCH = re.compile(r"(?:0|0033|\+33)([1-9][0-9]{8})")

GATEWAY = 1
"""The accessory type of gateways; 3 is a remote, other numbers are not known here (observed)."""

Moment = datetime | date | time
"""When a share starts or ends: a moment (an aware datetime), a whole day, or an hour of every day."""


@attrs.frozen
class Accessory:
    """Something that a locker can be shared with: a gateway, a keypad, a remote.

    Attributes:
        id: The cloud's number for it.
        identifier: Its text identifier, as printed on it.
        name: What its owner calls it.
        type: The vendor's number for its kind, if told: 1 is a gateway, 3 a remote (observed).
    """

    id: int
    identifier: str
    name: str = ""
    type: int | None = None

    @property
    def is_gateway(self) -> bool:
        """Whether it is a gateway."""
        return self.type == GATEWAY


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
class Locker:
    """A locker of the account.

    Attributes:
        id: The cloud's number for it; no gateway knows it.
        identifier: The number that gateways use, printed on the locker.
        name: What its owner calls it.
        battery_mv: Its battery in mV, as last told to the cloud.
        version: Its firmware, if told.
        accessories: What belongs to it: gateways, keypads, remotes.
        timezone: The zone of the locker's clock, in which the hours of its shares are written.
    """

    id: int
    identifier: int
    name: str
    battery_mv: int | None
    version: int | None
    accessories: tuple[Accessory, ...]
    timezone: tzinfo


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
        accessory: What it is shared with; None if that is gone.
        name: What it is called.
        code: The share code: for a gateway the key of the hash, for a keypad the PIN. None if the cloud keeps it.
            In no repr, and in no field.
        active: Whether it is switched on.
        starts: From when it holds; None for always.
        ends: Until when it holds; None for ever.
        description: Free text.
        timezone: The zone in which the cloud writes its hours: the locker's.
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

    @property
    def code(self) -> str | None:
        """The share code, in plain text."""
        return self._code.reveal() if self._code else None

    def usable(self, at: datetime) -> bool:
        """Whether it is switched on and has not run out; its time may still be to come, or be certain hours.

        Args:
            at: When, an aware datetime.
        """
        if isinstance(self.ends, datetime):
            ended = at > self.ends
        else:
            ended = isinstance(self.ends, date) and at.astimezone(self.timezone).date() > self.ends
        return self.active and not ended


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
