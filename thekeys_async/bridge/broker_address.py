"""The broker's address, and the account to use there."""

import ipaddress
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from thekeys_async.protocol.secrets import Secret

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@attrs.frozen
class BrokerAddress:
    """A broker's address; made by `parse`.

    Attributes:
        host: Its name or address.
        port: Its port.
        tls: Whether the connection is encrypted, and the broker has to show a certificate.
        username: The user name.
        password: Our password.
        ca_file: Certificates (PEM) that the broker's is checked against, in the place of the system's.
    """

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None

    @classmethod
    def parse(cls, url: str) -> "BrokerAddress":
        """Parse ``mqtt://HOST[:1883]`` or ``mqtts://HOST[:8883]``, with ``USER:PASSWORD@`` or without.

        Raises:
            ValueError: It is no such URL; the text is not repeated, as it may hold a password.
        """
        address = _address(url)
        if address is None:
            raise ValueError("a broker is mqtt://HOST or mqtts://HOST, with :PORT where it is not the usual one")
        parts, host, port = address
        username = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else Secret(unquote(parts.password))
        return cls(host, port, parts.scheme == "mqtts", username, password)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_exposed(self) -> bool:
        """Whether others on the way can read and change what is said: no TLS, and not this machine alone."""
        if self.tls or self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True

    def context(self) -> ssl.SSLContext:
        """Make the TLS context that checks the broker's certificate and name.

        Raises:
            OSError: The file of certificates can't be read.
        """
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        context.sslsocket_class = _ClosingSocket
        return context


def _address(url: str) -> tuple[SplitResult, str, int] | None:
    try:
        parts = urlsplit(url)
        host, port, usual = parts.hostname, parts.port, _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not host or usual is None or port == 0 or parts.path not in {"", "/"} or parts.query or parts.fragment:
        return None
    return parts, host, port or usual


class _ClosingSocket(ssl.SSLSocket):
    """A TLS socket that closes itself if the handshake fails: paho has no reference to it by then."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's signature
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise
