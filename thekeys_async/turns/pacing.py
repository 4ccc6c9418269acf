"""The rest that a gateway gets after each reply, and the backoff while it is busy or not there."""

import math

import attrs
from attrs.validators import ge, instance_of, lt

FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 5.0

_MOST_DOUBLINGS = 9


@attrs.frozen
class Pacing:
    """The rest of a gateway, counted from the end of its last reply; ``Pacing(0, 0)`` for none.

    Pauses of this length ended restarts and hang-ups of gateways in the field (observed).

    Attributes:
        light: Seconds after a request that the gateway answers by itself.
        bluetooth: Seconds after a request for which it spoke to a locker.
    """

    light: float = attrs.field(default=0.5, validator=[instance_of((int, float)), ge(0), lt(math.inf)])
    bluetooth: float = attrs.field(default=1.0, validator=[instance_of((int, float)), ge(0), lt(math.inf)])


def backoff(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row, without jitter: each twice the one before."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
