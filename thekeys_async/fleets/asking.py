"""Asking many gateways: what came of it, how many at once, and for how long."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import anyio
import attrs

from thekeys_async.calls.budgets import Default, checked
from thekeys_async.protocol.errors import RequestTimeoutError
from thekeys_async.protocol.plain import plain

_T = TypeVar("_T")


@attrs.frozen
class FleetResult(Generic[_T]):
    """What came of asking all gateways. Each is in one of the two.

    Attributes:
        values: What was answered, by the gateway's name.
        errors: Why there is no answer, by the gateway's name.
    """

    values: Mapping[str, _T]
    errors: Mapping[str, Exception]

    def as_dict(self) -> dict[str, Any]:
        """Make a dictionary that `json.dumps` takes: both attributes, as far as what was answered can be written."""
        return {"values": plain(self.values), "errors": plain(self.errors)}


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
