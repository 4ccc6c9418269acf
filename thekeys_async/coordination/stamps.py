"""Which timestamp a turn brings: one pure function. Redis has the same lines in its script."""

from thekeys_async.coordination.base import Wish


def next_timestamp(last: int, wish: Wish) -> tuple[int, float]:
    """Choose the timestamp after `last`.

    Args:
        last: The last one that was handed out.
        wish: What is wanted.

    Returns:
        The timestamp, and how many seconds to wait before it may be taken; then ask again.
    """
    clock = wish.clock()
    last = max(last, wish.newer_than)
    excess = last + 1 - clock - (0.0 if wish.catch_up else wish.max_lead)
    wait = excess if 0 < excess <= 1 or (wish.catch_up and excess > 0) else 0.0
    return max(int(clock), last + 1), wait
