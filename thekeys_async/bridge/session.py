"""The dialogue of bridge and broker: the claim, the heartbeat, commands, and topics of an earlier bridge."""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import anyio

from thekeys_async.bridge import clocks
from thekeys_async.bridge.broker import Broker
from thekeys_async.bridge.broker_link import Message, TopicSubscription
from thekeys_async.bridge.devices import Devices
from thekeys_async.bridge.discovery import ORIGIN, is_ours
from thekeys_async.bridge.heartbeat import Heartbeat, Moment
from thekeys_async.bridge.metrics import Metrics
from thekeys_async.bridge.plan import BridgePlan
from thekeys_async.bridge.prefix_claim import PrefixClaim
from thekeys_async.bridge.refusals import Refusals
from thekeys_async.bridge.topics import OFFLINE, ONLINE, Target, Topics, escaped
from thekeys_async.bridge.verdicts import Judge, Refusal

if TYPE_CHECKING:
    from thekeys_async.bridge.commands import CommandRunner

VERSION: Final = version("thekeys-async")

_SILENCE: Final = 10.0


class BrokerSession:
    """One bridge's side of all its connections to the broker.

    Args:
        plan: The bridge's settings.
        devices: All locks and gateways, and their topics.
        metrics: The counters.
        on_forgotten: Called when Home Assistant has started, or somebody has emptied our topics.

    Attributes:
        broker: The connection.
        heartbeat: Whether messages come without delay.
        judge: Decides on commands.
        refusals: Tell of the messages that are refused.
        superseded: Set when another bridge has claimed the prefix.
        commands: Carries commands out; none are taken before it is there.
        is_stopping: Whether no more commands are taken.
    """

    def __init__(self, plan: BridgePlan, devices: Devices, metrics: Metrics, on_forgotten: Callable[[], None]) -> None:
        self.heartbeat = Heartbeat()
        self.superseded = anyio.Event()
        self.commands: CommandRunner | None = None
        self.is_stopping = False
        self._topics = plan.topics
        self._devices = devices
        self._metrics = metrics
        self.refusals = Refusals(plan.topics, devices, metrics)
        self._on_forgotten = on_forgotten
        self._started = clocks.now()
        self._claim = PrefixClaim(secrets.token_hex(8))
        self.judge = Judge(plan.rules, self.heartbeat, self._may_take_commands, self._is_driven, self._started)
        self._retained = devices.retained
        self._retained.set(plan.topics.state, OFFLINE)
        self.broker = Broker(
            plan.broker,
            self._retained,
            _subscriptions(plan.topics),
            self,
            will=(plan.topics.state, OFFLINE),
            client_id=f"thekeys-{secrets.token_hex(8)}",
        )
        self._connected_at = self._started
        self._left_behind: dict[str, None] = {}
        self._publishes = False

    @property
    def is_ready(self) -> bool:
        """Whether a command that is stamped now would be taken."""
        now = clocks.now()
        return self._may_take_commands(now) and self.heartbeat.is_fresh(now) and self.judge.accepts_stamps_of(now)

    def problems(self) -> list[str]:
        """List the reasons why no commands are taken, if none are."""
        if not self.broker.is_connected:
            return ["no connection to the broker"]
        if not self.heartbeat.is_fresh(clocks.now()):
            return ["messages do not come back from the broker in time"]
        return [] if self.is_ready else ["commands are not taken yet"]

    def beat(self, now: Moment) -> None:
        """Send a heartbeat; to be called once a second."""
        self.judge.tick(now)
        if not self.broker.is_connected:
            return
        heard_at = max(self._connected_at.boot, self.heartbeat.newest_sent or 0.0)
        if now.boot - heard_at > _SILENCE:
            self.broker.drop(f"messages do not come back; may this user read and write {self._topics.echo}?")
        else:
            self.broker.publish(self._topics.echo, self.heartbeat.beat(now))
        self._say_if_ready()

    def publish_all(self) -> None:
        """Publish everything again, if it was published on this connection; but no claim, which is another's by now."""
        if self._publishes:
            self._retained.repeat_all(but=self._topics.info)

    async def say_goodbye(self) -> None:
        """Publish that the bridge goes, and wait until everything is confirmed."""
        self._devices.stopped()
        self._retained.set(self._topics.state, OFFLINE)
        await self.broker.flush()

    def connected(self) -> None:
        """Begin anew on a connection: first come the messages that the broker has kept."""
        now = clocks.now()
        self._metrics.connected()
        self.heartbeat.connected()
        self._claim.connected()
        self._connected_at = now
        self._publishes = False
        self._left_behind.clear()
        self._retained.withhold(self._topics.info)
        self._retained.set(self._topics.state, OFFLINE)
        self.broker.publish(self._topics.echo, self.heartbeat.beat(now))

    def disconnected(self) -> None:
        """Take no command until the connection is back, and a heartbeat with it."""
        self.heartbeat.connected()
        self._claim.connected()

    def received(self, message: Message) -> None:
        """Take a message from the broker."""
        topics = self._topics
        if message.topic == topics.echo:
            if self.heartbeat.echoed(message.payload.decode(errors="replace"), clocks.now()):
                self._echo_came()
        elif message.topic == topics.info:
            self._claim_came(message)
        elif (target := topics.target(message.topic)) is not None:
            self._command(target, message)
        elif message.topic == topics.birth:
            if message.payload == ONLINE.encode():
                self._on_forgotten()
        elif self._publishes:
            self._repair(message)
        elif message.payload:
            self._note_left_behind(message)

    def _echo_came(self) -> None:
        """Begin to publish at the first echo: it comes after all that the broker had kept, another's claim as well."""
        if not self._publishes and not self._claim.superseded:
            self._publishes = True
            if self._claim.say():
                self._retained.set(self._topics.info, self._info())
            for topic in self._left_behind:
                self._retained.set(topic, "")
            self.broker.unsubscribe(self._topics.only_left_behind())
            self.broker.publish_all()
        self._say_if_ready()

    def _claim_came(self, message: Message) -> None:
        is_claim = self._claim.heard(message.payload, clocks.now())
        if self._claim.superseded:
            self.superseded.set()
            self._retained.retire()
        if self._publishes and not is_claim:
            self._repair(message)
            self._on_forgotten()
        self._say_if_ready()

    def _repair(self, message: Message) -> None:
        """Publish a topic again that somebody else has overwritten.

        It may be the will of a bridge that was there before, or of our own connection of before, or the last word of
        another bridge.
        """
        value = self._retained.get(message.topic)
        if value is not None and message.payload != value.encode() and not self.is_stopping:
            self._retained.repeat(message.topic)

    def _say_if_ready(self) -> None:
        if not self._publishes or self.is_stopping:
            return
        if self.is_ready:
            self._retained.set(self._topics.state, ONLINE)
        elif not self.judge.accepts_stamps_of(clocks.now()):  # the clock has been set
            self._retained.set(self._topics.state, OFFLINE)

    def _may_take_commands(self, now: Moment) -> bool:
        return self._claim.may_take_commands(now) and self.commands is not None and not self.is_stopping

    def _is_driven(self, target: Target) -> bool:
        if target.kind == "gateway":
            return any(escaped(name) == target.name for name in self._devices.gateways)
        lock = None if target.identifier is None else self._devices.locks.get(target.identifier)
        return lock is not None and lock.locker.has_code

    def _command(self, target: Target, message: Message) -> None:
        if message.retained and not message.payload:
            return  # somebody has emptied the topic
        verdict = self.judge.judge(target, message.payload, retained=message.retained, now=clocks.now())
        if verdict.refusal is Refusal.RETAINED:
            self.broker.publish(message.topic, "", retain=True)
        if verdict.refusal is None and self.commands is not None:
            self.commands.take(verdict)
            return
        asked = None if verdict.command is None else verdict.command.message
        self.refusals.tell(target, asked, verdict.refusal or Refusal.NOT_READY, verdict.detail)

    def _note_left_behind(self, message: Message) -> None:
        """Note a topic of a locker or gateway that an earlier bridge of this prefix has left behind."""
        if message.topic in self._retained or self._topics.is_of(
            message.topic, self._devices.locks, self._devices.gateways
        ):
            return
        if self._topics.is_own_state(message.topic) or is_ours(message.payload, self._topics.prefix):
            self._left_behind[message.topic] = None

    def _info(self) -> str:
        told = info(self._claim.instance, self._started.wall, list(self._devices.gateways))
        return json.dumps(told, ensure_ascii=False)


def info(instance: str, since: float | None, gateways: list[str]) -> dict[str, object]:
    """Put together the bridge's info message; that is its claim to the prefix, too.

    Args:
        instance: The bridge's random name.
        since: When it has started, in seconds since 1970.
        gateways: The gateways that it follows.
    """
    return {
        "origin": ORIGIN,
        "version": VERSION,
        "instance": instance,
        "since": None if since is None else datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds"),
        "gateways": gateways,
    }


def _subscriptions(topics: Topics) -> tuple[TopicSubscription, ...]:
    own = [TopicSubscription(topic, own=True) for topic in (topics.echo, topics.info, topics.state)]
    birth = () if topics.birth is None else (topics.birth,)
    return (
        *own,
        *(
            TopicSubscription(each)
            for each in (*topics.commands(), *birth, *topics.states(), *topics.only_left_behind())
        ),
    )
