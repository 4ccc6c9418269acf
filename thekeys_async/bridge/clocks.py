"""The two clocks by which commands are judged."""

import time
from typing import Final

from thekeys_async.bridge.heartbeat import Moment

_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> Moment:
    """Ask both clocks.

    Where the system has no clock that runs on in its sleep (all but Linux), what came meanwhile is told by its stamp.
    """
    return Moment(time.time(), time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT))
