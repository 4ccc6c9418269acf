"""The web server's address, and the token for it."""

import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

import attrs

from thekeys_async.protocol.secrets import Secret

_BEARER: Final = "bearer "


@attrs.frozen
class WebAddress:
    """The address that the web server listens on.

    Attributes:
        host: The address.
        port: The port; 0 takes a free one.
        token: The token that every request has to show; None for none.
    """

    host: str
    port: int
    token: Secret | None = None

    @classmethod
    def parse(cls, text: str) -> "WebAddress":
        """Parse ``HOST:PORT``.

        Raises:
            ValueError: It is none.
        """
        parts = urlsplit(f"//{text}")
        if not parts.hostname or parts.port is None:
            raise ValueError("http is an address and a port, such as 127.0.0.1:9473")
        return cls(parts.hostname, parts.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def admits(self, shown: str | None) -> bool:
        """Tell whether a token is the right one; compared in constant time."""
        if self.token is None:
            return True
        return shown is not None and hmac.compare_digest(shown.encode(), self.token.reveal().encode())


def token_of(authorization: str | None) -> str | None:
    """Take the token out of an Authorization header."""
    if authorization is None or not authorization.lower().startswith(_BEARER):
        return None
    return authorization[len(_BEARER) :].strip()
