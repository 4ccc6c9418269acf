"""Hidden text: the one wrapper for passwords, tokens, share codes, hashes and URLs that hold a password.

A traceback may be rendered with the local variables of every frame, and a renderer may read attributes instead of
calling `repr`. So secrets are passed on wrapped, and no frame of this package binds a plain one while something can
still be raised.
"""

import base64
import hmac
from collections.abc import Callable

import attrs

from thekeys_async.protocol.text import mask

_SHORTEST = 8
_FEWEST_DIGITS = 12


class Secret:
    """Text that no repr, log line, rendered traceback or walk over attributes shows; it can't be pickled either.

    Equal texts of one kind are equal, so that a secret can be a part of a key.

    Args:
        text: The text.
    """

    __slots__ = ("_reveal",)

    _reveal: Callable[[], str]

    def __init__(self, text: str) -> None:
        # In a closure: whatever reads the attributes of an object (rich does) finds a function.
        self._reveal = lambda: text

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
        return self._reveal()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((type(self), self.reveal()))


class ShareCode(Secret):
    """The secret that opens a door.

    Args:
        code: ASCII text, not empty.

    Raises:
        TypeError: It is not text.
        ValueError: It is empty, or not ASCII.
    """

    __slots__ = ()

    def __init__(self, code: str) -> None:
        is_text = isinstance(code, str)
        if is_text and code and code.isascii():
            super().__init__(code)
            return
        del code
        if not is_text:
            raise TypeError("a share code is text")
        raise ValueError("a share code is ASCII text that is not empty")

    def sign(self, timestamp: int) -> str:
        """Make the ``hash`` field of a request: base64 of HMAC-SHA256 over the timestamp (the vendor's page).

        Args:
            timestamp: Whole seconds since 1970, also sent as ``ts``.

        Returns:
            The hash; it holds ``+``, ``/`` and ``=``, to be percent-encoded in a form.
        """
        digest = hmac.digest(self.reveal().encode("ascii"), str(timestamp).encode("ascii"), "sha256")
        return base64.b64encode(digest).decode("ascii")


def is_guessable(code: ShareCode) -> bool:
    """Tell whether a share code can be guessed from one caught request, by trying all codes that are as long.

    Six digits take seconds on an ordinary machine, eight letters or twelve digits more than a day.
    """
    text = code.reveal()
    return len(text) < _SHORTEST or (text.isdigit() and len(text) < _FEWEST_DIGITS)


@attrs.frozen
class Signed:
    """The secrets of a signed request, so that none is shown when the gateway echoes it."""

    code: ShareCode
    timestamp: int

    def mask(self, text: str) -> str:
        """Leave the hash and the share code out of a text, in every form and in pieces of 8 characters or more."""
        return mask(mask(text, self.code.sign(self.timestamp)), self.code.reveal())
