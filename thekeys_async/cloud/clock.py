"""Time as this package sees it; tests bring their own."""

import time
from collections.abc import Awaitable, Callable

import anyio
import attrs


@attrs.frozen
class Clock:
    """Where seconds come from.

    Attributes:
        monotonic: Seconds that never go back; what a token's life is counted in.
        sleep: Waits some seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
