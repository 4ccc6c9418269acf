"""The retained topics: the newest value of each, and which of them the broker has yet to get. Pure.

It is no queue: however long the broker is away, it grows no larger than the number of topics.
"""

from collections.abc import Callable


class RetainedTopics:
    """Topics that are retained, with their newest values.

    Args:
        comes_last: Whether a topic comes after all others when everything is published again: discovery, as whoever is
            told of a device asks for its state at once.
    """

    def __init__(self, comes_last: Callable[[str], bool] = lambda _: False) -> None:
        self._comes_last = comes_last
        self.on_news: Callable[[], None] = _nothing
        """Called whenever there is news."""
        self._values: dict[str, str] = {}
        self._unsent: dict[str, None] = {}

    def __contains__(self, topic: str) -> bool:
        """Whether the broker is to keep something on a topic."""
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
        if self._values.get(topic) != value:
            self._values[topic] = value
            self._unsent[topic] = None
            self.on_news()

    def withhold(self, topic: str) -> None:
        """Publish nothing on a topic for now; the broker's value stays."""
        self._values.pop(topic, None)
        self._unsent.pop(topic, None)

    def repeat(self, topic: str) -> None:
        """Publish a topic again, as somebody else has overwritten it."""
        if topic in self._values:
            self._unsent[topic] = None
            self.on_news()

    def repeat_all(self) -> None:
        """Publish everything again: to a broker that may have lost it, or to somebody who has just subscribed."""
        self._unsent = dict.fromkeys(self._in_order())
        self.on_news()

    def take(self) -> tuple[str, str] | None:
        """Take the next piece of news; None if there is none. Whoever fails to deliver it calls `repeat`."""
        topic = next(iter(self._unsent), None)
        if topic is None:
            return None
        del self._unsent[topic]
        return topic, self._values[topic]

    def _in_order(self) -> list[str]:
        # A device that is taken away goes before its topics, one that is announced comes after them.
        return sorted(self._values, key=lambda topic: self._rank(topic, self._values[topic]))

    def _rank(self, topic: str, value: str) -> int:
        if not self._comes_last(topic):
            return 1
        return 2 if value else 0


def _nothing() -> None:
    pass
