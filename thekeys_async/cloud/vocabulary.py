"""The vendor's French names, which stand here and nowhere else: from answers to values, and from values to forms.

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
from thekeys_async.cloud.models import Accessory, Account, Gateway, Locker, Share, joined, split
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.secrets import Secret

_log = logging.getLogger(__name__)


def account(data: Fields, username: str, zone: tzinfo) -> Account:
    """Read an account.

    Args:
        data: What the answer holds.
        username: Who asked.
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
    return Locker(
        id=data.required("id", fields.natural),
        identifier=data.required("id_serrure", fields.natural),
        name=data.optional("nom", fields.text) or "",
        battery_mv=data.optional("battery", fields.natural),
        version=data.optional("version", fields.natural),
        accessories=_accessories(data),
        timezone=data.optional("timezone", fields.zone) or zone,
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
        known: What the account says of it.
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
    """Read the shares of a locker with accessories; those with people are the app's business."""
    if not data.has("partages_accessoire"):
        raise CloudProtocolError("the answer has no list of shares")
    return data.each("partages_accessoire", "a share", partial(_share, locker=locker))


def _share(data: Fields, locker: Locker) -> Share:
    start = data.optional("date_debut", fields.day), data.optional("heure_debut", fields.hour)
    end = data.optional("date_fin", fields.day), data.optional("heure_fin", fields.hour)
    active = data.optional("actif", fields.flag)
    return Share(
        id=data.required("id", fields.natural),
        locker_id=locker.id,
        accessory=data.optional("accessoire", _accessory_of_share),
        name=data.optional("nom", fields.text) or "",
        code=data.optional("code", fields.code),
        active=active is not False,
        starts=joined(*start, locker.timezone),
        ends=joined(*end, locker.timezone),
        description=data.optional("description", fields.text) or "",
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
    if "code" in data or code is None:
        return attrs.evolve(draft, id=number, code=data.required("code", fields.code))
    return attrs.evolve(draft, id=number, code=code.reveal())


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
