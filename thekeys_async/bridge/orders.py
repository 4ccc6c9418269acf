"""The orders for one locker or gateway: which were there before, what is under way, and what waits. Pure."""

import math
from collections import deque
from typing import Final

import attrs

from thekeys_async.bridge.messages import Action, Request
from thekeys_async.bridge.topics import Target

_MOST_REMEMBERED: Final = 64


@attrs.frozen(eq=False)
class Order:
    """A message that has the form of a command, for something that is driven.

    Attributes:
        target: What it is for.
        request: What is asked for.
        deadline: When nothing of it may leave any more, by the clock of `Moment.boot`.
    """

    target: Target
    request: Request
    deadline: float


class Orders:
    """What has to be remembered for one locker or gateway, in constant memory.

    Attributes:
        under_way: What is being carried out.
        newest_joined: The newest order that the one under way serves as well.
        waiting: What comes next.
    """

    def __init__(self) -> None:
        self.under_way: Order | None = None
        self.newest_joined: Order | None = None
        self.waiting: Order | None = None
        self._stamps: dict[Action, set[float]] = {}
        self._floors: dict[Action, float] = {}
        self._ids: dict[tuple[Action, str | int], float] = {}
        self._taken: deque[float] = deque(maxlen=_MOST_REMEMBERED)

    def is_known(self, request: Request, now: float, seconds: float) -> bool:
        """Whether the same stamp was judged before, or the same id within so many seconds.

        Stamps are never forgotten, as the clock may be set back by any time: where there are too many of them, all
        up to the oldest ones count as known.
        """
        if request.at is not None:
            if request.at in self._stamps.get(request.action, ()):
                return True
            if request.at <= self._floors.get(request.action, -math.inf):
                return True
        if request.id is None:
            return False
        seen = self._ids.get((request.action, request.id))
        return seen is not None and now - seen <= seconds

    def remember(self, request: Request, now: float) -> None:
        """Remember a stamp and an id."""
        if request.at is not None:
            stamps = self._stamps.setdefault(request.action, set())
            stamps.add(request.at)
            if len(stamps) > _MOST_REMEMBERED:
                oldest = min(stamps)
                stamps.remove(oldest)
                self._floors[request.action] = max(oldest, self._floors.get(request.action, -math.inf))
        if request.id is not None:
            self._ids.pop((request.action, request.id), None)
            self._ids[request.action, request.id] = now
            if len(self._ids) > _MOST_REMEMBERED:
                del self._ids[next(iter(self._ids))]

    def taken_within(self, seconds: float, now: float) -> int:
        """Count the orders that were taken within so many seconds."""
        return sum(now - at < seconds for at in self._taken)

    def take(self, now: float) -> None:
        """Count an order that is taken."""
        self._taken.append(now)

    def ended(self, order: Order) -> Order | None:
        """Note that an order has ended.

        Returns:
            The one that waited; it waits no more, and whoever gets it says what becomes of it.
        """
        if self.under_way is not order:
            return None
        self.under_way = self.newest_joined = None
        waiting, self.waiting = self.waiting, None
        return waiting
