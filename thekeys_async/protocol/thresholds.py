"""The thresholds of a weak signal and of a low battery.

They are rules of thumb, not the vendor's: of Bluetooth Low Energy, receivers lose packets from about -85 dBm on.
"""

WEAK = -85
"""Weaker than this, in dBm, commands are likely to fail."""
GOOD = -75
"""From here on, in dBm, there is room for a closed door and a bad day."""
LOW_MV = 6800
"""Below this, in mV, a battery should be changed: about 22 % of the estimate."""


def is_low(millivolts: int | None) -> bool:
    """Tell whether a battery should be changed."""
    return millivolts is not None and millivolts < LOW_MV


def is_weak(rssi: int | None) -> bool:
    """Tell whether commands are likely to fail."""
    return rssi is not None and rssi < WEAK


def strength(rssi: int) -> str:
    """Return the word for a signal: good, fair or weak."""
    if is_weak(rssi):
        return "weak"
    return "good" if rssi >= GOOD else "fair"
