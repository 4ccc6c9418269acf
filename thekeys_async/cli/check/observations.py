"""The observations of a check, as frozen values: all that its findings are made of."""

import attrs

from thekeys_async.protocol.errors import TheKeysError
from thekeys_async.protocol.models import GatewayStatus, LockerReading, LockerStatus


@attrs.frozen(kw_only=True)
class ObservedExchange:
    """One request on the wire.

    Attributes:
        action: The request.
        seconds: From its begin to the end of its reply, or of the waiting for one.
        connected_after: Seconds until there was a connection; None if there was one, or never was any.
        sent: Whether any byte of it has left.
        reply: The bytes that came, head and all.
        kept: Whether it went over a connection that was kept from the exchange before.
        found_closed: Whether a connection that the gateway had promised to keep turned out to be closed.
        ended: The end of the exchange, in a recording's words: ``"kept"``, ``"to be closed"`` and so on.
        busy: Whether the gateway said that it was busy.
        refused: Whether it refused the hash or the timestamp.
    """

    action: str
    seconds: float
    connected_after: float | None = None
    sent: bool = True
    reply: bytes = attrs.field(default=b"", repr=False)
    kept: bool = False
    found_closed: bool = False
    ended: str = "kept"
    busy: bool = False
    refused: bool = False


@attrs.frozen(kw_only=True)
class Resolved:
    """The addresses that the gateway's name stands for.

    Attributes:
        host: The name, or the address.
        addresses: The addresses, each once.
        error: The reason why it stands for none.
    """

    host: str
    addresses: tuple[str, ...] = ()
    error: str | None = None


@attrs.frozen(kw_only=True)
class DoorRead:
    """A signed read of one locker.

    Attributes:
        identifier: The locker.
        status: Its answer.
        error: The error, if it gave none.
        seconds: The duration of the read.
        offset: Seconds added to the clock for it: 0, unless the gateway refused this computer's time.
        overtaken: Whether a timestamp of the present was refused, and then one ahead of the clock accepted.
    """

    identifier: int
    status: LockerStatus | None = None
    error: TheKeysError | None = None
    seconds: float = 0.0
    offset: float = 0.0
    overtaken: bool = False


@attrs.frozen(kw_only=True)
class Lead:
    """The lead over the clock that a timestamp may have, as far as reads can tell.

    Attributes:
        accepted: The farthest that was accepted, in seconds.
        refused: The nearest that was refused; None if none was.
    """

    accepted: float
    refused: float | None = None


@attrs.frozen(kw_only=True)
class DoorTrial:
    """A door that was opened and closed again.

    Attributes:
        identifier: Its locker.
        steps: The steps, and the seconds that each took: ``"open"``, ``"bolt drawn back"``, ``"close"``,
            ``"bolt out"``.
        failed: The step that failed, if one did.
        error: The error.
    """

    identifier: int
    steps: tuple[tuple[str, float], ...] = ()
    failed: str | None = None
    error: TheKeysError | None = None


@attrs.frozen(kw_only=True)
class Observations:
    """All that was seen of one gateway.

    Attributes:
        resolved: The addresses that its name stands for.
        port: Its port.
        proxies: The variables of the environment that name a proxy.
        exchanges: The exchanges, in order.
        status: The gateway's status.
        status_error: The error, if it did not tell its status.
        lockers: The lockers that it sees.
        lockers_error: The error, if it did not tell them.
        habit: The exchange that followed another on the same connection, a moment later.
        latencies: Seconds of each light request that was answered, connecting included.
        unanswered: How many light requests in a row of ten were not answered.
        synchronizing_for: Seconds for which it has said that it synchronises.
        still_synchronizing: Whether it said so at the end, too.
        coded: The lockers for which a share code is known.
        reads: The signed reads.
        lead: The lead that a timestamp may have; None if that was not tried.
        door: The outcome of opening and closing a door, if that was wanted.
        light_rest: Seconds of rest that it was given after a light request.
        slow: Seconds from which on a light request counts as slow.
        unfinished: The reason why not all was asked; None if it was.
    """

    resolved: Resolved
    port: int = 80
    proxies: tuple[str, ...] = ()
    exchanges: tuple[ObservedExchange, ...] = ()
    status: GatewayStatus | None = None
    status_error: TheKeysError | None = None
    lockers: tuple[LockerReading, ...] | None = None
    lockers_error: TheKeysError | None = None
    habit: ObservedExchange | None = None
    latencies: tuple[float, ...] = ()
    unanswered: int = 0
    synchronizing_for: float | None = None
    still_synchronizing: bool = False
    coded: frozenset[int] = frozenset()
    reads: tuple[DoorRead, ...] = ()
    lead: Lead | None = None
    door: DoorTrial | None = None
    light_rest: float = 0.5
    slow: float = 1.0
    unfinished: str | None = None

    @property
    def reached(self) -> bool:
        """Whether there ever was a connection."""
        return any(each.sent for each in self.exchanges)

    @property
    def answered(self) -> bool:
        """Whether any bytes came back."""
        return any(each.reply for each in self.exchanges)

    @property
    def understood(self) -> bool:
        """Whether it has answered like a gateway: with its status, its lockers, or "busy"."""
        return self.status is not None or self.lockers is not None or any(each.busy for each in self.exchanges)
