"""Where a gateway is, in one form for all the ways of writing it."""

import ipaddress
import re
from urllib.parse import urlsplit

import attrs

_NAME = re.compile(
    r"(?!(.*\.)?[0-9]+\.?$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.ASCII
)
_HTTP_PORT = 80


@attrs.frozen
class Address:
    """A gateway's host and port.

    Attributes:
        host: A lower-case name, or an IP address in its shortest form.
        port: The TCP port, 80 unless told otherwise.
    """

    host: str
    port: int = _HTTP_PORT

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``host``, ``host:port``, ``http://host:port/`` or an IPv6 address, with or without brackets.

        Raises:
            ValueError: It is none of these, or says more than an address (a path, a password, https).
        """
        if not isinstance(text, str):
            raise TypeError("a gateway's address is text")
        text = text.strip()
        scheme, separator, rest = text.rpartition("://")
        if separator and scheme.lower() != "http":
            raise ValueError("a gateway speaks plain HTTP: write host, host:port or http://host:port")
        if _is_ip(rest):
            return cls(_shortest(rest))
        try:
            parts = urlsplit(f"//{rest}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError("not a gateway's address") from None
        if "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("a gateway's address is a host and a port, no more")
        if port == 0 or not (_is_ip(host) or _NAME.fullmatch(host)) or (":" in host) != ("[" in rest):
            raise ValueError("not a gateway's address")
        return cls(_shortest(host), port or _HTTP_PORT)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """What stands in the Host header: no IPv6 zone, and the port only where it is not 80."""
        host = self.host.partition("%")[0]
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _HTTP_PORT else f"{host}:{self.port}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _shortest(host: str) -> str:
    return str(ipaddress.ip_address(host)) if _is_ip(host) else host.lower().removesuffix(".")
