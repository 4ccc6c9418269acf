"""Requests: their form, their hash, their bytes."""

import functools
from urllib.parse import urlencode

import attrs

from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.secrets import ShareCode


@attrs.frozen
class SignedRequest:
    """A request ready to be sent. Its body may hold a hash, so no repr shows it.

    Attributes:
        method: The HTTP method.
        path: The path.
        body: The form, percent-encoded (``+`` in a hash becomes ``%2B``); empty for a request without fields.
        start: Its first line as it goes over the wire.
    """

    method: str
    path: str
    body: bytes = attrs.field(default=b"", repr=False)
    start: bytes = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "start", f"{self.method} {self.path} HTTP/1.1\r\n".encode("ascii"))

    @property
    def has_form(self) -> bool:
        """Whether it must say how long its body is: working clients send that with every POST."""
        return self.method == "POST"


@attrs.frozen
class Request:
    """A request to a gateway, as yet without a timestamp.

    Attributes:
        endpoint: The request.
        identifier: The locker it is about, if it is about one.
        code: The locker's share code, if it is to be signed.
        enable: Whether something is to be switched on or off, if it is a switch.
    """

    endpoint: Endpoint
    identifier: int | None = None
    code: ShareCode | None = None
    enable: bool | None = None

    def sign(self, timestamp: int | None) -> SignedRequest:
        """Write the request down, signed with a timestamp where one is needed."""
        if self.identifier is None and self.code is None and self.enable is None:
            return _without_fields(self.endpoint.method, self.endpoint.path)
        fields: dict[str, str] = {}
        if self.identifier is not None:
            fields["identifier"] = str(self.identifier)
        if self.code is not None and timestamp is not None:
            fields["ts"] = str(timestamp)
            fields["hash"] = self.code.sign(timestamp)
        if self.enable is not None:
            fields["enable"] = str(int(self.enable))
        return SignedRequest(self.endpoint.method, self.endpoint.path, urlencode(fields).encode("ascii"))


@functools.cache
def _without_fields(method: str, path: str) -> SignedRequest:
    """Write a request without fields, once for each endpoint."""
    return SignedRequest(method, path)


def common_headers(authority: str) -> bytes:
    """Write the headers that all requests to one gateway have.

    Args:
        authority: The Host header.
    """
    return b"Host: %b\r\nUser-Agent: thekeys-async\r\nAccept: */*\r\n" % authority.encode("ascii")


def request_bytes(request: SignedRequest, headers: bytes) -> bytes:
    """Write a request as it goes over the wire.

    Args:
        request: The request.
        headers: The gateway's `common_headers`.
    """
    if not request.has_form:
        return b"%b%b\r\n" % (request.start, headers)
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(request.body)
    return request.start + headers + form + request.body
