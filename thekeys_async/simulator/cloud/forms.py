"""The form of a share, as the simulated cloud reads and refuses it."""

from datetime import date, time

import attrs

from thekeys_async.simulator.cloud.tables import KEYPAD, CloudPersonShare, CloudShare

_ACCESSORY = "partage_accessoire"
_PERSON = "partage"
_SHORTEST_PIN = 4


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
