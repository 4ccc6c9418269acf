"""The page: every door, what is wrong first. Plain HTML that shows the state without any script. Pure."""

import enum
from html import escape
from typing import Final

import attrs

from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.lock_state import PublishedState
from thekeys_async.bridge.views import GatewayView, LockView
from thekeys_async.protocol.models import battery_percent
from thekeys_async.protocol.text import printable
from thekeys_async.protocol.thresholds import is_low, strength

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_WORDS: Final = {
    PublishedState.LOCKED: "locked",
    PublishedState.UNLOCKED: "unlocked",
    PublishedState.LOCKING: "locking",
    PublishedState.UNLOCKING: "unlocking",
    PublishedState.JAMMED: "jammed",
    PublishedState.UNKNOWN: "unknown",
}


class Severity(enum.IntEnum):
    """The severity of a problem; the worst comes first."""

    NONE = 0
    MINOR = 1
    MAJOR = 2


@attrs.frozen
class DoorRow:
    """One door, in words.

    Attributes:
        name: The name in the configuration.
        bolt: The bolt's state.
        severity: The severity of its worst problem.
        wrong: The problem; empty if there is none.
        battery: The battery's charge.
        signal: The signal at its gateway.
        age: When its bolt was last read.
        gateway: The gateway that drives it.
    """

    name: str
    bolt: str
    severity: Severity
    wrong: str
    battery: str
    signal: str
    age: str
    gateway: str


def rows(devices: Devices, now: float) -> list[DoorRow]:
    """Describe all doors, those with the worst problems first.

    Args:
        devices: The known state of the doors.
        now: The wall clock.
    """
    found = [_row(lock, devices.gateways[lock.locker.gateway], now) for lock in devices.locks.values()]
    return sorted(found, key=lambda row: (-row.severity, row.name.casefold()))


def _row(lock: LockView, gateway: GatewayView, now: float) -> DoorRow:
    severity, wrong = _severity(lock, gateway)
    reading = lock.reading
    percent = None if reading is None else battery_percent(reading.battery_mv)
    volts = "" if reading is None or reading.battery_mv is None else f" ({reading.battery_mv / 1000:.2f} V)"
    return DoorRow(
        name=lock.locker.name,
        bolt=_WORDS[lock.state.published],
        severity=severity,
        wrong=wrong,
        battery="-" if percent is None else f"{percent} %{volts}",
        signal=_signal(None if lock.lost else lock.rssi),
        age=_age(lock.read_at, now) if lock.locker.has_code else "no share code",
        gateway=lock.locker.gateway,
    )


def _severity(lock: LockView, gateway: GatewayView) -> tuple[Severity, str]:
    """Say the worst thing that is wrong with a door."""
    low = lock.reading is not None and is_low(lock.reading.battery_mv)
    findings = (
        (lock.state.published is PublishedState.JAMMED, Severity.MAJOR, "the bolt is jammed"),
        (lock.state.in_doubt, Severity.MAJOR, "a command may or may not have moved it"),
        (gateway.reachable is False, Severity.MAJOR, "its gateway does not answer"),
        (lock.lost, Severity.MAJOR, "lost: its gateway does not see it"),
        (lock.error is not None, Severity.MAJOR, f"its bolt can't be read: {lock.error}"),
        (low, Severity.MINOR, "its battery is low"),
        (gateway.reachable is None, Severity.MINOR, "nothing is known of its gateway yet"),
        (
            lock.locker.has_code and lock.state.published is PublishedState.UNKNOWN,
            Severity.MINOR,
            "its bolt is not known",
        ),
    )
    for is_so, severity, words in findings:
        if is_so:
            return severity, printable(words)
    return Severity.NONE, ""


def _signal(rssi: int | None) -> str:
    if rssi is None:
        return "-"
    return f"{rssi} dBm, {strength(rssi)}"


def _age(read_at: float | None, now: float) -> str:
    if read_at is None:
        return "not yet read"
    seconds = max(0.0, now - read_at)
    for unit, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {word} ago"
    return "just now"


def fragment(devices: Devices, problems: list[str], now: float) -> str:
    """Write what changes on the page."""
    found = rows(devices, now)
    wrong = sum(row.severity > Severity.NONE for row in found)
    summary = f"{len(found)} doors, {wrong} with something wrong" if wrong else f"{len(found)} doors, all well"
    notes = "".join(f'<p class="problem" role="status">The bridge: {escape(each)}.</p>' for each in problems)
    head = "".join(f'<th scope="col">{word}</th>' for word in ("Door", "Bolt", "Battery", "Signal", "Read", "Gateway"))
    body = "".join(_html(row) for row in found)
    return (
        f"{notes}<p>{summary}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{_gateways(devices)}"
    )


def _html(row: DoorRow) -> str:
    wrong = f'<span class="wrong">{escape(row.wrong)}</span>' if row.wrong else ""
    cells = (("Battery", row.battery), ("Signal", row.signal), ("Read", row.age), ("Gateway", row.gateway))
    return (
        f'<tr class="{row.severity.name.lower()}"><th scope="row">{escape(row.name)}{wrong}</th>'
        f'<td class="bolt {escape(row.bolt)}" data-name="Bolt">{escape(row.bolt)}</td>'
        + "".join(f'<td data-name="{name}">{escape(value)}</td>' for name, value in cells)
        + "</tr>"
    )


def _gateways(devices: Devices) -> str:
    items = "".join(_gateway(gateway) for gateway in devices.gateways.values())
    return f"<h2>Gateways</h2><ul>{items}</ul>"


def _gateway(gateway: GatewayView) -> str:
    words = {True: "answers", False: "does not answer", None: "not heard of yet"}[gateway.reachable]
    phase = f", {escape(gateway.phase)}" if gateway.phase else ""
    kind = "none" if gateway.reachable else "major"
    return f'<li class="{kind}"><strong>{escape(gateway.name)}</strong> {words}{phase}</li>'


def page(devices: Devices, problems: list[str], now: float) -> str:
    """Write the page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The Keys</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="page.css"><link rel="icon" href="data:,"><script src="page.js" defer></script>'
        '<noscript><meta http-equiv="refresh" content="30"></noscript></head>'
        '<body><header><h1>The Keys</h1><p id="live" hidden>live</p></header>'
        f'<main id="doors">{fragment(devices, problems, now)}</main>'
        "<footer>The state is the bolt's, not the leaf's: a door can stand open with its bolt out.</footer>"
        "</body></html>"
    )
