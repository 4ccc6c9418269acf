"""The vendor's French names, which stand nowhere else: from answers to values, and from values to forms.

What reads raises `CloudProtocolError` where an answer can't be understood.
"""

import logging
from collections.abc import Iterable
from datetime import date, time, tzinfo
from functools import partial

import attrs

from thekeys_async.cloud import fields
from thekeys_async.cloud.errors import CloudProtocolError
from thekeys_async.cloud.fields import Fields
from thekeys_async.cloud.http import Form
from thekeys_async.cloud.models import (
    Accessory,
    Account,
    Gateway,
    Locker,
    LockerEvent,
    Moment,
    PersonShare,
    Share,
    joined,
    split,
)
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.models import DoorState
from thekeys_async.protocol.secrets import Secret

_log = logging.getLogger(__name__)

# "open" has been observed, "or another word"; these are the likely ones, and what is none of them is not known.
_STATES = {
    "open": DoorState.OPEN,
    "opened": DoorState.OPEN,
    "close": DoorState.CLOSED,
    "closed": DoorState.CLOSED,
    "jammed": DoorState.JAMMED,
}


def account(data: Fields, username: str, zone: tzinfo) -> Account:
    """Read an account.

    Args:
        data: The fields of the answer.
        username: The account's user name.
        zone: For lockers that name none.
    """
    if not data.has("serrures"):
        raise CloudProtocolError("the account has no list of lockers")
    return Account(
        id=data.optional("id", fields.natural),
        username=data.optional("username", fields.text) or username,
        lockers=data.each("serrures", "a locker", partial(_locker, zone=zone)),
    )


def _locker(data: Fields, zone: tzinfo) -> Locker:
    events = _events(data, zone)
    heard = [
        *(event.at for event in events[:1]),
        *filter(None, [data.optional("battery_date", partial(fields.moment, zone=zone))]),
    ]
    word = data.optional("etat", fields.text)
    return Locker(
        id=data.required("id", fields.natural),
        identifier=data.required("id_serrure", fields.natural),
        name=data.optional("nom", fields.text) or "",
        battery_mv=data.optional("battery", fields.natural),
        version=data.optional("version", fields.natural),
        accessories=_accessories(data),
        timezone=data.optional("timezone", fields.zone) or zone,
        state=None if word is None else _STATES.get(word.casefold(), DoorState.UNKNOWN),
        state_at=max(heard, default=None),
        events=events,
    )


def _events(locker: Fields, zone: tzinfo) -> tuple[LockerEvent, ...]:
    try:
        found = locker.each("logs", "an event", partial(_event, zone=zone))
    except CloudProtocolError:
        return ()
    return tuple(sorted(found, key=lambda event: event.at, reverse=True))


def _event(data: Fields, zone: tzinfo) -> LockerEvent:
    moment = partial(fields.moment, zone=zone)
    return LockerEvent(
        at=data.optional("action_at", moment) or data.required("created_at", moment),
        action=data.optional("action", fields.word) or "",
        by=data.optional("utilisateur", fields.text) or "",
        id=data.optional("id", fields.natural),
        status=data.optional("status", fields.whole),
        share_id=data.optional("share_id", fields.natural),
        accessory_share_id=data.optional("accessory_share_id", fields.natural),
        user_id=data.optional("utilisateur_id", fields.natural),
        accessory_id=data.optional("accessoire_id", fields.natural),
    )


def _accessories(locker: Fields) -> tuple[Accessory, ...]:
    try:
        return locker.each("accessoires", "an accessory", _accessory_of_locker)
    except CloudProtocolError as error:
        _log.warning("%s: it is taken for one without accessories", error)
        return ()


def _accessory_of_locker(data: Fields) -> Accessory:
    return _accessory(data.fields("accessoire", "an accessory") or data)


def _accessory(data: Fields) -> Accessory:
    return Accessory(
        id=data.required("id", fields.natural),
        identifier=data.required("id_accessoire", fields.path_segment),
        name=data.optional("nom", fields.text) or "",
        type=data.optional("type", fields.whole),
    )


def gateway(known: Accessory, data: Fields | None, zone: tzinfo) -> Gateway:
    """Read what a gateway last told the cloud.

    Args:
        known: The gateway as the account has it.
        data: The answer about it alone; None if there is none.
        zone: The zone of the cloud's clock, for moments that name none.
    """
    info = data.fields("info", "the gateway's info") if data else None
    return Gateway(
        id=known.id,
        identifier=known.identifier,
        name=known.name,
        type=known.type,
        address=info.optional("ip", _address) if info else None,
        last_seen=info.optional("last_seen", partial(fields.moment, zone=zone)) if info else None,
        version=data.optional("version", fields.natural) if data else None,
    )


def _address(value: object) -> str:
    address = fields.filled(value)
    Address.parse(address)
    return address


def shares(data: Fields, locker: Locker) -> tuple[Share, ...]:
    """Read the shares of a locker with accessories."""
    if not data.has("partages_accessoire"):
        raise CloudProtocolError("the answer has no list of shares")
    return data.each("partages_accessoire", "a share", partial(_share, locker=locker))


def _share(data: Fields, locker: Locker) -> Share:
    starts, ends = _term(data, locker.timezone)
    return Share(
        id=data.required("id", fields.natural),
        locker_id=locker.id,
        accessory=data.optional("accessoire", _accessory_of_share),
        name=data.optional("nom", fields.text) or "",
        code=data.optional("code", fields.code),
        active=_is_active(data),
        starts=starts,
        ends=ends,
        description=data.optional("description", fields.text) or "",
        timezone=locker.timezone,
        iddesc=data.optional("iddesc", fields.text) or "",
        notification_enabled=data.optional("notification_enabled", fields.flag),
    )


def _term(data: Fields, zone: tzinfo) -> tuple[Moment | None, Moment | None]:
    start = data.optional("date_debut", fields.day), data.optional("heure_debut", fields.hour)
    end = data.optional("date_fin", fields.day), data.optional("heure_fin", fields.hour)
    return joined(*start, zone), joined(*end, zone)


def _is_active(data: Fields) -> bool:
    """Read whether a share is on; what is not told, or odd, locks nobody out."""
    return data.optional("actif", fields.flag) is not False


def people(data: Fields, locker: Locker) -> tuple[PersonShare, ...]:
    """Read the shares of a locker with people: those that were accepted, and then those that are asked for."""
    return (
        *data.each("partages_utilisateur", "a share", partial(_person, locker=locker, accepted=True)),
        *data.each("partages_demande", "a share", partial(_person, locker=locker, accepted=False)),
    )


def _person(data: Fields, *, locker: Locker, accepted: bool) -> PersonShare:
    who = data.fields("utilisateur", "a person") or Fields({}, "a person")
    role = data.fields("role", "a role") or Fields({}, "a role")
    names = (who.optional(name, fields.text) for name in ("prenom", "nom"))
    phones = (who.optional(name, fields.text) for name in ("telephone", "username"))
    starts, ends = _term(data, locker.timezone)
    return PersonShare(
        id=data.required("id", fields.natural),
        locker_id=locker.id,
        phone=next(filter(None, phones), ""),
        name=data.optional("nom", fields.text) or "",
        active=_is_active(data),
        accepted=accepted,
        description=data.optional("description", fields.text) or "",
        person=" ".join(filter(None, names)),
        role=role.optional("description", fields.text) or "",
        starts=starts,
        ends=ends,
        notification_enabled=data.optional("notification_enabled", fields.flag),
        timezone=locker.timezone,
    )


def _accessory_of_share(value: object) -> Accessory:
    try:
        return _accessory(Fields.of(value, "a share's accessory"))
    except CloudProtocolError:
        raise ValueError("not an accessory") from None


def created(draft: Share, data: Fields, code: Secret | None) -> Share:
    """Read the answer to a creation: the number and the code of the share that was asked for."""
    number = data.required("id", fields.natural)
    if code is None:
        return attrs.evolve(draft, id=number, code=data.required("code", fields.code))
    return attrs.evolve(draft, id=number, code=data.optional("code", fields.code) or code.reveal())


def of_accessory(found: Iterable[Share], accessory: Accessory, name: str) -> list[Share]:
    """Pick the shares with one accessory under one name; the one to use comes first.

    Two programs that see the same shares choose the same one: an active one before others, then one whose code is
    told, then the oldest.
    """
    matching = (
        share
        for share in found
        if share.name == name and share.accessory and share.accessory.identifier == accessory.identifier
    )
    return sorted(matching, key=lambda share: (not share.active, share.code is None, share.id))


def login_form(username: str, password: Secret) -> Form:
    """Make the form of a log-in."""
    return {"_username": username, "_password": password}


def creation_form(share: Share, code: Secret | None) -> Form:
    """Make the form of a new share, with the fields that working clients send; nothing for what is not wanted."""
    return {name: value for name, value in _share_form(share, code).items() if value or name == _name("description")}


def change_form(share: Share, code: Secret | None) -> Form:
    """Make the form of a changed share: all of it, with empty fields for what is to go.

    A share that is switched off has no ``actif`` field, as with a check box; that is what a client in use sends.
    """
    return _share_form(share, code)


def _share_form(share: Share, code: Secret | None) -> Form:
    start_day, start_hour = split(share.starts, share.timezone)
    end_day, end_hour = split(share.ends, share.timezone)
    return {
        _name("nom"): share.name,
        _name("description"): share.description,
        **({_name("actif"): "1"} if share.active else {}),
        **({_name("iddesc"): share.iddesc} if share.iddesc else {}),
        **({_name("code"): code} if code else {}),
        **_when("debut", start_day, start_hour),
        **_when("fin", end_day, end_hour),
    }


def _when(which: str, day: date | None, hour: time | None) -> Form:
    return {
        _name(f"date_{which}"): day.isoformat() if day else "",
        _name(f"heure_{which}", "hour"): str(hour.hour) if hour else "",
        _name(f"heure_{which}", "minute"): str(hour.minute) if hour else "",
    }


def _name(*path: str) -> str:
    return "partage_accessoire" + "".join(f"[{name}]" for name in path)


def person_form(share: PersonShare) -> Form:
    """Make the form of a new or changed share with a person; one that is switched off has no ``actif`` field."""
    return {
        "partage[nom]": share.name,
        "partage[description]": share.description,
        **({"partage[actif]": "1"} if share.active else {}),
    }
