"""The pauses between attempts to connect to the broker. Pure but for the jitter."""

import random
from typing import Final

import attrs

FIRST: Final = 0.2
LONGEST: Final = 30.0

_MOST_DOUBLINGS: Final = 16


@attrs.define
class Backoff:
    """Pauses that double from 0.2 s to 30 s; each is shortened by up to a half, so that clients do not come at once.

    Attributes:
        failures: The number of failures in a row.
    """

    failures: int = 0

    def failed(self) -> float:
        """Note a failure.

        Returns:
            Seconds to wait.
        """
        pause: float = min(LONGEST, FIRST * 2 ** min(self.failures, _MOST_DOUBLINGS))
        self.failures += 1
        return pause * random.uniform(0.5, 1)  # noqa: S311 - not a secret

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
