"""Asking many gateways: the result, how many at once, and the time budget that they share."""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import anyio
import attrs

from thekeys_async.calls.budgets import Default, checked
from thekeys_async.gateway import AsyncGateway
from thekeys_async.protocol.errors import RequestTimeoutError
from thekeys_async.protocol.serialization import plain

_T = TypeVar("_T")

AT_ONCE = 100
"""The number of gateways that are asked at once by default. More in one burst costs more for each: Python's garbage
collector walks again and again over all that waits for an answer."""


@attrs.frozen
class FleetResult(Generic[_T]):
    """The result of asking all gateways. Each gateway is in one of the two.

    Attributes:
        values: The answers, by the gateway's name.
        errors: The errors, by the gateway's name.
    """

    values: Mapping[str, _T]
    errors: Mapping[str, Exception]

    def as_dict(self) -> dict[str, Any]:
        """Make a dictionary that `json.dumps` takes: both attributes, as far as the answers can be written."""
        return {"values": plain(self.values), "errors": plain(self.errors)}


async def ask_all(
    gateways: Mapping[str, AsyncGateway], function: Callable[[AsyncGateway], Awaitable[_T]], at_once: int
) -> FleetResult[_T]:
    """Run an async function on every gateway, so many at once."""
    values: dict[str, _T] = {}
    errors: dict[str, Exception] = {}
    left = iter(gateways.items())

    async def work() -> None:
        for name, gateway in left:  # each takes the next one that nobody has taken
            try:
                values[name] = await function(gateway)
            except Exception as error:  # noqa: BLE001 - handed to the caller, by name
                errors[name] = error
            except anyio.get_cancelled_exc_class():
                if anyio.current_effective_deadline() == -math.inf:
                    raise
                errors[name] = RuntimeError("what was called was cancelled, and not by whoever called it")

    async with anyio.create_task_group() as tasks:
        for _ in range(min(at_once, len(gateways))):
            tasks.start_soon(work)
    return FleetResult(_in_order(values, gateways), _in_order(errors, gateways))


def _in_order(results: Mapping[str, _T], names: Iterable[str]) -> dict[str, _T]:
    return {name: results[name] for name in names if name in results}


def checked_count(count: int | None) -> int | None:
    """Check how many gateways may be asked at once.

    Raises:
        ValueError: Fewer than one.
    """
    if count is not None and count < 1:
        raise ValueError("at least one gateway has to be asked at a time")
    return count


def countdown(timeout: float | Default | None) -> Callable[[], float | Default | None]:
    """Make a function that returns what is left of a time budget that all gateways share."""
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
