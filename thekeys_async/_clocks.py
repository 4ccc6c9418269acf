"""The clock that all processes of one machine share."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

# Looked up, as only Linux has it. Elsewhere the clock may stand still while the machine sleeps.
_BOOT_TIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)

boot_time: Final[Callable[[], float]] = (
    time.monotonic if _BOOT_TIME is None else partial(time.clock_gettime, _BOOT_TIME)
)
"""Tell the seconds since the machine started, the same in all its processes; on Linux its sleep counts, too."""
