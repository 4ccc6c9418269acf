"""The claim to a prefix: of several bridges, the one that has claimed it last may take commands. Pure.

The broker's order decides, and no clock: a bridge whose clock was a day ahead must not keep its successor out. A bridge
that has just started claims the prefix, whoever had it before. One that has had it and finds another's claim, at once
or after it has connected again, has lost it for good.
"""

import json
from typing import Any, Final

import attrs

from thekeys_async.bridge.heartbeat import Moment

HOLD: Final = 2.0
"""Seconds for which a new bridge takes no command after its claim has come back: an older one may still be at it."""


@attrs.define
class PrefixClaim:
    """One bridge's claim to its prefix.

    Attributes:
        instance: This bridge's random name; no other has the same.
        superseded: Whether another bridge has claimed the prefix since. That is for good.
    """

    instance: str
    superseded: bool = False
    _is_new: bool = attrs.field(default=True, init=False)
    _said: bool = attrs.field(default=False, init=False)
    _confirmed: bool = attrs.field(default=False, init=False)
    _ready_at: float | None = attrs.field(default=None, init=False)

    def connected(self) -> None:
        """Begin anew on another connection."""
        self._said = self._confirmed = False

    def say(self) -> bool:
        """Decide whether to claim the prefix, once all that the broker has kept has been read.

        Returns:
            Whether to say it now.
        """
        if self.superseded or self._said:
            return False
        self._said = True
        return True

    def heard(self, payload: bytes, now: Moment) -> bool:
        """Take a claim that has come on the topic, one that the broker has kept as well.

        Returns:
            Whether it is one.
        """
        other = instance_of(payload)
        if other is None:
            return False
        if other == self.instance:
            if self._said and not self._confirmed:
                self._confirmed = True
                self._ready_at = now.boot + HOLD if self._is_new else now.boot
                self._is_new = False
        elif self._confirmed or not (self._is_new or self._said):
            self.superseded = True
        return True

    def may_take_commands(self, now: Moment) -> bool:
        """Tell whether the prefix is ours, and the bridge that had it before has had time to hear so."""
        return self._confirmed and not self.superseded and self._ready_at is not None and now.boot >= self._ready_at


def instance_of(payload: bytes) -> str | None:
    """Read which bridge made a claim; None if it is none."""
    try:
        found: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    instance = found.get("instance") if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return instance if isinstance(instance, str) and instance else None
