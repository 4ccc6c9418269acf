"""Names for what `thekeys setup` and `thekeys discover` have found, put into the file as it is."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
import tomlkit

from thekeys_async.cloud.discovery import Wired
from thekeys_async.config.values import Config
from thekeys_async.protocol.secrets import Secret

_HEADER = "Written by 'thekeys'. It holds share codes: keep it readable for nobody but you."


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


def written(text: Secret | None, entries: Iterable[Named]) -> Secret:
    """Put entries into the file's text: what stands there besides, comments too, stays as it is.

    Args:
        text: What is there now; None for a new file.
        entries: What to put in.
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
        text: What is there now; None for a new file.
        gateways: What stands in the table of each, by name.
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
