"""The events for an observer of a gateway: a plain value for each wait, request, call and poll, as it happens.

Nothing is made when nobody observes. An observer is called in the middle of a call and must be quick; what it raises
is logged and changes nothing.
"""

import enum
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import attrs

from thekeys_async.protocol.errors import (
    GatewayBusyError,
    GatewayRefusedError,
    GatewayUnreachableError,
    OutcomeUnknownError,
    RequestTimeoutError,
    TheKeysError,
)

_log = logging.getLogger("thekeys_async")


class Outcome(enum.Enum):
    """The outcome of a request, a call or a poll."""

    DONE = "done"
    """It was answered, and a command carried out."""
    BUSY = "busy"
    """The gateway was busy."""
    REFUSED = "refused"
    """The gateway said that it did nothing, and why."""
    UNREACHABLE = "unreachable"
    """There was no connection, or a read got no answer."""
    TIMED_OUT = "timed out"
    """The time budget was spent; a command was not sent."""
    UNKNOWN = "unknown"
    """A command was sent, and nobody knows whether it was carried out."""
    CANCELLED = "cancelled"
    """The caller was cancelled."""
    FAILED = "failed"
    """Anything else: an answer that can't be understood, a coordinator that is away."""


@attrs.frozen(kw_only=True)
class _CallEvent:
    """The fields of every event of a call.

    Attributes:
        gateway: The gateway's name.
        action: The request, by its name in the vendor's command: ``open``, ``locker_status``, ``lockers``.
        identifier: The locker it is about, if it is about one.
        at: When, with a time zone.
    """

    gateway: str
    action: str
    identifier: int | None = None
    at: datetime


@attrs.frozen(kw_only=True)
class Waited(_CallEvent):
    """A request has its turn.

    Attributes:
        gateway: The gateway's name.
        action: The request, by its name in the vendor's command: ``open``, ``locker_status``, ``lockers``.
        identifier: The locker it is about, if it is about one.
        attempt: The number of the attempt in its call, from 1.
        seconds: The wait since the call began, or since the attempt before.
        at: When, with a time zone.
    """

    attempt: int
    seconds: float


@attrs.frozen(kw_only=True)
class RequestSent(_CallEvent):
    """The bytes of a request leave now: what follows in the same step is the send.

    An observer that keeps a command until it is too late for it keeps it for good: `RequestEnded` says that nothing
    was sent.

    Attributes:
        gateway: The gateway's name.
        action: The request.
        identifier: The locker it is about, if it is about one.
        attempt: The number of the attempt in its call, from 1.
        timestamp: The signed timestamp, in seconds since 1970; None for an unsigned request.
        at: When, with a time zone.
    """

    attempt: int
    timestamp: int | None = None


@attrs.frozen(kw_only=True)
class RequestEnded(_CallEvent):
    """A request was answered, or has failed.

    Attributes:
        gateway: The gateway's name.
        action: The request.
        identifier: The locker it is about, if it is about one.
        attempt: As in `Waited`.
        outcome: The outcome.
        error: The error, if it failed.
        sent: Whether any byte may have reached the gateway.
        retried: Whether the call goes on with another attempt.
        seconds: The duration of its turn.
        at: When, with a time zone.
    """

    attempt: int
    outcome: Outcome
    error: TheKeysError | None = None
    sent: bool
    retried: bool
    seconds: float


@attrs.frozen(kw_only=True)
class CallEnded(_CallEvent):
    """A call is over, with all its attempts.

    Attributes:
        gateway: The gateway's name.
        action: The request.
        identifier: The locker it is about, if it is about one.
        outcome: The outcome.
        error: The caller's error, if it failed.
        attempts: How many times it was sent; 0 also where another call's answer served as well.
        seconds: The duration, with queueing and retries.
        at: When, with a time zone.
    """

    outcome: Outcome
    error: TheKeysError | None = None
    attempts: int
    seconds: float


@attrs.frozen(kw_only=True)
class PollEnded:
    """A poll for the watchers of a gateway is over.

    Attributes:
        gateway: The gateway's name.
        outcome: The outcome.
        error: The error, if it failed.
        at: When, with a time zone.
    """

    gateway: str
    outcome: Outcome
    error: TheKeysError | None = None
    at: datetime


GatewayEvent: TypeAlias = Waited | RequestSent | RequestEnded | CallEnded | PollEnded
Observer: TypeAlias = Callable[[GatewayEvent], None]
"""Called with each event, in the event loop that makes the calls."""

_OUTCOMES: tuple[tuple[type[TheKeysError], Outcome], ...] = (
    (GatewayBusyError, Outcome.BUSY),
    (OutcomeUnknownError, Outcome.UNKNOWN),
    (RequestTimeoutError, Outcome.TIMED_OUT),
    (GatewayUnreachableError, Outcome.UNREACHABLE),
)


def outcome_of(error: TheKeysError | None) -> Outcome:
    """Return the outcome that an error stands for."""
    if error is None:
        return Outcome.DONE
    for kind, outcome in _OUTCOMES:
        if isinstance(error, kind):
            return outcome
    if error.may_have_executed:
        return Outcome.UNKNOWN
    return Outcome.REFUSED if isinstance(error, GatewayRefusedError) else Outcome.FAILED


def now() -> datetime:
    """Get the time of an event."""
    return datetime.now(UTC)


def tell(observer: Observer, event: GatewayEvent) -> None:
    """Tell an observer; a door does not depend on what it makes of that."""
    try:
        observer(event)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, it is not the door's; nor is it a cancellation of the call
        _log.exception("%s: the observer failed at %s", event.gateway, type(event).__name__)


@attrs.frozen
class CallObserver:
    """Tells an observer of one call.

    Attributes:
        observer: Whom to tell.
        gateway: The gateway's name.
        action: The request.
        identifier: The locker it is about, if it is about one.
    """

    observer: Observer
    gateway: str
    action: str
    identifier: int | None

    def waited(self, attempt: int, seconds: float) -> None:
        """Tell that a request has its turn."""
        self._tell(Waited, attempt=attempt, seconds=max(0.0, seconds))

    def sent(self, attempt: int, timestamp: int | None) -> None:
        """Tell that bytes leave."""
        self._tell(RequestSent, attempt=attempt, timestamp=timestamp)

    def ended(self, attempt: int, error: BaseException | None, *, sent: bool, retried: bool, seconds: float) -> None:
        """Tell the outcome of a request."""
        self._tell(RequestEnded, attempt=attempt, sent=sent, retried=retried, seconds=seconds, **_outcome(error))

    def over(self, attempts: int, error: BaseException | None, seconds: float) -> None:
        """Tell the outcome of the call."""
        self._tell(CallEnded, attempts=attempts, seconds=seconds, **_outcome(error))

    def _tell(self, kind: Callable[..., GatewayEvent], **what: object) -> None:
        event = kind(gateway=self.gateway, action=self.action, identifier=self.identifier, at=now(), **what)
        tell(self.observer, event)


def _outcome(error: BaseException | None) -> dict[str, object]:
    if error is None or isinstance(error, TheKeysError):
        return {"outcome": outcome_of(error), "error": error}
    return {"outcome": Outcome.CANCELLED}
