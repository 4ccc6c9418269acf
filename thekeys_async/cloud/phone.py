"""Phone numbers, the cloud's user names."""

import re

_SEPARATORS = re.compile(r"[\s.\-/()]")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_FRENCH = re.compile(r"(?:0|0033|\+33)([1-9][0-9]{8})")


def international(number: str, country: str | None = None) -> str:
    """Write a phone number as the cloud wants it: ``+33612345678``.

    Args:
        number: Spaces, dots, dashes and brackets are allowed.
        country: ``"FR"`` lets national numbers through: ``06 12 34 56 78``.

    Raises:
        ValueError: It is not international, and no country says what it is.
    """
    if country not in {None, "FR"}:
        raise ValueError('country is None or "FR"')
    plain = _SEPARATORS.sub("", number)
    if country == "FR" and (french := _FRENCH.fullmatch(plain)):
        return f"+33{french[1]}"
    if not _INTERNATIONAL.fullmatch(plain):
        raise ValueError(
            'the user name is a phone number, written internationally: +33612345678 (or 0612345678 with country="FR")'
        )
    return plain
