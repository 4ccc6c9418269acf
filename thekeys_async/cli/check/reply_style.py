"""A gateway's way of writing: its style, its odd fields and its HTTP, read from the bytes of its replies."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import attrs

from thekeys_async.cli.check.observations import ObservedExchange
from thekeys_async.protocol.reading import ReplyReader
from thekeys_async.protocol.replies import Head, HttpError, IncompleteError
from thekeys_async.protocol.text import fit_to_show

_COMMON = frozenset({"status", "code", "message", "cause"})
_KNOWN: Mapping[str, frozenset[str]] = {
    "lockers": _COMMON | {"devices"},
    "status": _COMMON | {"version", "current_status"},
    "root_status": _COMMON | {"version", "current_status"},
    "locker_status": _COMMON | {"id", "identifier", "version", "position", "rssi", "battery"},
}
_OF_A_DEVICE = frozenset({"identifier", "rssi", "battery", "last_log"})
_NUMBERS = ("version", "position", "rssi", "battery", "identifier", "last_log")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_CONTENT_TYPE = re.compile(rb"[A-Za-z.+-]{1,40}/[A-Za-z0-9.+-]{1,60}")
_LONGEST_NAME = 40


@attrs.frozen
class Style:
    """The style of a gateway's replies.

    Attributes:
        name: ``"page"``, as on the vendor's page; ``"field"``, as seen in the field; None if nothing tells.
        odd: The fields that no gateway has been seen to write so far, in words.
    """

    name: str | None
    odd: tuple[str, ...] = ()


@attrs.frozen
class Page:
    """An answer that is not a gateway's.

    Attributes:
        status: Its HTTP status; 0 if it was no HTTP.
        kind: Its content type.
        server: The name in its Server header.
        title: The title of an HTML page.
        location: The address that it redirects to.
        coding: How its body is compressed; empty if it is not.
    """

    status: int = 0
    kind: str = ""
    server: str = ""
    title: str = ""
    location: str = ""
    coding: str = ""


def head_of(exchange: ObservedExchange) -> Head | None:
    """Read the head of a reply; None if it is no complete HTTP."""
    return _read(exchange)[0]


def body_of(exchange: ObservedExchange) -> bytes:
    """Read the body of a reply; empty if it is no complete HTTP."""
    return _read(exchange)[1]


def _read(exchange: ObservedExchange) -> tuple[Head | None, bytes]:
    reader = ReplyReader()
    try:
        reply = reader.feed(exchange.reply) or reader.feed(b"")
    except (HttpError, IncompleteError):
        reply = None
    return (reader.head, reply.body) if reply else (None, b"")


def header(head: Head, name: bytes) -> str:
    """Get a header of a reply, fit to be shown; empty if it has none of that name."""
    value = next((value for key, value in head.headers if key.lower() == name), b"")
    return fit_to_show(value.decode("latin-1"))


def _content_type(head: Head) -> str:
    """Get a reply's content type; it looks too much like a hash for `header`."""
    value = next((value for key, value in head.headers if key.lower() == b"content-type"), b"")
    found = _CONTENT_TYPE.match(value)
    return found[0].decode() if found else ""


def page(exchange: ObservedExchange) -> Page:
    """Describe an answer that is not a gateway's."""
    head = head_of(exchange)
    if head is None:
        return Page()
    title = _TITLE.search(body_of(exchange))
    return Page(
        status=head.status,
        kind=_content_type(head),
        server=header(head, b"server"),
        title=fit_to_show(title[1].decode("utf-8", "replace")) if title else "",
        location=header(head, b"location"),
        coding=header(head, b"content-encoding"),
    )


def style(exchanges: Iterable[ObservedExchange]) -> Style:
    """Tell how a gateway writes its replies.

    Reads alone can't tell the terse style, which answers a locker's synchronisation with an empty body, from the
    field's.
    """
    names: list[str] = []
    odd: dict[str, None] = {}
    for exchange in exchanges:
        fields = _object(exchange)
        if fields is None:
            continue
        names.append("page" if _is_page(exchange.action, fields) else "field" if _is_field(exchange, fields) else "")
        odd.update(dict.fromkeys(_odd(exchange.action, fields)))
    found = next((name for name in ("page", "field") if name in names), None)
    return Style(found, tuple(odd))


def _object(exchange: ObservedExchange) -> Mapping[str, Any] | None:
    try:
        value = json.loads(body_of(exchange).decode("utf-8", "replace").strip("\ufeff \t\r\n\0"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _is_page(action: str, fields: Mapping[str, Any]) -> bool:
    if action in {"status", "root_status"}:
        return isinstance(fields.get("version"), str)
    status = fields.get("status")
    return isinstance(status, str) and (status.isdecimal() or status.lower().startswith("0x"))


def _is_field(exchange: ObservedExchange, fields: Mapping[str, Any]) -> bool:
    if exchange.action in {"status", "root_status"}:
        return isinstance(fields.get("version"), int)
    return isinstance(fields.get("code"), int)


def _odd(action: str, fields: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"unknown field {_shown(name)}" for name in fields.keys() - _KNOWN.get(action, fields.keys()))
    if action == "locker_status":
        yield from _odd_numbers(fields)
    devices = fields.get("devices")
    for device in cast("list[object]", devices) if isinstance(devices, list) else []:
        if not isinstance(device, dict):
            yield "a device that is no object"
            continue
        told = cast("dict[str, Any]", device)
        yield from (f"unknown field {_shown(name)} of a device" for name in told.keys() - _OF_A_DEVICE)
        yield from _odd_numbers(told)


def _odd_numbers(fields: Mapping[str, Any]) -> Iterator[str]:
    for name in _NUMBERS:
        if name in fields and (isinstance(fields[name], bool) or not isinstance(fields[name], int)):
            yield f"{name} is {_type(fields[name])}"


def _type(value: object) -> str:
    kinds: dict[type, str] = {str: "text", bool: "true or false", float: "a fraction", type(None): "null"}
    return kinds.get(type(value), "a list or an object")


def _shown(name: str) -> str:
    return fit_to_show(name)[:_LONGEST_NAME]
