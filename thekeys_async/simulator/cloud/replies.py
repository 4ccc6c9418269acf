"""How the simulated cloud writes its answers: French names, dates in two styles, and fields that nobody knows."""

from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, cast

from thekeys_async.simulator.cloud.tables import GATEWAY, CloudAccessory, CloudShare, CloudTables
from thekeys_async.simulator.http.messages import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

ZONE = "Europe/Paris"

_SOMETIMES = 0.3
_STRANGERS: tuple[tuple[str, Any], ...] = (
    ("beta", 0),
    ("couleur", None),
    ("horaires", []),
    ("produit", {"id": 1, "nom": "TK 1.5.1"}),
    ("latchDelay", 1000),
)


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


def account(tables: CloudTables, username: str, now: datetime) -> dict[str, Any]:
    """Write the account and its lockers."""
    return {
        "id": 1,
        "username": username,
        "firstname": "Camille",
        "created_at": _php_date(now),
        "serrures": [
            {
                "id": number,
                "id_serrure": str(identifier),
                "nom": tables.names.get(identifier, f"Porte {identifier}"),
                "battery": locker.battery_mv,
                "version": locker.version,
                "timezone": ZONE,
                "battery_date": _php_date(now),
                "accessoires": [
                    {"id": accessory.number + 1000, "accessoire": _short(accessory)}
                    for accessory in tables.accessories.values()
                    if identifier in accessory.lockers
                ],
            }
            for number, identifier, locker in tables.lockers()
        ],
    }


def accessory(row: CloudAccessory, now: datetime) -> dict[str, Any]:
    """Write one accessory; the moment it was last seen names no zone."""
    last_seen = now.replace(tzinfo=None) - row.silent_for
    heard = row.gateway is not None and row.gateway.port and row.reports
    return {
        **_short(row),
        "version": row.gateway.version if row.gateway else None,
        "updated_at": _php_date(now),
        "info": {"ip": row.address or row.gateway.address, "last_seen": last_seen.isoformat()}
        if row.gateway and heard
        else None,
    }


def share(row: CloudShare) -> dict[str, Any]:
    """Write one share."""
    return {
        "id": row.number,
        "nom": row.name,
        "code": row.code,
        "actif": row.active,
        "description": row.description or None,
        "accessoire": _short(row.accessory),
        "date_debut": row.first_day and row.first_day.isoformat(),
        "date_fin": row.last_day and row.last_day.isoformat(),
        "heure_debut": row.first_hour and row.first_hour.isoformat("seconds"),
        "heure_fin": row.last_hour and row.last_hour.isoformat("seconds"),
    }


def expired(*, as_grant: bool) -> Response:
    """Refuse a token, in one of the two ways seen."""
    if as_grant:
        return Response.json(
            {"error": "invalid_grant", "error_description": "The access token provided has expired."}, 400
        )
    return Response.json({"code": 401, "message": "Expired JWT Token"}, 401)


def _short(row: CloudAccessory) -> dict[str, Any]:
    return {"id": row.number, "id_accessoire": row.identifier, "nom": row.name, "type": row.kind or GATEWAY}


def _php_date(moment: datetime) -> dict[str, Any]:
    return {"date": moment.strftime("%Y-%m-%d %H:%M:%S.%f"), "timezone_type": 3, "timezone": ZONE}
