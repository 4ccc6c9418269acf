"""The changes of a gateway itself that are news to one watcher. No waiting."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from thekeys_async.protocol.errors import CoordinationError, TheKeysError
from thekeys_async.streams.updates import GatewayUpdate

if TYPE_CHECKING:
    from thekeys_async.turns.shared import Phase

HANGS_AFTER = timedelta(minutes=10)
"""A synchronisation takes seconds to four minutes; one of ten hangs (observed)."""


@attrs.frozen
class _Told:
    """The state that the watcher was last told.

    Attributes:
        answers: Whether the gateway answers.
        synchronizing: Whether it synchronises.
        hangs: When a synchronisation began that was told to hang, in the event loop's time.
        version: Its firmware.
    """

    answers: bool = False
    synchronizing: bool = False
    hangs: float | None = None
    version: int | None = None


class GatewayTracker:
    """Turns the state of a gateway into updates for one watcher."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._told: _Told | None = None

    def answered(
        self, phase: "Phase | None", version: int | None, at: datetime, *, first_is_news: bool
    ) -> GatewayUpdate | None:
        """Note that the gateway answers.

        Args:
            phase: The phase that it told, if that is known.
            version: Its firmware, if that is known.
            at: When it answered.
            first_is_news: Whether it is news that it answers for the first time.
        """
        synchronizing = phase is not None and phase.synchronizing
        hangs = phase.began if phase and phase.synchronizing and at - phase.since >= HANGS_AFTER else None

        now = _Told(answers=True, synchronizing=synchronizing, hangs=hangs, version=version)
        told = self._told
        if told is None:
            told = _Told(answers=not first_is_news, version=version)
        if told.version is None and not first_is_news:
            told = attrs.evolve(told, version=version)  # that somebody has asked for it is no change
        self._told = now
        return None if now == told else self._update(None, phase, version, at)

    def lost(self, error: TheKeysError, phase: "Phase | None", version: int | None, at: datetime) -> GatewayUpdate:
        """Take that it can't be reached, or can't be asked for want of what is shared with other processes."""
        self._told = attrs.evolve(self._told or _Told(), answers=False)
        return self._update(error, phase, version, at)

    def _update(
        self, error: TheKeysError | None, phase: "Phase | None", version: int | None, at: datetime
    ) -> GatewayUpdate:
        return GatewayUpdate(
            gateway=self._gateway,
            # What is shared with other processes can't be used: that says nothing against the gateway.
            reachable=error is None or isinstance(error, CoordinationError),
            error=error,
            phase=phase.text if phase else None,
            phase_since=phase.since if phase else None,
            version=version,
            at=at,
        )
