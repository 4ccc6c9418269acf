"""How much at once, and for how long, when many gateways are asked."""

from collections.abc import Callable

import anyio

from thekeys_async.calls.budgets import Default, checked
from thekeys_async.protocol.errors import RequestTimeoutError


def checked_count(count: int | None) -> int | None:
    """Check how many gateways may be asked at once.

    Raises:
        ValueError: Fewer than one.
    """
    if count is not None and count < 1:
        raise ValueError("at least one gateway has to be asked at a time")
    return count


def countdown(timeout: float | Default | None) -> Callable[[], float | Default | None]:
    """Say what is left of a time budget that all share, to each when its turn comes."""
    if isinstance(timeout, Default):
        return lambda: timeout
    budget = checked(timeout)
    if budget is None:
        return lambda: None
    ends = anyio.current_time() + budget

    def left() -> float:
        seconds = ends - anyio.current_time()
        if seconds <= 0:
            raise RequestTimeoutError("not asked: the time budget was spent on other gateways")
        return seconds

    return left
