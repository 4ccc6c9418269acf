"""An RSSI's colour, and its drawing in a line of text."""

from collections.abc import Sequence

from thekeys_async.protocol.thresholds import strength

FAINTEST, STRONGEST = -100, -40
"""The ends of a scale, in dBm."""

_COLOURS = {"good": "green", "fair": "yellow", "weak": "red"}
_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-:=+*#"
_LEAST_RANGE = 16


def style(rssi: int) -> str:
    """Return the colour in which a signal is shown."""
    return _COLOURS[strength(rssi)]


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
