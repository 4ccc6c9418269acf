"""The meaning of what a gateway reads of a locker, and an RSSI's drawing in a line of text.

The limits are rules of thumb, not the vendor's: of Bluetooth Low Energy, receivers lose packets from about -85 dBm on.
"""

from collections.abc import Sequence

WEAK = -85
"""Weaker than this, in dBm, commands are likely to fail."""
GOOD = -75
"""From here on, in dBm, there is room for a closed door and a bad day."""

FAINTEST, STRONGEST = -100, -40
"""The ends of a scale, in dBm."""

LOW_MV = 6800
"""Below this, in mV, a battery should be changed: about 22 % of the estimate."""

_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-:=+*#"
_LEAST_RANGE = 16


def is_low(millivolts: int | None) -> bool:
    """Tell whether a battery should be changed."""
    return millivolts is not None and millivolts < LOW_MV


def is_weak(rssi: int | None) -> bool:
    """Tell whether commands are likely to fail."""
    return rssi is not None and rssi < WEAK


def style(rssi: int) -> str:
    """Say in which colour a signal is shown."""
    if rssi >= GOOD:
        return "green"
    return "yellow" if rssi >= WEAK else "red"


def bar(rssi: int, width: int, *, ascii_only: bool = False) -> str:
    """Draw a signal as a bar: as long as the width for the strongest, and in steps of half a letter."""
    halves = round(2 * width * (min(max(rssi, FAINTEST), STRONGEST) - FAINTEST) / (STRONGEST - FAINTEST))
    whole, half = divmod(halves, 2)
    return "-" * whole if ascii_only else "━" * whole + "╸" * half


def sparkline(signals: Sequence[int], *, ascii_only: bool = False) -> str:
    """Draw signals as a line of blocks, one for each. Noise of a few dB stays low: the scale spans 16 dB at least."""
    if not signals:
        return ""
    levels = _ASCII_LEVELS if ascii_only else _LEVELS
    middle = (min(signals) + max(signals)) / 2
    span = max(_LEAST_RANGE, max(signals) - min(signals))
    steps = (round((signal - middle + span / 2) / span * (len(levels) - 1)) for signal in signals)
    return "".join(levels[step] for step in steps)
