"""The log of a simulated gateway's requests, so that a test can say "never two at once"."""

import threading
from collections.abc import Callable

import attrs

from thekeys_async.simulator.faults import Fault


@attrs.frozen
class RequestRecord:
    """One request. Times are monotonic seconds of the gateway's event loop.

    Attributes:
        number: Counted from 1 in the order of arrival.
        endpoint: The name of the row in `protocol.endpoints`; empty for a path that no gateway knows.
        method: The HTTP method.
        path: The path.
        identifier: The locker that it names.
        timestamp: The timestamp that it carries.
        arrived: When its last byte had arrived.
        overlapped: Whether another request was being worked on then.
        started: When the gateway began to work on it; None if it never did.
        ended: When the gateway was done with it, right before the first byte of the reply; None until then.
        busy: Whether it was answered "busy".
        code: The number that was answered: 0 for done; None if no such answer was given.
        acted: Whether it was carried out. A bolt may still be on its way (`bolt_delay`).
        fault: The fault that it met.
        client_gone: Whether the client had hung up before the reply was out.
    """

    number: int
    endpoint: str
    method: str
    path: str
    identifier: int | None
    timestamp: int | None
    arrived: float
    overlapped: bool = False
    started: float | None = None
    ended: float | None = None
    busy: bool = False
    code: int | None = None
    acted: bool = False
    fault: Fault | None = None
    client_gone: bool = False


class RequestLog:
    """The records, oldest first. Can be read from any thread.

    Args:
        keep: How many records are kept at most; the sums count all of them.
        changed: Called after every change.
    """

    def __init__(self, keep: int, changed: Callable[[], None]) -> None:
        self.overlaps = 0
        self._keep = keep
        self._changed = changed
        self._lock = threading.Lock()
        self._records: dict[int, RequestRecord] = {}
        self._count = 0
        self._worked = 0.0
        self._first: float | None = None
        self._last = 0.0

    @property
    def records(self) -> tuple[RequestRecord, ...]:
        """All that are kept."""
        with self._lock:
            return tuple(self._records.values())

    def add(
        self,
        endpoint: str,
        method: str,
        path: str,
        *,
        identifier: int | None,
        timestamp: int | None,
        arrived: float,
        overlapped: bool,
    ) -> int:
        """Write down a request that has arrived, and return its number."""
        with self._lock:
            self._count += 1
            number = self._count
            self._records[number] = RequestRecord(
                number, endpoint, method, path, identifier, timestamp, arrived, overlapped
            )
            if len(self._records) > self._keep:
                del self._records[next(iter(self._records))]
            self.overlaps += overlapped
            if self._first is None:
                self._first = arrived
        self._changed()
        return number

    def end(
        self,
        number: int,
        ended: float,
        *,
        started: float | None = None,
        busy: bool = False,
        code: int | None = None,
        acted: bool = False,
        fault: Fault | None = None,
    ) -> None:
        """Write down how a request ended."""
        with self._lock:
            self._last = max(self._last, ended)
            if started is not None:
                self._worked += ended - started
            record = self._records.get(number)
            if record is not None:
                # Once for every request: `attrs.evolve` would be dear.
                self._records[number] = RequestRecord(
                    number,
                    record.endpoint,
                    record.method,
                    record.path,
                    record.identifier,
                    record.timestamp,
                    record.arrived,
                    record.overlapped,
                    started,
                    ended,
                    busy,
                    code,
                    acted,
                    fault,
                )
        self._changed()

    def mark_gone(self, number: int) -> None:
        """Write down that nobody was there to take the reply."""
        with self._lock:
            record = self._records.get(number)
            if record is not None:
                self._records[number] = attrs.evolve(record, client_gone=True)
        self._changed()

    def work_share(self) -> float:
        """Return the fraction of the time, from the first arrival to the last end, in which it was at work."""
        with self._lock:
            if self._first is None or self._last <= self._first:
                return 0.0
            return self._worked / (self._last - self._first)
