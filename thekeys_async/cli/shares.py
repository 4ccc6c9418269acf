"""`thekeys shares`: list, create, switch and revoke shares, and invite people."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from functools import partial

import attrs
import click
from rich.console import RenderableType

from thekeys_async.cli import output, targets
from thekeys_async.cli.account import ask_cloud, flags_checked, phone_number, the_one_meant
from thekeys_async.cli.errors import Effect
from thekeys_async.cli.settings import CommandSettings, as_number
from thekeys_async.cli.tables import Field, fitted
from thekeys_async.cloud import Cloud, Locker, Moment, PersonShare, Share
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable

AnyShare = Share | PersonShare

_WHICH_LOCKER = "Say which locker, by name or number. The account has:"
_THROUGH_WHAT = "Say through what, with --with. The locker has:"
_LATER = (
    "It takes effect once the gateway and the locker have been synchronised, which happens by itself "
    "or with 'thekeys synchronize' and 'thekeys synchronize_locker'."
)


@attrs.frozen
class WantedShare:
    """A share to be created.

    Attributes:
        locker: The locker to open, by its name or its number.
        name: The share's name.
        accessory: Through what, as the person calls it; None if there is only one.
        starts: From when.
        ends: Until when.
        pin: The PIN to type on a keypad; None lets the cloud choose.
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


def list_shares(settings: CommandSettings, *, locker: str | None, show_codes: bool) -> None:
    """List the shares of a locker, or of all.

    Raises:
        Failure: They could not be read.
    """
    number = None if locker is None else _number(settings, locker)
    found = ask_cloud(settings, Effect.SHARES_READ, partial(_list, locker, number))
    none = "There is no share. 'thekeys setup' makes those that this computer needs."
    value = [_as_json(*each, show_codes=show_codes) for each in found]
    output.show(settings, Effect.SHARES_READ, value, _table(found, show_codes=show_codes) if found else none)


def create(settings: CommandSettings, wanted: WantedShare) -> None:
    """Create a share.

    Raises:
        Failure: It could not be created, or nobody knows.
    """
    number = _number(settings, wanted.locker)
    made = ask_cloud(settings, Effect.SHARE, partial(_create, wanted, number))
    value = _as_json(*made, show_codes=wanted.show_codes)
    output.show(settings, Effect.SHARE, value, _table([made], show_codes=wanted.show_codes), _LATER)


def invite(settings: CommandSettings, *, locker: str, phone: str, name: str, description: str) -> None:
    """Share a locker with a person.

    Raises:
        Failure: It could not be shared, or nobody knows.
    """
    phone = phone_number(settings, phone, "Whom to share with")
    number = _number(settings, locker)

    async def ask(cloud: Cloud) -> tuple[Locker, PersonShare]:
        chosen = the_one_meant(await cloud.lockers(), locker, number, _WHICH_LOCKER)
        with flags_checked():
            return chosen, await cloud.share_with(phone, chosen, name=name, description=description)

    made = ask_cloud(settings, Effect.SHARE, ask)
    words = "It opens once the person has accepted it in the app."
    output.show(settings, Effect.SHARE, _as_json(*made, show_codes=False), _table([made], show_codes=False), words)


def switch(settings: CommandSettings, *, number: int, active: bool, person: bool) -> None:
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

    switched = ask_cloud(settings, Effect.SHARE, ask)
    words = f"Share {number} is switched {'on' if active else 'off'}. {_LATER}"
    output.show(settings, Effect.SHARE, _as_json(*switched, show_codes=False), words)


def revoke(settings: CommandSettings, number: int) -> None:
    """Delete a share.

    Raises:
        Failure: It could not be deleted, or nobody knows.
    """
    ask_cloud(settings, Effect.SHARE, lambda cloud: cloud.delete_share(number))
    output.show(settings, Effect.SHARE, {"revoked": number}, f"Share {number} is revoked. {_LATER}")


async def _list(wanted: str | None, number: int | None, cloud: Cloud) -> list[tuple[Locker, AnyShare]]:
    lockers = await cloud.lockers()
    chosen = lockers if wanted is None else [the_one_meant(lockers, wanted, number, _WHICH_LOCKER)]
    found: list[tuple[Locker, AnyShare]] = []
    for locker in chosen:
        found += [(locker, share) for share in await cloud.shares(locker)]
        found += [(locker, share) for share in await cloud.people(locker)]
    return found


async def _create(wanted: WantedShare, number: int | None, cloud: Cloud) -> tuple[Locker, Share]:
    locker = the_one_meant(await cloud.lockers(), wanted.locker, number, _WHICH_LOCKER)
    accessory = the_one_meant(locker.accessories, wanted.accessory, wanted.accessory, _THROUGH_WHAT)
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


def _number(settings: CommandSettings, locker: str) -> int | None:
    """Find a locker's number, if it is given, or stands in the configuration file."""
    number = as_number(locker)
    if number is not None:
        return number
    known = targets.locker_of_file(settings, locker)
    return None if known is None else known.identifier


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
