"""The commands for one locker or gateway: those judged before, the one under way, and the one that waits. Pure."""

import math
from collections import deque
from typing import Final

import attrs

from thekeys_async.bridge.messages import Action, CommandMessage
from thekeys_async.bridge.topics import Target

_MOST_REMEMBERED: Final = 64


@attrs.frozen(eq=False)
class Command:
    """A message that has the form of a command, for something that is driven.

    Attributes:
        target: The target.
        message: The message.
        deadline: When nothing of it may leave any more, by the clock of `Moment.boot`.
    """

    target: Target
    message: CommandMessage
    deadline: float


class CommandHistory:
    """The memory of the commands for one locker or gateway, of constant size.

    Attributes:
        under_way: The command that is being carried out.
        joined: The commands that the one under way serves as well, in the order in which they came.
        waiting: The command that comes next.
    """

    def __init__(self) -> None:
        self.under_way: Command | None = None
        self.joined: list[Command] = []
        self.waiting: Command | None = None
        self._stamps: dict[Action, set[float]] = {}
        self._floors: dict[Action, float] = {}
        self._ids: dict[tuple[Action, str | int], float] = {}
        self._refused: dict[tuple[Action, float], None] = {}
        self._taken: deque[float] = deque(maxlen=_MOST_REMEMBERED)

    def is_known(self, message: CommandMessage, now: float, seconds: float) -> bool:
        """Tell whether the same stamp was judged before, or the same id within so many seconds.

        Stamps are never forgotten, as the clock may be set back by any time: where there are too many of them, all
        up to the oldest ones count as known.
        """
        if message.at is not None:
            if message.at in self._stamps.get(message.action, ()) or (message.action, message.at) in self._refused:
                return True
            if message.at <= self._floors.get(message.action, -math.inf):
                return True
        if message.id is None:
            return False
        seen = self._ids.get((message.action, message.id))
        return seen is not None and now - seen <= seconds

    def remember(self, message: CommandMessage, now: float) -> None:
        """Remember a stamp and an id."""
        if message.at is not None:
            stamps = self._stamps.setdefault(message.action, set())
            stamps.add(message.at)
            if len(stamps) > _MOST_REMEMBERED:
                oldest = min(stamps)
                stamps.remove(oldest)
                self._floors[message.action] = max(oldest, self._floors.get(message.action, -math.inf))
        self._remember_id(message, now)

    def remember_refused(self, message: CommandMessage, now: float) -> None:
        """Remember a message that was refused before its stamp counted, among the newest of these.

        A stamp that is far ahead must not make all before it known.
        """
        if message.at is not None:
            self._refused[message.action, message.at] = None
            if len(self._refused) > _MOST_REMEMBERED:
                del self._refused[next(iter(self._refused))]
        self._remember_id(message, now)

    def _remember_id(self, message: CommandMessage, now: float) -> None:
        if message.id is not None:
            self._ids.pop((message.action, message.id), None)
            self._ids[message.action, message.id] = now
            if len(self._ids) > _MOST_REMEMBERED:
                del self._ids[next(iter(self._ids))]

    def taken_within(self, seconds: float, now: float) -> int:
        """Count the commands that were taken within so many seconds."""
        return sum(now - at < seconds for at in self._taken)

    def take(self, now: float) -> None:
        """Count a command that is taken."""
        self._taken.append(now)

    def ended(self, command: Command) -> Command | None:
        """Note that a command has ended.

        Returns:
            The one that waited; it waits no more, and whoever gets it says what becomes of it.
        """
        if self.under_way is not command:
            return None
        self.under_way, self.joined = None, []
        waiting, self.waiting = self.waiting, None
        return waiting
