"""`thekeys shares`: list, create and revoke."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, time
from functools import partial
from typing import TypeVar

import attrs
import click
from rich.console import RenderableType

from thekeys_async.cli import output, targets
from thekeys_async.cli.account import Login, flags_checked
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.names import nearest_first
from thekeys_async.cli.options import Settings
from thekeys_async.cli.runner import run
from thekeys_async.cli.tables import Field, fitted
from thekeys_async.cloud import Accessory, Cloud, Locker, Moment, PersonShare, Share
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable

_T = TypeVar("_T")

AnyShare = Share | PersonShare

_LATER = (
    "It takes effect once the gateway and the locker have been synchronised, which happens by itself "
    "or with 'thekeys synchronize' and 'thekeys synchronize_locker'."
)


@attrs.frozen
class WantedShare:
    """A share to be created.

    Attributes:
        locker: What is to be opened, as the person calls it.
        name: What the share is called.
        accessory: Through what, as the person calls it; None if there is only one.
        starts: From when.
        ends: Until when.
        pin: What is typed on a keypad; None lets the cloud choose.
        description: Free text.
        show_codes: Whether to show the code.
    """

    locker: str
    name: str
    accessory: str | None
    starts: Moment | None
    ends: Moment | None
    pin: Secret | None
    description: str
    show_codes: bool


def show(settings: Settings, login: Login, *, locker: str | None, show_codes: bool) -> None:
    """List the shares of a locker, or of all.

    Raises:
        Failure: They could not be read.
    """
    number = _number(settings, locker)
    found = _ask(settings, login, Effect.SHARES_READ, partial(_list, locker, number))
    with output.said(Effect.SHARES_READ, as_json=settings.json):
        if settings.json:
            output.print_json([_as_json(*each, show_codes=show_codes) for each in found])
        elif found:
            output.print_rich(_table(found, show_codes=show_codes))
        else:
            output.print_rich("There is no share. 'thekeys setup' makes those that this computer needs.")


def create(settings: Settings, login: Login, wanted: WantedShare) -> None:
    """Create a share.

    Raises:
        Failure: It could not be created, or nobody knows.
    """
    number = _number(settings, wanted.locker)
    locker, share = _ask(settings, login, Effect.SHARE, partial(_create, wanted, number))
    with output.said(Effect.SHARE, as_json=settings.json):
        if settings.json:
            output.print_json(_as_json(locker, share, show_codes=wanted.show_codes))
        else:
            output.print_rich(_table([(locker, share)], show_codes=wanted.show_codes), _LATER)


def invite(settings: Settings, login: Login, *, locker: str, phone: str, name: str, description: str) -> None:
    """Share a locker with a person.

    Raises:
        Failure: It could not be shared, or nobody knows.
    """
    number = _number(settings, locker)

    async def ask(cloud: Cloud) -> tuple[Locker, PersonShare]:
        chosen = _chosen(await cloud.lockers(), locker, number)
        with flags_checked():
            return chosen, await cloud.share_with(phone, chosen, name=name, description=description)

    made = _ask(settings, login, Effect.SHARE, ask)
    with output.said(Effect.SHARE, as_json=settings.json):
        if settings.json:
            output.print_json(_as_json(*made, show_codes=False))
        else:
            output.print_rich(_table([made], show_codes=False), "It opens once the person has accepted it in the app.")


def switch(settings: Settings, login: Login, *, number: int, active: bool, person: bool) -> None:
    """Switch a share on or off.

    Raises:
        Failure: It could not be switched, or nobody knows.
    """

    async def ask(cloud: Cloud) -> tuple[Locker, AnyShare]:
        found = [
            (locker, share)
            for locker, share in await _list(None, None, cloud)
            if share.id == number and (isinstance(share, PersonShare) or not person)
        ]
        if len(found) != 1:
            problem = "Several shares have that number; --person is the one with a person" if found else "No such share"
            raise click.UsageError(f"{problem}. 'thekeys shares list' has the numbers.")
        ((locker, share),) = found
        return locker, await cloud.switch_share(share, active=active)

    switched = _ask(settings, login, Effect.SHARE, ask)
    with output.said(Effect.SHARE, as_json=settings.json):
        if settings.json:
            output.print_json(_as_json(*switched, show_codes=False))
        else:
            output.print_rich(f"Share {number} is switched {'on' if active else 'off'}. {_LATER}")


def revoke(settings: Settings, login: Login, number: int) -> None:
    """Delete a share.

    Raises:
        Failure: It could not be deleted, or nobody knows.
    """
    _ask(settings, login, Effect.SHARE, lambda cloud: cloud.delete_share(number))
    with output.said(Effect.SHARE, as_json=settings.json):
        if settings.json:
            output.print_json({"revoked": number})
        else:
            output.print_rich(f"Share {number} is revoked. {_LATER}")


def _ask(settings: Settings, login: Login, effect: Effect, question: Callable[[Cloud], Awaitable[_T]]) -> _T:
    async def ask() -> _T:
        async with login.cloud(settings) as cloud:
            return await question(cloud)

    with _waiting(settings):
        return run(settings, effect, ask)


def _waiting(settings: Settings) -> AbstractContextManager[object]:
    return output.waiting("asking the vendor's cloud ...", shown=not (settings.json or settings.debug))


async def _list(wanted: str | None, number: int | None, cloud: Cloud) -> list[tuple[Locker, AnyShare]]:
    lockers = await cloud.lockers()
    chosen = lockers if wanted is None else [_chosen(lockers, wanted, number)]
    found: list[tuple[Locker, AnyShare]] = []
    for locker in chosen:
        found += [(locker, share) for share in await cloud.shares(locker)]
        found += [(locker, share) for share in await cloud.people(locker)]
    return found


async def _create(wanted: WantedShare, number: int | None, cloud: Cloud) -> tuple[Locker, Share]:
    locker = _chosen(await cloud.lockers(), wanted.locker, number)
    accessory = _accessory(locker, wanted.accessory)
    if accessory.is_keypad and wanted.pin is None:
        raise click.UsageError("A keypad wants digits: give them with --pin, or in THEKEYS_PIN. Nothing was created.")
    with flags_checked():
        share = await cloud.create_share(
            locker,
            accessory,
            name=wanted.name,
            starts=_in_zone(wanted.starts, locker),
            ends=_in_zone(wanted.ends, locker),
            description=wanted.description,
            share_code=None if wanted.pin is None else wanted.pin.reveal(),
        )
    return locker, share


def _number(settings: Settings, locker: str | None) -> int | None:
    """Find a locker's number, if it is given, or stands in the configuration file."""
    if locker is None or locker.isdecimal():
        return None if locker is None else int(locker)
    return targets.locker_number(settings, locker)


def _chosen(lockers: Sequence[Locker], wanted: str, number: int | None) -> Locker:
    found = [locker for locker in lockers if locker.identifier == number]
    found = found or [locker for locker in lockers if locker.name.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0]
    nearest = nearest_first([locker.name for locker in lockers], wanted)
    lockers = sorted(lockers, key=lambda locker: nearest.index(locker.name))
    there = _listed(f"{locker.identifier} ({locker.name})" for locker in lockers)
    raise click.UsageError(f"Say which locker, by name or number. The account has: {there}.")


def _accessory(locker: Locker, wanted: str | None) -> Accessory:
    found = [each for each in locker.accessories if wanted in {None, each.identifier}]
    found = found or [each for each in locker.accessories if each.name.casefold() == (wanted or "").casefold()]
    if len(found) == 1:
        return found[0]
    there = _listed(f"{each.identifier} ({each.name})" for each in locker.accessories)
    raise click.UsageError(f"Say through what, with --with. The locker has: {there}.")


def _listed(names_there: Iterable[str]) -> str:
    return printable(", ".join(names_there)) or "none"


def _in_zone(moment: Moment | None, locker: Locker) -> Moment | None:
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return moment.replace(tzinfo=locker.timezone)
    return moment


def _as_json(locker: Locker, share: AnyShare, *, show_codes: bool) -> dict[str, object]:
    if isinstance(share, PersonShare):
        whom: dict[str, object] = {
            "with": None,
            "phone": share.phone,
            "person": share.person,
            "accepted": share.accepted,
        }
        code: dict[str, object] = {}
    else:
        whom = {"with": share.accessory and share.accessory.identifier}
        code = {"code": share.code} if show_codes else {}
    return {
        "id": share.id,
        "identifier": locker.identifier,
        "locker": locker.name,
        **whom,
        "name": share.name,
        "description": share.description,
        "starts": share.starts and share.starts.isoformat(),
        "ends": share.ends and share.ends.isoformat(),
        "active": share.active,
        "usable": share.usable(datetime.now(UTC)),
        **code,
    }


def _table(found: Sequence[tuple[Locker, AnyShare]], *, show_codes: bool) -> RenderableType:
    fields = (
        Field("Number", right=True, whole=True),
        Field("Locker"),
        Field("Through"),
        Field("Name"),
        Field("From"),
        Field("Until"),
        Field("State"),
        *([Field("Code", whole=True)] if show_codes else []),
    )
    rows = [
        [printable(cell) for cell in (*_cells(locker, share), *([_code(share)] if show_codes else []))]
        for locker, share in found
    ]
    return fitted(fields, rows, output.console())


def _code(share: AnyShare) -> str:
    return "-" if isinstance(share, PersonShare) else share.code or "-"


def _through(share: AnyShare) -> str:
    if isinstance(share, PersonShare):
        return f"{share.person} {share.phone}".strip()
    return share.accessory.name or share.accessory.identifier if share.accessory else "-"


def _cells(locker: Locker, share: AnyShare) -> tuple[str, ...]:
    return (
        str(share.id),
        locker.name or str(locker.identifier),
        _through(share),
        share.name,
        _when(share.starts),
        _when(share.ends),
        _state(share),
    )


def _when(moment: Moment | None) -> str:
    if isinstance(moment, datetime):
        return f"{moment:%Y-%m-%d %H:%M}"
    if isinstance(moment, time):
        return f"{moment:%H:%M}"
    return "-" if moment is None else moment.isoformat()


def _state(share: AnyShare) -> str:
    if isinstance(share, PersonShare) and share.active and not share.accepted:
        return "asked for"
    if share.usable(datetime.now(UTC)):
        return "on"
    return "has run out" if share.active else "switched off"
