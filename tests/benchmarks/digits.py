"""How numbers are written on the page and in the chart."""

import math


def two_digits(value: float) -> str:
    """Write a figure with two significant digits."""
    if not value:
        return "0"
    rounded = float(f"{value:.1e}")
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(abs(rounded))))}f}"


def grouped(number: int) -> str:
    """Write a whole number in groups of three, from 10 000 on."""
    return f"{number:,}".replace(",", " ") if number >= 10_000 else str(number)
