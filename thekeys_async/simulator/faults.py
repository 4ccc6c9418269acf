"""Faults on demand: faults, error codes and replies, for some requests or a fraction of them."""

import json
from collections.abc import Callable, Mapping
from enum import Enum
from random import Random

import attrs

from thekeys_async.protocol.endpoints import ENDPOINTS
from thekeys_async.simulator.http.messages import Delivery, HttpResponse

_GIANT = 1024 * 1024
_HTML = b"<html><body>Internal Server Error</body></html>"


class Fault(Enum):
    """A way in which a gateway fails.

    Attributes:
        REFUSE: Connections are refused from now on for a moment, and idle ones are closed. Nothing is received, so
            nothing is acted upon.
        RESET_BEFORE: The connection is reset when the request has arrived. The gateway has not acted.
        RESET_AFTER: The connection is reset instead of a reply. The gateway has acted.
        HALF_REPLY: Half of the body, then the connection is closed. The gateway has acted.
        TRUNCATED_JSON: Half of the body, as if that were all of it. The gateway has acted.
        NOT_JSON: A text that is no JSON. The gateway has acted.
        EMPTY_BODY: No body. The gateway has acted.
        GIANT_BODY: A body of 1 MiB. The gateway has acted.
        DRIP: The reply comes byte by byte. The gateway has acted.
        HTML_500: An HTML error page with status 500. The gateway has not acted.
        REDIRECT: A redirect to another path of itself. The gateway has not acted.
        BUSY: "Busy", though nothing else is under way. The gateway has not acted.
        HANG: No reply, ever. The gateway has not acted.
        HANG_AFTER: No reply, ever. The gateway has acted.
    """

    REFUSE = "refuse"
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    HALF_REPLY = "half reply"
    TRUNCATED_JSON = "truncated JSON"
    NOT_JSON = "not JSON"
    EMPTY_BODY = "empty body"
    GIANT_BODY = "giant body"
    DRIP = "drip"
    HTML_500 = "HTML 500"
    REDIRECT = "redirect"
    BUSY = "busy"
    HANG = "hang"
    HANG_AFTER = "hang after"

    @property
    def acts(self) -> bool:
        """Whether the gateway carries the request out before it fails."""
        return self not in _IDLE


_IDLE = frozenset(
    {
        Fault.REFUSE,
        Fault.RESET_BEFORE,
        Fault.HTML_500,
        Fault.REDIRECT,
        Fault.BUSY,
        Fault.HANG,
    }
)


def spoil(response: HttpResponse, fault: Fault, pace: float) -> HttpResponse:
    """Return what a client gets instead of a reply.

    Args:
        response: The reply as it would have been.
        fault: The fault.
        pace: Seconds between two bytes of a drip.
    """
    change = _SPOILT.get(fault)
    return response if change is None else attrs.evolve(change(response), pace=pace)


def _sent(delivery: Delivery) -> Callable[[HttpResponse], HttpResponse]:
    return lambda response: attrs.evolve(response, delivery=delivery)


_SPOILT: Mapping[Fault, Callable[[HttpResponse], HttpResponse]] = {
    Fault.RESET_BEFORE: _sent(Delivery.RESET),
    Fault.RESET_AFTER: _sent(Delivery.RESET),
    Fault.HANG: _sent(Delivery.NEVER),
    Fault.HANG_AFTER: _sent(Delivery.NEVER),
    Fault.HALF_REPLY: _sent(Delivery.HALF),
    Fault.DRIP: _sent(Delivery.DRIP),
    Fault.TRUNCATED_JSON: lambda reply: attrs.evolve(reply, body=reply.body[: len(reply.body) // 2]),
    Fault.NOT_JSON: lambda reply: attrs.evolve(reply, body=b"Out of memory\n", content_type="text/plain"),
    Fault.EMPTY_BODY: lambda reply: attrs.evolve(reply, body=b""),
    Fault.GIANT_BODY: lambda reply: attrs.evolve(reply, body=reply.body.ljust(_GIANT)),
    Fault.HTML_500: lambda _: HttpResponse(_HTML, 500, "text/html"),
    Fault.REDIRECT: lambda _: HttpResponse(status=302, headers=(("Location", "/elsewhere"),)),
}


@attrs.define
class Incident:
    """Something that is to happen to requests.

    Attributes:
        fault: The fault, or None.
        code: The number to answer, or None.
        response: The reply to give, or None.
        acts: Whether the gateway carries the request out, although it gives that code or reply.
        on: The name of the endpoint that it is for; None is any.
        left: How many times it will still happen; None is for ever.
        share: To which share of the requests it happens.
        seconds: How long a refusal lasts, or the pause between the bytes of a drip.
    """

    fault: Fault | None = None
    code: int | None = None
    response: HttpResponse | None = None
    acts: bool = False
    on: str | None = None
    left: int | None = 1
    share: float = 1.0
    seconds: float = 0.05

    def __attrs_post_init__(self) -> None:
        """Refuse what would silently never happen."""
        if self.on is not None and self.on not in REQUESTS:
            raise ValueError(f"No request is called {self.on!r}; there are {', '.join(sorted(REQUESTS))}.")
        if self.left is not None and self.left < 1:
            raise ValueError("times must be at least 1.")
        if not 0 < self.share <= 1:
            raise ValueError("share must be above 0 and at most 1.")

    @property
    def carried_out(self) -> bool:
        """Whether a request that is in order is carried out."""
        return self.acts or (self.code is None and self.response is None)


REQUESTS = frozenset(endpoint.name for endpoint in ENDPOINTS)


class Incidents:
    """The incidents to come, in the order in which they were asked for."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._incidents: list[Incident] = []

    def add(self, incident: Incident) -> None:
        """Let something happen."""
        self._incidents.append(incident)

    def clear(self) -> None:
        """Let nothing more happen."""
        self._incidents.clear()

    def draw(self, name: str) -> Incident | None:
        """Return what happens to a request, by the name of its endpoint."""
        for incident in self._incidents:
            if incident.on in {None, name} and (incident.share >= 1 or self._random.random() < incident.share):
                if incident.left is not None:
                    incident.left -= 1
                    if not incident.left:
                        self._incidents.remove(incident)
                return incident
        return None


_MOMENT = 0.25
_DRIP = 0.05


class FaultInjection:
    """The part of a simulated gateway that makes it fail.

    Args:
        random: Decides which requests meet what happens to a share of them.
        refuse: Makes the gateway refuse connections for so many seconds.
    """

    def __init__(self, random: Random, refuse: Callable[[float], None]) -> None:
        self._incidents = Incidents(random)
        self._refuse_for = refuse

    def fail(
        self,
        fault: Fault,
        *,
        on: str | None = None,
        times: int | None = None,
        share: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Let requests meet a fault.

        `Fault.REFUSE` begins at once, whatever `on` says; with `times` it comes again after further requests, and with
        `share` after that share of them.

        Args:
            fault: The fault.
            on: For which requests: the name of an endpoint, `"open"` for example; None is any.
            times: How many times; if neither this nor `share` is given, once.
            share: To which share of the requests it happens, above 0 and at most 1.
            seconds: How long `Fault.REFUSE` lasts (0.25), or the pause between the bytes of `Fault.DRIP` (0.05).

        Raises:
            ValueError: Nothing is called so, or a number is out of its range.
        """
        if seconds is None:
            seconds = _MOMENT if fault is Fault.REFUSE else _DRIP
        left = 1 if times is None and share is None else times
        incident = Incident(fault, on=on, left=left, share=share or 1.0, seconds=seconds)
        if fault is Fault.REFUSE and share is None:
            self._refuse_for(seconds)
            incident.left = None if left is None else left - 1
        if incident.left != 0:
            self._incidents.add(incident)

    def error(
        self,
        code: int,
        *,
        on: str | None = None,
        times: int | None = None,
        share: float | None = None,
        acted: bool = False,
    ) -> None:
        """Let requests be answered with an error code; the arguments are those of `fail()`.

        Args:
            code: The number, as in the vendor's table.
            on: For which requests.
            times: How many times.
            share: To which share of the requests.
            acted: Carry the request out all the same, as may be with 4, 5 and 37.

        Raises:
            ValueError: Nothing is called so, or a number is out of its range.
        """
        left = 1 if times is None and share is None else times
        self._incidents.add(Incident(code=code, acts=acted, on=on, left=left, share=share or 1.0))

    def reply_next(
        self,
        body: object,
        *,
        status: int = 200,
        on: str | None = None,
        times: int = 1,
        acted: bool = False,
    ) -> None:
        """Give a reply of your own.

        Args:
            body: Bytes or text as they stand, anything else as JSON.
            status: The HTTP status.
            on: For which requests.
            times: How many times.
            acted: Whether the request is carried out.

        Raises:
            ValueError: Nothing is called so, or a number is out of its range.
        """
        text = body if isinstance(body, str) else json.dumps(body) if not isinstance(body, bytes) else ""
        response = HttpResponse(body if isinstance(body, bytes) else text.encode(), status)
        self._incidents.add(Incident(response=response, acts=acted, on=on, left=times))

    def clear_faults(self) -> None:
        """Forget every fault, error and reply that has not yet happened."""
        self._incidents.clear()
