"""Passwords, tokens and codes on their way through this package.

A traceback may be rendered with the local variables of every frame: so no frame here binds a plain secret
while something can still be raised.
"""

from collections.abc import Iterable

_BLOT = "***"


class Secret:
    """Text that no repr, log line or rendered traceback shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def of(cls, text: object) -> "Secret | None":
        """Wrap text; None for what is not text, is empty, or can't be sent.

        None, and no exception: the caller drops its own reference before it complains.
        """
        if not isinstance(text, str) or not text:
            return None
        try:
            text.encode()
        except UnicodeEncodeError:
            return None
        return cls(text)

    def reveal(self) -> str:
        """Hand out the text, for the wire and for nothing else."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({_BLOT})"


def blot(text: str, secrets: Iterable[Secret]) -> str:
    """Replace every secret that a server repeats in its words."""
    for secret in secrets:
        text = text.replace(secret.reveal(), _BLOT)
    return text
