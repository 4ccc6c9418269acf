"""The reports of refused messages: in the log, in the metrics, and as the result on their device's topic."""

import logging

from thekeys_async.bridge import clocks
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.messages import CommandMessage
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.topics import Target, Topics
from thekeys_async.bridge.verdicts import Refusal
from thekeys_async.protocol.text import printable

_log = logging.getLogger("thekeys_async.bridge")


class Refusals:
    """Tells of refused messages.

    Args:
        topics: The bridge's topics.
        devices: Publish the result.
        metrics: The counters.
    """

    def __init__(self, topics: Topics, devices: Devices, metrics: Metrics) -> None:
        self._topics = topics
        self._devices = devices
        self._metrics = metrics

    def tell(self, target: Target, message: CommandMessage | None, refusal: Refusal, detail: str = "") -> None:
        """Tell of one.

        Args:
            target: The target.
            message: The message; None if it had not the form of a command. None of it is logged.
            refusal: The reason for the refusal.
            detail: More words on that.
        """
        self._metrics.refused(refusal)
        why = f"{refusal.value} ({detail})" if detail else refusal.value
        _log.warning("refused a message on %s: %s", printable(self._topics.of(target)), why)
        self._devices.result(target, message, "refused", why, clocks.now().wall)
