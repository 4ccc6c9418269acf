"""Share codes, and what is signed with them."""

import base64
import hmac
from typing import Any

import attrs

from thekeys_async.protocol.text import mask


def _check(_instance: object, _attribute: object, code: Any) -> None:
    if not isinstance(code, str):
        raise TypeError("a share code is text")
    if not code or not code.isascii():
        raise ValueError("a share code is ASCII text that is not empty")


@attrs.frozen
class ShareCode:
    """The secret that opens a door, wrapped so that no repr or rendered traceback shows it."""

    secret: str = attrs.field(validator=_check, repr=False)

    def sign(self, timestamp: int) -> str:
        """Make the ``hash`` field of a request: base64 of HMAC-SHA256 over the timestamp (the vendor's page).

        Args:
            timestamp: Whole seconds since 1970, also sent as ``ts``.

        Returns:
            The hash; it holds ``+``, ``/`` and ``=``, to be percent-encoded in a form.
        """
        digest = hmac.digest(self.secret.encode("ascii"), str(timestamp).encode("ascii"), "sha256")
        return base64.b64encode(digest).decode("ascii")


@attrs.frozen
class Signed:
    """What a signed request held, so that nothing of it is shown when the gateway echoes it."""

    code: ShareCode
    timestamp: int

    def mask(self, text: str) -> str:
        """Leave the hash and the share code out of a text, in every form and in pieces of 8 characters or more."""
        return mask(mask(text, self.code.sign(self.timestamp)), self.code.secret)
