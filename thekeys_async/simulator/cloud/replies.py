"""Answers of the simulated cloud: French names, dates in two styles, and fields that nobody knows.

Every object carries the fields that published clients have been seen to need.
"""

from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from thekeys_async.simulator.cloud.tables import GATEWAY, CloudAccessory, CloudPersonShare, CloudShare, CloudTables
from thekeys_async.simulator.http.messages import HttpResponse
from thekeys_async.simulator.locker import Bolt, BoltEvent, SimulatedLocker

if TYPE_CHECKING:
    from collections.abc import Sequence

ZONE = "Europe/Paris"

_SOMETIMES = 0.3
_STRANGERS: tuple[tuple[str, Any], ...] = (
    ("beta", 0),
    ("couleur", None),
    ("horaires", []),
    ("produit", {"id": 1, "nom": "TK 1.5.1", "version": 81, "versionBeta": 82}),
    ("latchDelay", 1000),
)
_WORDS = {Bolt.OPEN: "open", Bolt.CLOSED: "close", Bolt.JAMMED: "jammed", Bolt.UNKNOWN: "unknown"}
_NEWEST_EVENTS = 20
_TYPE_VERSION = 1
_KEY = "-----BEGIN PUBLIC KEY-----\nsimulated\n-----END PUBLIC KEY-----"


def envelope(data: object, *, status: int = 200, objections: list[str] | None = None) -> dict[str, Any]:
    """Wrap an answer as the cloud does."""
    wrong = ["Le formulaire n'est pas valide."] if objections else []
    return {"status": status, "data": data, "message": {"global": wrong, "form": objections or []}}


def dressed(value: Any, random: Random) -> Any:
    """Let unknown fields come and go."""
    if isinstance(value, list):
        return [dressed(item, random) for item in cast("Sequence[Any]", value)]
    if not isinstance(value, dict):
        return value
    known = cast("dict[str, Any]", value)
    strangers = {name: what for name, what in _STRANGERS if name not in known and random.random() < _SOMETIMES}
    return {name: dressed(what, random) for name, what in known.items()} | strangers


def token(text: str, life: float) -> dict[str, Any]:
    """Write the answer to a log-in: the token under both of its names."""
    return {
        "access_token": text,
        "token": text,
        "expires_in": int(life) if float(life).is_integer() else life,  # clients with types read a whole number
        "token_type": "bearer",
        "scope": None,
        "refresh_token": text[::-1],
    }


def account(tables: CloudTables, username: str, now: datetime) -> dict[str, Any]:
    """Write the account and its lockers."""
    return {
        "id": 1,
        "type": "utilisateur",
        "roles": ["ROLE_USER"],
        "firstname": "Camille",
        "lastname": "Martin",
        "locale": "fr",
        "username": username,
        "email": "camille@example.org",
        "created_at": _php_date(now),
        "updated_at": _php_date(now),
        "notification_token": "",
        "notification_enabled": True,
        "tel": username,
        "serrures": [
            {
                **_locker(number, identifier, locker),
                "nom": tables.names.get(identifier, f"Porte {identifier}"),
                "utilisateur": {"username": username, "firstname": "Camille", "lastname": "Martin"},
                "battery_date": _php_date(now),
                **_belongings(locker, [row for row in tables.accessories.values() if identifier in row.lockers]),
            }
            for number, identifier, locker in tables.lockers()
        ],
    }


def _locker(number: int, identifier: int, locker: SimulatedLocker) -> dict[str, Any]:
    return {
        "id": number,
        "id_serrure": str(identifier),
        "code": "",
        "code_serrure": "",
        "etat": _WORDS[locker.state],
        "couleur": None,
        "qrcode": "",
        "serrure_droite": True,
        "main_libre": False,
        "longitude": 0,
        "latitude": 0,
        "radius": 100,
        "timezone": ZONE,
        "maxSpeed": 0,
        "latchDelay": 1000,
        "assistedActions": False,
        "unlockOnly": False,
        "description": None,
        "logSequence": locker.last_log,
        "public_key": _KEY,
        "message": "",
        "version": locker.version,
        "version_cible": locker.version,
        "beta": 0,
        "battery": locker.battery_mv,
        "produit": {"id": 1, "nom": "TK 1.5.1", "version": locker.version, "versionBeta": locker.version + 1},
    }


def _belongings(locker: SimulatedLocker, accessories: list[CloudAccessory]) -> dict[str, Any]:
    """Write a locker's accessories, and its newest events, the newest first."""
    gateway = next((row for row in accessories if row.gateway), None)
    return {
        "accessoires": [{"id": row.number + 1000, "accessoire": _short(row), "info": None} for row in accessories],
        "logs": [_event(event, gateway) for event in reversed(locker.events[-_NEWEST_EVENTS:])],
    }


def _event(event: BoltEvent, gateway: CloudAccessory | None) -> dict[str, Any]:
    through = gateway if event.by == "gateway" else None
    at = _php_date(datetime.fromtimestamp(event.at, ZoneInfo(ZONE)))
    return {
        "id": event.number,
        "action_at": at,
        "created_at": at,
        "action": event.turn,
        "data": {"ts": int(event.at)},
        "status": 0,
        "share_id": None,
        "accessory_share_id": None,
        "utilisateur": through.name if through else "",
        "utilisateur_id": None,
        "accessoire_id": through.number if through else None,
    }


def accessory(row: CloudAccessory, now: datetime) -> dict[str, Any]:
    """Write one accessory; the moment it was last seen names no zone."""
    last_seen = now.replace(tzinfo=None) - row.silent_for
    heard = row.gateway is not None and row.gateway.port and row.reports
    return {
        **_short(row),
        "description": None,
        "created_at": _php_date(now),
        "updated_at": _php_date(now),
        "public_key": _KEY,
        "info": {"last_seen": last_seen.isoformat(), "ip": row.told_address} if heard else None,
        "cfg": None,
    }


def share(row: CloudShare) -> dict[str, Any]:
    """Write one share with an accessory."""
    return {
        "id": row.number,
        "iddesc": row.iddesc or None,
        "nom": row.name,
        "code": row.code,
        "actif": row.active,
        "description": row.description or None,
        "notification_enabled": row.notification_enabled,
        "horaires": [],
        "accessoire": _short(row.accessory),
        "date_debut": row.first_day and row.first_day.isoformat(),
        "date_fin": row.last_day and row.last_day.isoformat(),
        "heure_debut": row.first_hour and row.first_hour.isoformat("seconds"),
        "heure_fin": row.last_hour and row.last_hour.isoformat("seconds"),
    }


def person(row: CloudPersonShare) -> dict[str, Any]:
    """Write one share with a person: what is only asked for tells less of the person."""
    known: dict[str, Any] = {
        "id": row.number,
        "nom": row.name,
        "description": row.description or None,
        "notification_enabled": row.notification_enabled,
        "horaires": [],
        "date_debut": None,
        "date_fin": None,
        "heure_debut": None,
        "heure_fin": None,
        "role": {"id": 2, "description": "Invité"},
    }
    if not row.accepted:
        return known | {"actif": row.active, "code": "", "utilisateur": {"telephone": row.phone}}
    who = {"username": row.phone, "prenom": "Dominique", "nom": "Petit", "email": "", "telephone": row.phone}
    return known | {"actif": row.active, "utilisateur": who}


def expired(*, as_grant: bool) -> HttpResponse:
    """Refuse a token, in one of the two ways seen."""
    if as_grant:
        return HttpResponse.json(
            {"error": "invalid_grant", "error_description": "The access token provided has expired."}, 400
        )
    return HttpResponse.json({"code": 401, "message": "Expired JWT Token"}, 401)


def _short(row: CloudAccessory) -> dict[str, Any]:
    return {
        "id": row.number,
        "id_accessoire": row.identifier,
        "nom": row.name,
        "type": row.kind or GATEWAY,
        "version": row.gateway.version if row.gateway else 1,
        "type_version": _TYPE_VERSION,
        "configuration": [],
    }


def _php_date(moment: datetime) -> dict[str, Any]:
    return {"date": moment.strftime("%Y-%m-%d %H:%M:%S.%f"), "timezone_type": 3, "timezone": ZONE}
