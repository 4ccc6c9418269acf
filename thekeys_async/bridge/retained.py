"""The retained topics: the newest value of each, and which of them the broker has yet to get. Pure.

It is no queue: however long the broker is away, its size is bounded by the number of topics.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

MOST_WAITING: Final = 32
"""The number of values of one topic that wait for the broker at most, where each of them is to be published."""


class RetainedTopics:
    """Topics that are retained, with their newest values.

    Args:
        rank: Topics of a lower rank go first when everything is published again. One above 0 is that of discovery:
            whoever is told of a device asks for its state at once, and one that is taken away goes before its topics.
    """

    def __init__(self, rank: Callable[[str], int] = lambda _: 0) -> None:
        self._rank = rank
        self.on_news: Callable[[], None] = _nothing
        """Called whenever there is news."""
        self._values: dict[str, str] = {}
        self._unsent: dict[str, None] = {}
        self._waiting: dict[str, deque[str]] = {}
        self._retired = False

    def __contains__(self, topic: str) -> bool:
        """Tell whether the broker is to keep something on a topic."""
        return bool(self._values.get(topic))

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> dict[str, str]:
        """All topics and their newest values, in the order in which they are published."""
        return {topic: self._values[topic] for topic in self._in_order()}

    @property
    def unsent(self) -> int:
        """The number of topics with news for the broker."""
        return len(self._unsent)

    def get(self, topic: str) -> str | None:
        """Get the newest value of a topic."""
        return self._values.get(topic)

    def set(self, topic: str, value: str) -> None:
        """Set the value of a topic; that is news only if it is another one. Empty text empties the topic."""
        if self._values.get(topic) != value and not self._retired:
            self._values[topic] = value
            self._unsent[topic] = None
            self.on_news()

    def add(self, topic: str, value: str) -> None:
        """Set the value of a topic whose every value is news, also if another one follows before the broker takes it.

        Where more than `MOST_WAITING` wait, the oldest ones are left out.
        """
        self._waiting.setdefault(topic, deque(maxlen=MOST_WAITING)).append(value)
        self._values[topic] = value
        self._unsent[topic] = None
        self.on_news()

    def withhold(self, topic: str) -> None:
        """Publish nothing on a topic for now; the broker's value stays."""
        for kept in (self._values, self._unsent, self._waiting):
            kept.pop(topic, None)

    def repeat(self, topic: str) -> None:
        """Publish a topic again, as somebody else has overwritten it."""
        if topic in self._values and not self._retired:
            self._unsent[topic] = None
            self.on_news()

    def repeat_all(self, *, but: str | None = None) -> None:
        """Publish everything again: to a broker that may have lost it, or to somebody who has just subscribed.

        Args:
            but: A topic that is published only if it is news.
        """
        self._unsent = {topic: None for topic in self._in_order() if topic != but or topic in self._unsent}
        self.on_news()

    def retire(self) -> None:
        """Publish nothing but what is added, from now on: another one publishes the rest."""
        self._retired = True
        self._unsent = {topic: None for topic in self._unsent if topic in self._waiting}

    def take(self) -> tuple[str, str] | None:
        """Take the next piece of news; None if there is none. Whoever fails to deliver it calls `repeat`."""
        topic = next(iter(self._unsent), None)
        if topic is None:
            return None
        waiting = self._waiting.get(topic)
        value = waiting.popleft() if waiting else self._values[topic]
        if not waiting:
            self._waiting.pop(topic, None)
            del self._unsent[topic]
        return topic, value

    def _in_order(self) -> list[str]:
        return sorted(self._values, key=self._place)

    def _place(self, topic: str) -> tuple[bool, int]:
        rank = self._rank(topic)
        return rank <= 0 or bool(self._values[topic]), rank


def _nothing() -> None:
    pass
