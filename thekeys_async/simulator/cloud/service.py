"""What each web call does to the simulated cloud. No await, no connection: who calls decides when."""

import re
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import attrs

from thekeys_async.simulator.cloud import replies
from thekeys_async.simulator.cloud.forms import fill
from thekeys_async.simulator.cloud.tables import CloudShare, CloudTables, new_code
from thekeys_async.simulator.http.messages import Request, Response

_ROUTES = {
    "login": re.compile(r"POST /api/login_check"),
    "account": re.compile(r"GET /fr/api/v2/utilisateur/get/([^/]+)"),
    "accessory": re.compile(r"GET /fr/api/v2/accessoire/get/([^/]+)"),
    "shares": re.compile(r"GET /fr/api/v2/partage/all/serrure/([^/]+)"),
    "create": re.compile(r"POST /fr/api/v2/partage/create/([^/]+)/accessoire/([^/]+)"),
    "update": re.compile(r"POST /fr/api/v2/partage/accessoire/update/([^/]+)"),
    "delete": re.compile(r"POST /fr/api/v2/partage/accessoire/delete/([^/]+)"),
}
CALLS = frozenset(_ROUTES)
"""What the web calls are called here."""

_ZONE = ZoneInfo(replies.ZONE)


@attrs.define
class CloudSettings:
    """How the cloud behaves; may be changed while it runs.

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

    def now(self) -> datetime:
        """Return what its clock on the wall shows."""
        return datetime.fromtimestamp(self.clock(), _ZONE)


def route(request: Request) -> tuple[str, tuple[str, ...]]:
    """Return what a web call is called, and what its path names; an empty name is none that is known."""
    for name, pattern in _ROUTES.items():
        if match := pattern.fullmatch(f"{request.method} {request.path}"):
            return name, tuple(unquote(part) for part in match.groups())
    return "", ()


class CloudService:
    """Answers the web calls of one account."""

    def __init__(self, tables: CloudTables, settings: CloudSettings, random: Random) -> None:
        self._tables = tables
        self._settings = settings
        self._random = random
        self.logins = 0

    def answer(self, request: Request) -> Response:
        """Answer one web call."""
        name, named = route(request)
        if not name:
            return Response(b"<html>Not found</html>", 404, "text/html")
        if name == "login":
            return self._log_in(request.form())
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme != "Bearer" or not self._tables.knows_token(token, self._settings.clock()):
            return replies.expired(as_grant=self._settings.expires_as_grant)
        answer = self._act(name, named, request.form())
        return Response.json(replies.dressed(answer, self._random), answer["status"])

    def _act(self, name: str, named: tuple[str, ...], form: dict[str, str]) -> dict[str, Any]:
        match name, named:
            case "account", (username,):
                return self._account(username)
            case "accessory", (number,):
                return self._accessory(number)
            case "shares", (number,):
                return self._shares(number)
            case "create", (number, identifier):
                return self._create(number, identifier, form)
            case "update", (number,):
                return self._update(number, form)
            case _:
                return self._delete(*named)

    def _log_in(self, form: dict[str, str]) -> Response:
        self.logins += 1
        settings = self._settings
        if (form.get("_username"), form.get("_password")) != (settings.username, settings.password):
            return Response.json({"code": 401, "message": "Bad credentials"}, 401)
        token = self._tables.new_token(settings.clock() + settings.token_life)
        return Response.json(
            replies.dressed(
                {"access_token": token, "expires_in": settings.token_life, "token_type": "bearer"}, self._random
            )
        )

    def _account(self, username: str) -> dict[str, Any]:
        if username != self._settings.username:
            return replies.envelope(None)
        return replies.envelope(replies.account(self._tables, username, self._settings.now()))

    def _accessory(self, number: str) -> dict[str, Any]:
        rows = (row for row in self._tables.accessories.values() if str(row.number) == number)
        row = next(rows, None)
        return replies.envelope(row and replies.accessory(row, self._settings.now()))

    def _shares(self, number: str) -> dict[str, Any]:
        locker = self._tables.locker_identifier(number)
        if locker is None:
            return replies.envelope(None)
        rows = [replies.share(row) for row in self._tables.shares_of(locker)]
        return replies.envelope({"partages_accessoire": rows, "partages_utilisateur": [], "partages_demande": []})

    def _create(self, number: str, identifier: str, form: dict[str, str]) -> dict[str, Any]:
        locker = self._tables.locker_identifier(number)
        accessory = self._tables.accessories.get(identifier)
        if locker is None or accessory is None or locker not in accessory.lockers:
            return replies.envelope(None)
        share = CloudShare(self._tables.number(), locker, accessory, "", new_code())
        if objections := fill(share, form):
            return replies.envelope(None, status=400, objections=objections)
        self._tables.shares[share.number] = share
        return replies.envelope({"id": share.number, "code": share.code})

    def _update(self, number: str, form: dict[str, str]) -> dict[str, Any]:
        share = self._tables.share(number)
        if share is None:
            return replies.envelope(None, status=404)
        objections = fill(share, form)
        return replies.envelope(None, status=400 if objections else 200, objections=objections)

    def _delete(self, number: str) -> dict[str, Any]:
        share = self._tables.share(number)
        if share is None:
            return replies.envelope(None, status=404)
        del self._tables.shares[share.number]
        return replies.envelope(None)
