"""`thekeys setup`: from an account to names that every command takes."""

import re
import shlex
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
import tomlkit

from thekeys_async import AsyncGateway
from thekeys_async.cli import output
from thekeys_async.cli.account import ask_cloud, flags_checked
from thekeys_async.cli.errors import Effect, ExitCode, other_failure
from thekeys_async.cli.runner import chosen_coordinator, run
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.tables import Field, fitted
from thekeys_async.cli.targets import path_of, read, save_text
from thekeys_async.cloud import Cloud, Discovered, Gateway, Wired, discover, ensure_shares
from thekeys_async.config.values import Config
from thekeys_async.coordination import Coordinator
from thekeys_async.protocol.secrets import Secret
from thekeys_async.protocol.text import printable

_SILENT = "none of its gateways has reported to the cloud lately"
_ELSEWHERE = "the cloud puts its gateway outside of private networks; --allow-public takes it all the same"
_SWITCHED_OFF = "its share is switched off or has run out; switch it on in the vendor's app, or give --share-name"

_HEADER = "Written by 'thekeys'. It holds share codes: keep it readable for nobody but you."


@attrs.frozen
class LeftOut:
    """A locker that could not be set up.

    Attributes:
        name: The name that its owner gave it.
        identifier: Its number.
        reason: The reason why not.
    """

    name: str
    identifier: int
    reason: str


@attrs.frozen
class Named:
    """A locker and its gateway, with the names that the file has for them.

    Attributes:
        locker: The locker's name.
        gateway: The gateway's name.
        wired: The two, and their share.
    """

    locker: str
    gateway: str
    wired: Wired


def run_setup(settings: CommandSettings, *, share_name: str, synchronize: bool, allow_public: bool) -> None:
    """Find lockers, share them, write the file, and say what to do next.

    Raises:
        Failure: It could not be done; repeating it is safe.
    """
    path = path_of(settings)
    configuration, text = read(settings, path)
    question = partial(_share, configuration, share_name, allow_public=allow_public)
    wired, left_out = ask_cloud(settings, Effect.SHARE, question)
    if not wired:
        reasons = "; ".join(f"{each.name or each.identifier}: {each.reason}" for each in left_out)
        sentence = f"There is no locker to set up; {printable(reasons) or 'the account has none'}. Nothing was written."
        raise other_failure("NothingFound", sentence, ExitCode.UNREACHABLE, as_json=settings.json)
    entries = named(configuration, wired)
    save_text(settings, path, with_lockers(text, entries), after="The shares are there, but ")
    if synchronize:
        with output.waiting(settings, "synchronising gateways and lockers; this may take minutes ..."):
            coordinator = chosen_coordinator(settings)
            run(settings, Effect.GATEWAY, partial(_synchronize, coordinator, entries), coordinator)
    with output.said(Effect.SHARE, as_json=settings.json):
        _report(settings, path, entries, left_out, synchronized=synchronize)


async def _share(
    configuration: Config, share_name: str, cloud: Cloud, *, allow_public: bool
) -> tuple[list[Wired], list[LeftOut]]:
    found = [_through_one(each, configuration) for each in await discover(cloud, allow_public=allow_public)]
    with flags_checked():
        wired = await ensure_shares(cloud, found, share_name=share_name)
    now = datetime.now(UTC)
    usable = [each for each in wired if each.share.usable(now)]
    silent = [(each.locker, _ELSEWHERE if each.skipped else _SILENT) for each in found if not each.gateways]
    switched_off = [(each.locker, _SWITCHED_OFF) for each in wired if each not in usable]
    return usable, [LeftOut(locker.name, locker.identifier, reason) for locker, reason in silent + switched_off]


def _through_one(found: Discovered, configuration: Config) -> Discovered:
    """Choose one gateway for a locker: the one that the file has for it, else the one that reported last."""
    chosen = {
        configuration.gateways[locker.gateway].id
        for locker in configuration.lockers.values()
        if locker.identifier == found.locker.identifier
    }
    gateways = sorted(found.gateways, key=lambda gateway: gateway.identifier not in chosen)
    return attrs.evolve(found, gateways=tuple(gateways[:1]))


async def _synchronize(coordinator: Coordinator | None, entries: Sequence[Named]) -> None:
    """Let each gateway learn its shares, and then each locker."""
    gateways: dict[str, Gateway] = {each.gateway: each.wired.gateway for each in entries}
    for name, known in gateways.items():
        async with AsyncGateway(known.address or "", name=name, coordinator=coordinator) as gateway:
            await gateway.synchronize()
            for each in entries:
                if each.gateway == name:
                    await gateway.locker(each.wired.locker.identifier).synchronize()


def _report(
    settings: CommandSettings, path: Path, entries: Sequence[Named], left_out: Sequence[LeftOut], *, synchronized: bool
) -> None:
    if settings.json:
        output.print_json(_as_json(path, entries, left_out))
        return
    fields = (
        Field("Locker", whole=True),
        Field("Identifier", right=True, whole=True),
        Field("Gateway", whole=True),
        Field("Address", whole=True, leaves=1),
    )
    rows = [
        (each.locker, str(each.wired.locker.identifier), each.gateway, each.wired.gateway.address or "")
        for each in entries
    ]
    table = fitted(fields, rows, output.console())
    output.print_rich(table, f"Written to {printable(str(path))}; nobody but you can read it.")
    if not synchronized:
        output.print_rich(
            "A new share works once its gateway and locker have been synchronised. That happens by itself, with "
            "'thekeys setup --synchronize', or gateway by gateway:",
            *_synchronizations(settings.program, entries),
        )
    output.print_rich(f"Then: {printable(settings.program)} open {printable(shlex.quote(entries[0].locker))}")
    for other in left_out:
        click.echo(f"Left out: {printable(other.name)} ({other.identifier}): {other.reason}.", err=True)


def _synchronizations(program: str, entries: Sequence[Named]) -> list[str]:
    """Write for each gateway the line that synchronises it and its lockers."""
    lockers: dict[str, list[str]] = {}
    for each in entries:
        lockers.setdefault(each.gateway, []).append(each.locker)
    return [
        "  "
        + " && ".join(
            [
                f"{printable(program)} synchronize {printable(shlex.quote(gateway))}",
                *(f"{printable(program)} synchronize_locker {printable(shlex.quote(name))}" for name in names),
            ]
        )
        for gateway, names in lockers.items()
    ]


def _as_json(path: Path, entries: Sequence[Named], left_out: Sequence[LeftOut]) -> object:
    gateways = {each.gateway: each.wired.gateway for each in entries}
    return {
        "file": str(path),
        "gateways": [
            {"name": name, "host": gateway.address, "id": gateway.identifier} for name, gateway in gateways.items()
        ],
        "lockers": [
            {"name": each.locker, "identifier": each.wired.locker.identifier, "gateway": each.gateway}
            for each in entries
        ],
        "left_out": [attrs.asdict(each) for each in left_out],
    }


def named(configuration: Config, found: Iterable[Wired]) -> tuple[Named, ...]:
    """Name what was found: as the file names it already, else after what its owner calls it in the vendor's app."""
    gateways = {known.id or known.host: name for name, known in configuration.gateways.items()}
    lockers = {known.identifier: name for name, known in configuration.lockers.items()}
    result: list[Named] = []
    for each in found:
        locker, gateway = each.locker, each.gateway
        if gateway.identifier not in gateways:
            known = gateways.get(gateway.address or "")  # written by hand, without its identifier
            name = known or fresh_name(gateway.name, gateway.identifier, "gateway", gateways.values())
            gateways[gateway.identifier] = name
        if locker.identifier not in lockers:
            lockers[locker.identifier] = fresh_name(locker.name, str(locker.identifier), "locker", lockers.values())
        result.append(Named(lockers[locker.identifier], gateways[gateway.identifier], each))
    return tuple(result)


def with_lockers(text: Secret | None, entries: Iterable[Named]) -> Secret:
    """Put lockers and their gateways into the file's text: what stands there besides, comments too, stays as it is.

    Args:
        text: The present text; None for a new file.
        entries: The entries to put in.
    """
    document = _document(text)
    for each in entries:
        gateway, locker = each.wired.gateway, each.wired.locker
        _put(document, "gateways", each.gateway, {"host": gateway.address, "id": gateway.identifier})
        _put(
            document,
            "lockers",
            each.locker,
            {"identifier": locker.identifier, "gateway": each.gateway, "code": each.wired.share.code},
        )
    return Secret(tomlkit.dumps(document))


def with_gateways(text: Secret | None, gateways: Mapping[str, Mapping[str, str]], *, header: bool = True) -> Secret:
    """Put gateways into the file's text.

    Args:
        text: The present text; None for a new file.
        gateways: The contents of each gateway's table, by name.
        header: Whether a new file says what it is.
    """
    document = _document(text) if header or text is not None else tomlkit.document()
    for name, values in gateways.items():
        _put(document, "gateways", name, dict(values))
    return Secret(tomlkit.dumps(document))


def _document(text: Secret | None) -> tomlkit.TOMLDocument:
    if text is not None:
        return tomlkit.parse(text.reveal())
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADER))
    document.add(tomlkit.nl())
    return document


def _put(document: tomlkit.TOMLDocument, group: str, name: str, values: dict[str, Any]) -> None:
    if group not in document:
        document.add(group, tomlkit.table(is_super_table=True))
    tables: Any = document[group]
    if name not in tables:
        tables[name] = tomlkit.table()
    tables[name].update(values)


def fresh_name(name: str, identifier: str, kind: str, taken: Collection[str]) -> str:
    """Make a name that can be typed, and that is not taken."""
    plain = _typeable(name) or f"{kind}-{_typeable(identifier)}"
    return plain if plain not in taken else f"{plain}-{_typeable(identifier)}"


def _typeable(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")
