"""HTTP requests and replies as values, for any simulated server."""

import json
from collections.abc import Awaitable, Callable
from enum import Enum
from urllib.parse import parse_qsl

import attrs

_MAX_FIELDS = 100


@attrs.frozen
class Request:
    """One whole HTTP request.

    Attributes:
        method: In capitals.
        path: Without the query.
        query: What stood behind the question mark.
        headers: Names in lower case. Not in the repr, for they may hold a token.
        body: Not in the repr, for it may hold a hash or a password.
        keep_alive: Whether the client may use the connection again.
    """

    method: str
    path: str
    query: str = attrs.field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    keep_alive: bool = True

    def header(self, name: str) -> str | None:
        """Return the first header of that name, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def form(self) -> dict[str, str]:
        """Return the fields of a form body; a bare `+` is a space, as the standard has it."""
        try:
            return dict(
                parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
            )
        except ValueError:
            return {}


class Delivery(Enum):
    """How the bytes of a reply go out."""

    WHOLE = "whole"
    HALF = "half"  # half of the body, then the connection is closed
    DRIP = "drip"  # byte by byte
    RESET = "reset"  # not one byte: the connection is reset
    NEVER = "never"  # nothing, until the client hangs up


class Ending(Enum):
    """What became of a reply."""

    SENT = "sent"
    GONE = "gone"  # the client had hung up before it was out


@attrs.frozen
class Response:
    """One HTTP reply.

    Attributes:
        body: The bytes of it.
        status: The HTTP status.
        content_type: Sent as it stands.
        headers: Further headers.
        close: Say `Connection: close`, and do it.
        delivery: How the bytes go out.
        pace: Seconds between two bytes of a drip.
        over: Called once, when the reply is out or nobody is there to take it.
    """

    body: bytes = attrs.field(default=b"", repr=False)
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    close: bool = False
    delivery: Delivery = Delivery.WHOLE
    pace: float = 0.05
    over: Callable[[Ending], None] | None = attrs.field(default=None, repr=False)

    @classmethod
    def json(cls, value: object, status: int = 200) -> "Response":
        """Make a reply of a value that JSON can write."""
        return cls(json.dumps(value).encode(), status)

    def ended_by(self, *, close: bool, over: "Callable[[Ending], None] | None" = None) -> "Response":
        """Return the same reply with another ending."""
        # Once for every request: `attrs.evolve` would be dear.
        return Response(self.body, self.status, self.content_type, self.headers, close, self.delivery, self.pace, over)


Handler = Callable[[Request], Awaitable[Response]]
"""What a server asks for each request."""
