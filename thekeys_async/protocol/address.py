"""A gateway's address, in one form for all the ways of writing it."""

import ipaddress
import re
from urllib.parse import urlsplit

import attrs

_NAME = re.compile(
    r"(?!(.*\.)?[0-9]+\.?$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.ASCII
)
_ZONE = re.compile(r"[^\s/\[\]%@?#]{1,32}")
_ZONE_IN_A_URL = re.compile(r"^(\[[0-9A-Fa-f:.]+)%25(?=[^\]])")  # how a URL writes the % before a zone (RFC 6874)
_LONGEST = 300  # a name has 253 characters at most
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

        In brackets, the ``%`` before a zone may be written as in a URL: ``[fe80::1%25eth0]``.

        Raises:
            ValueError: It is none of these, or says more than an address (a path, a password, https).
        """
        if not isinstance(text, str):
            raise TypeError("a gateway's address is text")
        text = text.strip(" ")
        if len(text) > _LONGEST:
            raise ValueError("not a gateway's address: it is too long")
        if any(character.isspace() or not character.isprintable() for character in text):
            raise ValueError("a gateway's address holds no blanks, line ends or control characters")
        scheme, separator, rest = text.rpartition("://")
        if separator and scheme.lower() != "http":
            raise ValueError("a gateway speaks plain HTTP: write host, host:port or http://host:port")
        if _is_ip(rest):
            return cls(_shortest(rest))
        rest = _ZONE_IN_A_URL.sub(r"\1%", rest)
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
        """The value of the Host header: no IPv6 zone, and the port only where it is not 80."""
        host = self.host.partition("%")[0]
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _HTTP_PORT else f"{host}:{self.port}"


def _is_ip(text: str) -> bool:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return False
    zone = getattr(ip, "scope_id", None)
    return zone is None or _ZONE.fullmatch(zone) is not None


def _shortest(host: str) -> str:
    return str(ipaddress.ip_address(host)) if _is_ip(host) else host.lower().removesuffix(".")
