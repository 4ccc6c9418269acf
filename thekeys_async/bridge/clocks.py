"""The two clocks by which commands are judged."""

import time

from thekeys_async.bridge.heartbeat import Moment
from thekeys_async.coordination.base import boot_time


def now() -> Moment:
    """Ask both clocks.

    Where the system has no clock that runs on in its sleep (all but Linux), what came meanwhile is told by its stamp.
    """
    return Moment(time.time(), boot_time())
