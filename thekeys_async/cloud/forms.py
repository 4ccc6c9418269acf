"""The forms that the cloud takes, with the vendor's French names."""

from collections.abc import Mapping
from datetime import date, time
from urllib.parse import urlencode

from thekeys_async.cloud.models import Share
from thekeys_async.cloud.moments import split
from thekeys_async.protocol.secrets import Secret

Form = Mapping[str, "str | Secret"]


def login(username: str, password: Secret) -> Form:
    """Make the form of a log-in."""
    return {"_username": username, "_password": password}


def creation(share: Share, code: Secret | None) -> Form:
    """Make the form of a new share, with the fields that working clients send; nothing for what is not wanted."""
    return {name: value for name, value in _share(share, code).items() if value or name == _name("description")}


def change(share: Share, code: Secret | None) -> Form:
    """Make the form of a changed share: all of it, with empty fields for what is to go.

    A share that is switched off has no ``actif`` field, as with a check box; that is what a client in use sends.
    """
    return _share(share, code)


def _share(share: Share, code: Secret | None) -> Form:
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


def encoded(form: Form) -> bytes:
    """Write a form as a body; this is where secrets come out of their wrapping."""
    plain = ((name, value.reveal() if isinstance(value, Secret) else value) for name, value in form.items())
    return urlencode(list(plain)).encode("ascii")
