"""The form of a share, as the simulated cloud reads and refuses it."""

from datetime import date, time

import attrs

from thekeys_async.simulator.cloud.tables import KEYPAD, CloudShare

_PREFIX = "partage_accessoire"
_SHORTEST_PIN = 4


def fill(share: CloudShare, form: dict[str, str]) -> list[str]:
    """Put a form into a share: a field that is missing is emptied, but the code.

    Returns:
        The objections, in the cloud's language. With any, the share is left as it was.
    """
    objections: list[str] = []
    filled = attrs.evolve(
        share,
        name=form.get(f"{_PREFIX}[nom]", "").strip(),
        code=form.get(f"{_PREFIX}[code]", "") or share.code,
        active=form.get(f"{_PREFIX}[actif]") == "1",
        description=form.get(f"{_PREFIX}[description]", ""),
    )
    try:
        filled.first_day, filled.first_hour = _day(form, "date_debut"), _hour(form, "heure_debut")
        filled.last_day, filled.last_hour = _day(form, "date_fin"), _hour(form, "heure_fin")
    except ValueError:
        objections.append("Cette date n'est pas valide.")
    objections.extend(_objections(filled))
    if not objections:
        for field in attrs.fields(CloudShare):
            setattr(share, field.name, getattr(filled, field.name))
    return objections


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
    text = form.get(f"{_PREFIX}[{name}]", "")
    return date.fromisoformat(text) if text else None


def _hour(form: dict[str, str], name: str) -> time | None:
    hour, minute = form.get(f"{_PREFIX}[{name}][hour]", ""), form.get(f"{_PREFIX}[{name}][minute]", "")
    return time(int(hour), int(minute or 0)) if hour else None
