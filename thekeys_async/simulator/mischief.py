"""Trouble on demand: what a test asks of a simulated gateway to go wrong."""

import json
from collections.abc import Callable
from random import Random

from thekeys_async.simulator.faults import Fault, Incident, Incidents
from thekeys_async.simulator.http.messages import Response

_MOMENT = 0.25
_DRIP = 0.05


class Mischief:
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
            fault: What goes wrong.
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
        response = Response(body if isinstance(body, bytes) else text.encode(), status)
        self._incidents.add(Incident(response=response, acts=acted, on=on, left=times))

    def clear_faults(self) -> None:
        """Forget every fault, error and reply that has not yet happened."""
        self._incidents.clear()
