"""Web calls of the simulated cloud: what each does, and the forms that they take. No await, no connection."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from random import Random
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import attrs

from thekeys_async.simulator.cloud import replies
from thekeys_async.simulator.cloud.tables import KEYPAD, CloudPersonShare, CloudShare, CloudTables, new_code
from thekeys_async.simulator.cloud.web_pages import WebPages
from thekeys_async.simulator.http.messages import HttpRequest, HttpResponse

_ROUTES = {
    "login": re.compile(r"POST /api/login_check"),
    "account": re.compile(r"GET /fr/api/v2/utilisateur/get/([^/]+)"),
    "accessory": re.compile(r"GET /fr/api/v2/accessoire/get/([^/]+)"),
    "shares": re.compile(r"GET /fr/api/v2/partage/all/serrure/([^/]+)"),
    "create": re.compile(r"POST /fr/api/v2/partage/create/([^/]+)/accessoire/([^/]+)"),
    "update": re.compile(r"POST /fr/api/v2/partage/accessoire/update/([^/]+)"),
    "delete": re.compile(r"POST /fr/api/v2/partage/accessoire/delete/([^/]+)"),
    "share_with": re.compile(r"POST /fr/api/v2/partage/create/([^/]+)/([^/]+)"),
    "update_person": re.compile(r"POST /fr/api/v2/partage/update/([^/]+)"),
}
_PAGES = {
    "web_login": re.compile(r"POST /auth/fr/login_check"),
    "login_page": re.compile(r"GET /auth/fr/login"),
    "reboot": re.compile(r"GET /fr/compte/accessoire/([^/]+)/reboot"),
    "view": re.compile(r"GET /fr/compte/accessoire/([^/]+)/view"),
    "home_page": re.compile(r"GET /fr/compte"),
}
CALLS = frozenset(_ROUTES | _PAGES)
"""The names of the web calls."""

_ACCESSORY = "partage_accessoire"
_PERSON = "partage"
_SHORTEST_PIN = 4
_ZONE = ZoneInfo(replies.ZONE)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")


@attrs.define
class CloudSettings:
    """Settings of the simulated cloud; may be changed while it runs.

    Attributes:
        username: The account's phone number.
        password: Its password.
        token_life: Seconds for which a token is good.
        expires_as_grant: Whether an expired token is refused with `invalid_grant`; if not, with a plain 401.
        delay: Seconds that each web call takes.
        clock: Its wall clock, in seconds since 1970.
    """

    username: str
    password: str = attrs.field(repr=False)
    token_life: float = 3600.0
    expires_as_grant: bool = False
    delay: float = 0.0
    clock: Callable[[], float] = attrs.field(kw_only=True)

    def knows(self, form: dict[str, str]) -> bool:
        """Tell whether a log-in's form is the account's."""
        return (form.get("_username"), form.get("_password")) == (self.username, self.password)

    def now(self) -> datetime:
        """Return what its clock on the wall shows."""
        return datetime.fromtimestamp(self.clock(), _ZONE)


def route(request: HttpRequest) -> tuple[str, tuple[str, ...]]:
    """Return what a web call is called, and what its path names; an empty name is none that is known."""
    for name, pattern in (_ROUTES | _PAGES).items():
        if match := pattern.fullmatch(f"{request.method} {request.path.rstrip('/')}"):
            return name, tuple(unquote(part) for part in match.groups())
    return "", ()


class CloudService:
    """Answers the web calls of one account."""

    def __init__(self, tables: CloudTables, settings: CloudSettings, random: Random) -> None:
        self._tables = tables
        self._settings = settings
        self._random = random
        self._pages = WebPages(tables, settings.knows)
        self._calls: dict[str, Callable[..., dict[str, Any]]] = {
            "account": self._account,
            "accessory": self._accessory,
            "shares": self._shares,
            "create": self._create,
            "update": self._update,
            "delete": self._delete,
            "share_with": self._share_with,
            "update_person": self._update_person,
        }
        self.logins = 0

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one web call."""
        name, named = route(request)
        if not name:
            return HttpResponse(b"<html>Not found</html>", 404, "text/html")
        if name == "login":
            return self._log_in(request.form())
        if name in _PAGES:
            return self._pages.answer(name, named, request)
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not self._tables.knows_token(token.strip(), self._settings.clock()):
            return replies.expired(as_grant=self._settings.expires_as_grant)
        answer = self._calls[name](request.form(), *named)
        return HttpResponse.json(replies.dressed(answer, self._random), answer["status"])

    def _log_in(self, form: dict[str, str]) -> HttpResponse:
        self.logins += 1
        settings = self._settings
        if not settings.knows(form):
            return HttpResponse.json({"code": 401, "message": "Bad credentials"}, 401)
        token = self._tables.new_token(settings.clock() + settings.token_life)
        return HttpResponse.json(replies.dressed(replies.token(token, settings.token_life), self._random))

    def _account(self, _form: dict[str, str], username: str) -> dict[str, Any]:
        if username != self._settings.username:
            return replies.envelope(None)
        return replies.envelope(replies.account(self._tables, username, self._settings.now()))

    def _accessory(self, _form: dict[str, str], number: str) -> dict[str, Any]:
        row = self._tables.accessory(number)
        return replies.envelope(row and replies.accessory(row, self._settings.now()))

    def _shares(self, _form: dict[str, str], number: str) -> dict[str, Any]:
        locker = self._tables.locker_identifier(number)
        if locker is None:
            return replies.envelope(None)
        rows = [replies.share(row) for row in self._tables.shares_of(locker)]
        people = [row for row in self._tables.people.values() if row.locker == locker]
        return replies.envelope(
            {
                "partages_accessoire": rows,
                "partages_utilisateur": [replies.person(row) for row in people if row.accepted],
                "partages_demande": [replies.person(row) for row in people if not row.accepted],
            }
        )

    def _create(self, form: dict[str, str], number: str, identifier: str) -> dict[str, Any]:
        locker = self._tables.locker_identifier(number)
        accessory = self._tables.accessories.get(identifier)
        if locker is None or accessory is None or locker not in accessory.lockers:
            return replies.envelope(None)
        share = CloudShare(self._tables.number(), locker, accessory, "", new_code())
        if objections := fill(share, form, new=True):
            return replies.envelope(None, status=400, objections=objections)
        self._tables.shares[share.number] = share
        return replies.envelope({"id": share.number, "code": share.code})

    def _update(self, form: dict[str, str], number: str) -> dict[str, Any]:
        share = self._tables.share(number)
        if share is None:
            return replies.envelope(None, status=404)
        objections = fill(share, form, new=False)
        return replies.envelope(None, status=400 if objections else 200, objections=objections)

    def _share_with(self, form: dict[str, str], number: str, phone: str) -> dict[str, Any]:
        locker = self._tables.locker_identifier(number)
        if locker is None or not _PHONE.fullmatch(phone):
            return replies.envelope(None)
        share = CloudPersonShare(self._tables.number(), locker, phone, "")
        if objections := fill_person(share, form, new=True):
            return replies.envelope(None, status=400, objections=objections)
        self._tables.people[share.number] = share
        return replies.envelope({"id": share.number})

    def _update_person(self, form: dict[str, str], number: str) -> dict[str, Any]:
        share = self._tables.person(number)
        if share is None:
            return replies.envelope(None, status=404)
        objections = fill_person(share, form, new=False)
        return replies.envelope(None, status=400 if objections else 200, objections=objections)

    def _delete(self, _form: dict[str, str], number: str) -> dict[str, Any]:
        share = self._tables.share(number)
        if share is None:
            return replies.envelope(None, status=404)
        del self._tables.shares[share.number]
        return replies.envelope(None)


def fill(share: CloudShare, form: dict[str, str], *, new: bool) -> list[str]:
    """Put a form into a share with an accessory: a field that is missing is emptied, but the code.

    Args:
        share: The share, which is left as it was if there are objections.
        form: The fields.
        new: Whether it is just created: without a word on it, it is active then, and switched off in a change.

    Returns:
        The objections, in the cloud's language.
    """
    objections: list[str] = []
    filled = attrs.evolve(
        share,
        name=form.get(f"{_ACCESSORY}[nom]", "").strip(),
        code=form.get(f"{_ACCESSORY}[code]", "") or share.code,
        active=_is_active(form, _ACCESSORY, new=new),
        description=form.get(f"{_ACCESSORY}[description]", ""),
        iddesc=form.get(f"{_ACCESSORY}[iddesc]", ""),
    )
    try:
        filled.first_day, filled.first_hour = _day(form, "date_debut"), _hour(form, "heure_debut")
        filled.last_day, filled.last_hour = _day(form, "date_fin"), _hour(form, "heure_fin")
    except ValueError:
        objections.append("Cette date n'est pas valide.")
    objections.extend(_objections(filled))
    if not objections:
        _copy(filled, share)
    return objections


def fill_person(share: CloudPersonShare, form: dict[str, str], *, new: bool) -> list[str]:
    """Put a form into a share with a person; as `fill`."""
    filled = attrs.evolve(
        share,
        name=form.get(f"{_PERSON}[nom]", "").strip(),
        active=_is_active(form, _PERSON, new=new),
        description=form.get(f"{_PERSON}[description]", ""),
    )
    if not filled.name:
        return ["Le nom est obligatoire."]
    _copy(filled, share)
    return []


def _copy(source: CloudShare | CloudPersonShare, target: CloudShare | CloudPersonShare) -> None:
    for field in attrs.fields(type(target)):
        setattr(target, field.name, getattr(source, field.name))


def _is_active(form: dict[str, str], prefix: str, *, new: bool) -> bool:
    return form.get(f"{prefix}[actif]", "1" if new else "0") == "1"


def _objections(share: CloudShare) -> list[str]:
    objections: list[str] = []
    if not share.name:
        objections.append("Le nom est obligatoire.")
    if share.accessory.kind == KEYPAD and not (share.code.isdigit() and len(share.code) >= _SHORTEST_PIN):
        objections.append(f"Le code {share.code} doit contenir au moins {_SHORTEST_PIN} chiffres.")
    if share.first_day and share.last_day and share.last_day < share.first_day:
        objections.append("La date de fin doit suivre la date de début.")
    return objections


def _day(form: dict[str, str], name: str) -> date | None:
    text = form.get(f"{_ACCESSORY}[{name}]", "")
    return date.fromisoformat(text) if text else None


def _hour(form: dict[str, str], name: str) -> time | None:
    hour, minute = form.get(f"{_ACCESSORY}[{name}][hour]", ""), form.get(f"{_ACCESSORY}[{name}][minute]", "")
    return time(int(hour), int(minute or 0)) if hour else None
