"""How numbers are written on the page and in the chart."""

import math


def significant(value: float, digits: int = 2) -> str:
    """Write a figure with so many significant digits, and none of them after an e."""
    if not value:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{places}f}" if places else grouped(int(rounded))


def grouped(number: int) -> str:
    """Write a whole number in groups of three, from 10 000 on."""
    return f"{number:,}".replace(",", " ") if number >= 10_000 else str(number)
