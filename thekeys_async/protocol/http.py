"""The little of HTTP/1.1 that a gateway speaks: a request as bytes, and what a reply can be. `reading` reads it."""

from typing import Final

import attrs

from thekeys_async.protocol.requests import SignedRequest

MAX_BODY: Final = 64 * 1024
MAX_HEAD: Final = 16 * 1024


class HttpError(Exception):
    """What came is not HTTP, or larger than allowed."""


class IncompleteError(Exception):
    """The connection ended before the reply did."""


def common_headers(authority: str) -> bytes:
    """Write down what all requests to one gateway say after their first line.

    Args:
        authority: The Host header.
    """
    return b"Host: %b\r\nUser-Agent: thekeys-async\r\nAccept: */*\r\n" % authority.encode("ascii")


def request_bytes(request: SignedRequest, headers: bytes) -> bytes:
    """Write a request as it goes over the wire.

    Args:
        request: What to send.
        headers: The gateway's `common_headers`.
    """
    if not request.has_form:
        return b"%b%b\r\n" % (request.start, headers)
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(request.body)
    return request.start + headers + form + request.body


@attrs.frozen
class Head:
    """What a reply says before its body.

    Attributes:
        status: 200 and so on.
        version: ``b"1.1"`` or ``b"1.0"``.
        reason: The words behind the status; may be empty.
        headers: Names and values as they came, in their order.
    """

    status: int
    version: bytes
    reason: bytes
    headers: list[tuple[bytes, bytes]]
