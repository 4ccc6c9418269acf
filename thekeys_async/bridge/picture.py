"""What the broker should know: the newest value of each topic, and which of them it has not been told. Pure.

It is no queue: however long the broker is away, it grows no larger than the number of topics.
"""

from collections.abc import Callable


class Picture:
    """Topics that are retained, with their newest values.

    Args:
        comes_last: Whether a topic is said after all others when everything is said again: discovery, as whoever is
            told of a device asks for its state at once.
    """

    def __init__(self, comes_last: Callable[[str], bool] = lambda _: False) -> None:
        self._comes_last = comes_last
        self.on_news: Callable[[], None] = _nothing
        """Called whenever there is news."""
        self._values: dict[str, str] = {}
        self._unsaid: dict[str, None] = {}

    def __contains__(self, topic: str) -> bool:
        """Whether the broker is to keep something on a topic."""
        return bool(self._values.get(topic))

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> dict[str, str]:
        """All topics and their newest values, in the order in which they are said."""
        return {topic: self._values[topic] for topic in self._in_order()}

    @property
    def unsaid(self) -> int:
        """How many topics have news for the broker."""
        return len(self._unsaid)

    def get(self, topic: str) -> str | None:
        """Get the newest value of a topic."""
        return self._values.get(topic)

    def say(self, topic: str, value: str) -> None:
        """Have a value on a topic; that is news only if it is another one. Empty text empties the topic."""
        if self._values.get(topic) != value:
            self._values[topic] = value
            self._unsaid[topic] = None
            self.on_news()

    def withhold(self, topic: str) -> None:
        """Say nothing on a topic for now; what the broker keeps there stays."""
        self._values.pop(topic, None)
        self._unsaid.pop(topic, None)

    def repeat(self, topic: str) -> None:
        """Say a topic again, as somebody else has overwritten it."""
        if topic in self._values:
            self._unsaid[topic] = None
            self.on_news()

    def repeat_all(self) -> None:
        """Say everything again: to a broker that may have forgotten it, or to somebody who has just come."""
        self._unsaid = dict.fromkeys(self._in_order())
        self.on_news()

    def take(self) -> tuple[str, str] | None:
        """Take the next piece of news; None if there is none. Whoever fails to deliver it calls `repeat`."""
        topic = next(iter(self._unsaid), None)
        if topic is None:
            return None
        del self._unsaid[topic]
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
