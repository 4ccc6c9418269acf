"""The replies of a gateway, written as the vendor's page shows them, or as they were seen in the field."""

from collections.abc import Mapping
from enum import Enum

from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.simulator.http.messages import HttpResponse
from thekeys_async.simulator.locker import Bolt, SimulatedLocker
from thekeys_async.simulator.state import BUSY, DONE, MISSING_PARAMETER, GatewayState

_HTTP_OK = 200


class ReplyStyle(Enum):
    """The way of writing replies.

    Attributes:
        FIELD: `{"status": "ok", "code": 0}`, `{"status": "ko", "code": 33, "cause": "..."}`, numbers as numbers, busy
            with HTTP status 200. Seen in the field.
        TERSE: The same, but an empty body when a locker was synchronised or updated. Seen in the field.
        PAGE: `{"status": "0", "code": "ok"}`, `{"status": "500", "message": "busy"}`, numbers as text. The vendor's
            page.
        BUSY_500: As in the field, but busy with HTTP status 500.
    """

    FIELD = "field"
    TERSE = "terse"
    PAGE = "page"
    BUSY_500 = "busy-500"


_SIGNED_WORDS: Mapping[int, str] = {
    32: "locker not shared",
    33: "invalid hmac",
    34: "locker not detected",
    35: "locker not compatible",
    36: "invalid key",
    37: "error",
    38: "clock not set",
}
_LOCKER_WORDS: Mapping[int, str] = {
    1: "locker not found",
    2: "locker not compatible",
    3: "invalid data",
    4: "error during synchronisation",
    5: "connection error",
}
_UPDATE_WORDS: Mapping[int, str] = {1: "invalid firmware", 2: "generic error"}

BOLT_WORDS: Mapping[Bolt, tuple[int, str]] = {
    Bolt.UNKNOWN: (0x30, "Door unknown"),
    Bolt.CLOSED: (0x31, "Door closed"),
    Bolt.OPEN: (0x32, "Door open"),
    Bolt.JAMMED: (0x33, "Door jammed"),
}


def done(style: ReplyStyle, endpoint: Endpoint, state: GatewayState, locker: SimulatedLocker | None) -> HttpResponse:
    """Answer a request that went well."""
    if endpoint.name == "lockers":
        return HttpResponse.json(_lockers(state))
    if endpoint.name in {"status", "root_status"}:
        version = str(state.version) if style is ReplyStyle.PAGE else state.version
        return HttpResponse.json({"version": version, "current_status": state.phase})
    if endpoint.name == "locker_status" and locker is not None:
        return HttpResponse.json(_locker_status(style, locker))
    if endpoint.may_be_empty and style is ReplyStyle.TERSE:
        return HttpResponse()
    if style is ReplyStyle.PAGE and endpoint.name != "synchronize":
        return HttpResponse.json({"status": "0", "code": "ok"})
    return HttpResponse.json({"status": "ok", "code": DONE})


def refused(style: ReplyStyle, endpoint: Endpoint, code: int, detail: str | None = None) -> HttpResponse:
    """Answer a request that is refused or went wrong.

    Args:
        style: The way of writing.
        endpoint: The request, as one number means different things.
        code: The number.
        detail: The words, where the number's own do not say enough.
    """
    words = detail or _words(endpoint, code)
    if style is not ReplyStyle.PAGE:
        error = code == MISSING_PARAMETER or (code == BUSY and style is ReplyStyle.BUSY_500)
        return HttpResponse.json({"status": "ko", "code": code, "cause": words}, code if error else _HTTP_OK)
    if code == BUSY:
        return HttpResponse.json({"status": "500", "message": words})
    if endpoint.name == "update":
        return HttpResponse.json({"status": str(code), "message": words})
    status = MISSING_PARAMETER if code == MISSING_PARAMETER else _HTTP_OK
    return HttpResponse.json({"status": str(code), "code": words}, status)


def _words(endpoint: Endpoint, code: int) -> str:
    if code == BUSY:
        return "busy"
    if code == MISSING_PARAMETER:
        return "missing parameter"
    words = _SIGNED_WORDS if endpoint.signed else _UPDATE_WORDS if endpoint.name == "update" else _LOCKER_WORDS
    return words.get(code, "error")


def _lockers(state: GatewayState) -> dict[str, object]:
    rows: list[dict[str, int]] = []
    for locker in state.lockers.values():
        if locker.in_range:
            row = {"identifier": locker.identifier, "rssi": locker.rssi, "battery": locker.battery_mv}
            rows.append(row | {"last_log": locker.last_log} if state.tells_last_log else row)
    return {"status": "ok", "devices": rows}


def _locker_status(style: ReplyStyle, locker: SimulatedLocker) -> dict[str, object]:
    code, words = BOLT_WORDS[locker.state]
    if style is ReplyStyle.PAGE:
        return {"status": words if locker.state is Bolt.JAMMED else hex(code), "code": "ok"}
    return {
        "status": words,
        "code": code,
        "id": locker.identifier,
        "version": locker.version,
        "position": locker.position,
        "rssi": locker.rssi,
        "battery": locker.battery_mv,
    }
