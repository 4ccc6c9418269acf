"""What a simulated gateway remembers."""

import time
from collections.abc import Callable, Iterable

import attrs

from thekeys_async.simulator.locker import SimulatedLocker

SCANNING = "Scanning..."


def by_identifier(lockers: Iterable[SimulatedLocker]) -> dict[int, SimulatedLocker]:
    """Index lockers by their identifiers.

    Raises:
        ValueError: Two have the same.
    """
    listed = tuple(lockers)
    indexed = {locker.identifier: locker for locker in listed}
    if len(indexed) != len(listed):
        raise ValueError("Two lockers have the same identifier.")
    return indexed


@attrs.define
class GatewayState:
    """The memory of a gateway, apart from everything that has to do with connections.

    Attributes:
        lockers: By identifier.
        version: Of its firmware.
        phase: What `/status` tells.
        last_timestamp: The newest one that it has accepted.
        clock: Its own wall clock, seconds since 1970.
        clock_set: Whether it knows the time; until `/synchronize` it answers 38 if not.
        max_future: How many seconds a timestamp may be ahead of its clock; None does not check.
        tells_last_log: Whether `/lockers` has `last_log` (old firmware has not).
    """

    lockers: dict[int, SimulatedLocker] = attrs.field(converter=by_identifier)
    version: int = 65
    phase: str = SCANNING
    last_timestamp: int = 0
    clock: Callable[[], float] = time.time
    clock_set: bool = True
    max_future: float | None = None
    tells_last_log: bool = True

    @property
    def synchronizing(self) -> bool:
        """Whether it is busy by itself."""
        return self.phase != SCANNING

    def locker(self, form: dict[str, str]) -> SimulatedLocker | None:
        """Return the locker that a form names, if there is one."""
        number = decimal(form.get("identifier", ""))
        return None if number is None else self.lockers.get(number)


def decimal(text: str) -> int | None:
    """Read a whole number of at most 18 decimal digits; None is anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004 - 64 bits
