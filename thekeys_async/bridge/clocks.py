"""The two clocks by which commands are judged."""

import time

from thekeys_async._clocks import boot_time
from thekeys_async.bridge.heartbeat import Moment


def now() -> Moment:
    """Ask both clocks.

    Where the system has no clock that runs on in its sleep (all but Linux), what came meanwhile is told by its stamp.
    """
    return Moment(time.time(), boot_time())
