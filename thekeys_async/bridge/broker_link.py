"""One connection to the MQTT broker, from its socket to its end: paho speaks the protocol, anyio waits."""

import logging
import ssl
from typing import Final, Protocol

import anyio
import anyio.abc
import anyio.lowlevel
import attrs
from anyio import to_thread
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from thekeys_async.bridge.broker_address import BrokerAddress
from thekeys_async.bridge.retained import RetainedTopics
from thekeys_async.protocol.text import printable

_log = logging.getLogger("thekeys_async.bridge")

CONNECTING: Final = 10.0
"""Seconds for each of: name, socket and TLS; and the broker's answers to what comes first."""

_KEEPALIVE: Final = 15
_MOST_UNACKNOWLEDGED: Final = 20
_LARGEST_PACKET: Final = 256 * 1024


@attrs.frozen
class Message:
    """A message from the broker.

    Attributes:
        topic: The topic.
        payload: The payload.
        retained: Whether it bears the retain flag: the broker had kept it, or is to keep it.
    """

    topic: str
    payload: bytes = attrs.field(repr=False)
    retained: bool


@attrs.frozen
class TopicSubscription:
    """A subscription to topics.

    Attributes:
        filter: Topics, with wildcards.
        own: Whether to hear what this client itself says.
    """

    filter: str
    own: bool = False


class Session(Protocol):
    """The user of a connection: takes its events. Nothing here waits."""

    def connected(self) -> None:
        """Take the news that the connection is there; the messages that the broker has kept come next."""
        ...

    def received(self, message: Message) -> None:
        """Take a message."""
        ...

    def disconnected(self) -> None:
        """Take the news that the connection is lost; a new one is being made."""
        ...


async def open_connection(client: Client, address: BrokerAddress) -> str | None:
    """Connect, in a thread, as names are looked up and TLS shakes hands there.

    Returns:
        The error, if it failed.
    """
    abandoned = False
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    properties.MaximumPacketSize = _LARGEST_PACKET

    def connect() -> None:
        client.connect(address.host, address.port, _KEEPALIVE, clean_start=True, properties=properties)
        if abandoned and (socket := client.socket()) is not None:
            socket.close()

    try:
        with anyio.fail_after(CONNECTING):
            await to_thread.run_sync(connect, abandon_on_cancel=True)
    except (OSError, ValueError) as error:  # TimeoutError and ssl.SSLError are OSErrors; CertificateError a ValueError
        return _words(error, address)
    finally:
        abandoned = True
    return None


def _words(error: Exception, address: BrokerAddress) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {address} is not to be trusted ({error.verify_message})"
    return f"{address} can't be reached ({getattr(error, 'strerror', None) or type(error).__name__})"


class Link:
    """One connection, from its socket to its end."""

    def __init__(self, client: Client, retained: RetainedTopics) -> None:
        self.client = client
        self.publishes = False
        self.opened = anyio.Event()
        self.wakeup = anyio.Event()
        self.lost_because: str | None = None
        self._retained = retained
        self._session: Session | None = None
        self._received: list[Message] = []
        self._tasks: anyio.abc.TaskGroup | None = None
        self._subscribed = anyio.Event()
        self._writable = anyio.Event()
        self._changed = anyio.Event()
        self._on_the_way: dict[int, str] = {}
        client.on_connect = self._connected
        client.on_subscribe = self._confirmed
        client.on_message = self._on_message
        client.on_publish = self._acknowledged
        client.on_disconnect = self._disconnected
        client.on_socket_close = lambda _client, _data, socket: anyio.notify_closing(socket)

    @property
    def unacknowledged(self) -> int:
        """The number of messages that the broker has not confirmed."""
        return len(self._on_the_way)

    def begin(self, tasks: anyio.abc.TaskGroup) -> None:
        """Read and write, in tasks of the owner's, until the connection is lost."""
        self._tasks = tasks
        self.client.on_socket_register_write = self._has_to_write
        self._writable.set()
        for work in (self._read, self._write, self._keep_alive, self._publish_news):
            tasks.start_soon(work)

    def lose(self, why: str) -> None:
        """End the connection: it is of no use any more."""
        if self.lost_because is None:
            self.lost_because = why
        self._set(self._changed)
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def close(self) -> None:
        """Close the socket; say good-bye only where we end it, as the broker is to publish the will in other cases."""
        self._tasks = None
        self._set(self._changed)
        self.client.on_socket_register_write = None
        if self.client.socket() is not None and self.lost_because is None:
            self.client.disconnect()
        if (socket := self.client.socket()) is not None:
            anyio.notify_closing(socket)
            socket.close()
        self.client.on_socket_close = None  # it may be collected when no event loop runs any more

    async def subscribe(self, subscriptions: tuple[TopicSubscription, ...]) -> None:
        """Subscribe, and wait until the broker has confirmed it."""
        options = [
            (each.filter, SubscribeOptions(qos=0, noLocal=not each.own, retainAsPublished=True))
            for each in subscriptions
        ]
        self.client.subscribe(options)
        await self._subscribed.wait()

    def publish_now(self, topic: str, payload: str, *, retain: bool = False) -> bool:
        """Publish a message with QoS 0, unless the broker is too slow for it."""
        if self.client.want_write():
            self._check(self.client.loop_write())
        if self.client.want_write():
            return False
        return self.client.publish(topic, payload, qos=0, retain=retain).rc is MQTTErrorCode.MQTT_ERR_SUCCESS

    def tell(self, session: Session) -> None:
        """Tell a session what has been read, and what is read from now on."""
        session.connected()
        self._session = session
        self._deliver()

    async def next_change(self) -> None:
        """Wait until something is confirmed or taken, or the connection is lost."""
        await self._changed.wait()

    async def _read(self) -> None:
        while (socket := self.client.socket()) is not None:
            try:
                await anyio.wait_readable(socket)
            except (anyio.ClosedResourceError, OSError, ValueError):
                break
            self._read_packets()
            # What TLS has decrypted already makes no socket readable.
            while isinstance(again := self.client.socket(), ssl.SSLSocket) and again.pending():
                self._read_packets()
        self.lose("the connection was closed")

    def _read_packets(self) -> None:
        code = self.client.loop_read()
        self._deliver()
        self._check(code)

    def _deliver(self) -> None:
        """Hand on what was read; not in paho's callback, where it holds a lock that to publish something waits for."""
        if self._session is not None:
            received, self._received = self._received, []
            for message in received:
                self._session.received(message)

    async def _write(self) -> None:
        while (socket := self.client.socket()) is not None:
            if not self.client.want_write():
                self._writable = anyio.Event()
                await self._writable.wait()
                continue
            try:
                await anyio.wait_writable(socket)
            except (anyio.ClosedResourceError, OSError, ValueError):
                break
            self._check(self.client.loop_write())
        self.lose("the connection was closed")

    async def _keep_alive(self) -> None:
        while True:
            await anyio.sleep(_KEEPALIVE / 3)
            self._check(self.client.loop_misc())

    async def _publish_news(self) -> None:
        """Publish what changes in the retained topics, with few messages on the way at once."""
        while True:
            while not self.publishes or len(self._on_the_way) >= _MOST_UNACKNOWLEDGED or not self._publish_one():
                self._set(self._changed)
                self.wakeup = anyio.Event()
                await self.wakeup.wait()
            await anyio.lowlevel.checkpoint()

    def _publish_one(self) -> bool:
        news = self._retained.take()
        if news is None:
            return False
        topic, value = news
        said = self.client.publish(topic, value, qos=1, retain=True)
        if said.rc is MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._on_the_way[said.mid] = topic
        else:
            self._retained.repeat(topic)
            self.lose("nothing can be written")
        return True

    def _has_to_write(self, _client: Client, _data: object, _socket: object) -> None:
        self._writable.set()

    def _check(self, code: MQTTErrorCode) -> None:
        if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.lose(f"the connection was lost ({code.name})")

    def _connected(
        self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            self.lose(f"the broker says: {reason}")
        else:
            self.opened.set()

    def _confirmed(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        if refused := next((reason for reason in reasons if reason.is_failure), None):
            self.lose(f"the broker refuses a subscription: {refused}")
        else:
            self._subscribed.set()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._received.append(Message(topic, bytes(message.payload), message.retain))

    def _acknowledged(self, _client: Client, _data: object, mid: int, reason: ReasonCode, _properties: object) -> None:
        topic = self._on_the_way.pop(mid, None)
        if topic is not None and reason.is_failure:
            _log.warning("the broker does not take %s: %s", printable(topic), reason)
        self.wakeup.set()
        self._set(self._changed)

    def _disconnected(
        self, _client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        who = "the broker ended the connection" if flags.is_disconnect_packet_from_server else "the connection was lost"
        self.lose(f"{who}: {reason}")

    def _set(self, event: anyio.Event) -> None:
        event.set()
        if event is self._changed:
            self._changed = anyio.Event()
