"""The metrics for Prometheus: states as they are when it asks, and counters.

Labels come from the configuration or from closed sets, so that nobody outside can make new series.
"""

import platform
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.discovery import OUTCOMES
from thekeys_async.bridge.heartbeat import Heartbeat
from thekeys_async.bridge.messages import Action
from thekeys_async.bridge.verdicts import Refusal
from thekeys_async.bridge.views import Event
from thekeys_async.calls.observing import Outcome
from thekeys_async.protocol.models import DoorState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30)
_LOCKER: Final = ("locker", "name")


class Metrics:
    """The bridge's metrics, in a registry of their own.

    Args:
        version: This program's version.
    """

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._version = version
        self._states: _States | None = None
        self._events = self._counter("thekeys_locker_events", "Moves of a bolt, by whose doing", (*_LOCKER, "by"))
        self._commands = self._counter(
            "thekeys_commands", "CommandRunner that were carried out or tried", ("action", "outcome")
        )
        self._refused = self._counter("thekeys_commands_refused", "Messages that were refused", ("reason",))
        self._attempts = self._counter("thekeys_command_attempts", "How often commands were sent to a gateway")
        self._polls = self._counter("thekeys_polls", "Polls of gateways", ("result",))
        self._connects = self._counter("thekeys_mqtt_connects", "Connections to the broker so far")
        self._duration = Histogram(
            "thekeys_command_duration_seconds",
            "From a command's being taken to the gateway's reply",
            buckets=_SECONDS,
            registry=self._registry,
        )
        for action in Action:
            for outcome in OUTCOMES[:-1]:
                self._commands.labels(action.value, outcome)
        for refusal in Refusal:
            self._refused.labels(refusal.value)
        for result in Outcome:
            self._polls.labels(result.value)

    def show(self, devices: Devices, heartbeat: Heartbeat, is_connected: Callable[[], bool]) -> None:
        """Show the states of these devices from now on."""
        for lock in devices.locks.values():
            for by in ("bridge", "other"):
                self._events.labels(str(lock.locker.identifier), lock.locker.name, by)
        if self._states is not None:
            self._registry.unregister(self._states)
        self._states = _States(devices, heartbeat, is_connected, self._version)
        self._registry.register(self._states)

    def text(self) -> bytes:
        """Write all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def happened(self, devices: Devices, event: Event) -> None:
        """Count what has happened to a bolt."""
        if event.what == "moved":
            name = devices.locks[event.identifier].locker.name
            self._events.labels(str(event.identifier), name, event.by).inc(event.count)

    def command_sent(self) -> None:
        """Count that the bytes of a command leave."""
        self._attempts.inc()

    def command_ended(self, action: Action, outcome: str, seconds: float) -> None:
        """Count a command."""
        self._commands.labels(action.value, outcome).inc()
        self._duration.observe(seconds)

    def refused(self, refusal: Refusal) -> None:
        """Count a message that is refused."""
        self._refused.labels(refusal.value).inc()

    def polled(self, outcome: Outcome) -> None:
        """Count a poll."""
        self._polls.labels(outcome.value).inc()

    def connected(self) -> None:
        """Count a connection to the broker."""
        self._connects.inc()

    def _counter(self, name: str, words: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, words, labels, registry=self._registry)


class _States(Collector):
    """The metrics that are read off the devices when somebody asks."""

    def __init__(self, devices: Devices, heartbeat: Heartbeat, is_connected: Callable[[], bool], version: str) -> None:
        self._devices = devices
        self._heartbeat = heartbeat
        self._is_connected = is_connected
        self._version = version

    def collect(self) -> Iterator[Metric]:
        yield from self._of_gateways()
        yield from self._of_lockers()
        connected = GaugeMetricFamily("thekeys_mqtt_connected", "Whether the broker takes messages")
        connected.add_metric((), float(self._is_connected()))
        yield connected
        heartbeat = GaugeMetricFamily("thekeys_mqtt_heartbeat_seconds", "How long the newest heartbeat was on its way")
        if self._heartbeat.seconds is not None:
            heartbeat.add_metric((), self._heartbeat.seconds)
        yield heartbeat
        build = GaugeMetricFamily(
            "thekeys_build_info", "Always 1; the labels tell the version", labels=("version", "python")
        )
        build.add_metric((self._version, platform.python_version()), 1.0)
        yield build

    def _of_gateways(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("thekeys_gateway_up", "Whether a gateway answers", labels=("gateway",))
        answered = GaugeMetricFamily(
            "thekeys_gateway_last_answer_timestamp_seconds",
            "When a gateway last answered, in seconds since 1970",
            labels=("gateway",),
        )
        for name, gateway in self._devices.gateways.items():
            up.add_metric((name,), float(bool(gateway.reachable)))
            if gateway.answered_at is not None:
                answered.add_metric((name,), gateway.answered_at)
        yield up
        yield answered

    def _of_lockers(self) -> Iterator[Metric]:
        rssi = GaugeMetricFamily("thekeys_locker_rssi_dbm", "Signal of a locker at its gateway", labels=_LOCKER)
        volts = GaugeMetricFamily("thekeys_locker_battery_volts", "Battery of a locker", labels=_LOCKER)
        state = GaugeMetricFamily(
            "thekeys_locker_bolt_state", "1 for where the bolt is, as far as that is known", labels=(*_LOCKER, "state")
        )
        read = GaugeMetricFamily(
            "thekeys_locker_bolt_read_timestamp_seconds",
            "When the bolt was last read, in seconds since 1970",
            labels=_LOCKER,
        )
        for lock in self._devices.locks.values():
            labels = (str(lock.locker.identifier), lock.locker.name)
            seen = None if lock.lost else lock.reading
            if seen is not None and seen.rssi is not None:
                rssi.add_metric(labels, seen.rssi)
            if seen is not None and seen.battery_mv is not None:
                volts.add_metric(labels, seen.battery_mv / 1000)
            if lock.locker.has_code:  # else nobody will ever know, and no alert is due
                known = lock.known
                for each in DoorState:
                    state.add_metric((*labels, each.value), float(each is known))
            if lock.read_at is not None:
                read.add_metric(labels, lock.read_at)
        yield from (rssi, volts, state, read)
