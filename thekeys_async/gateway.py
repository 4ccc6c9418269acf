"""`AsyncGateway`: one gateway, whose caller never meets busy, stale timestamps or half-known doors."""

import logging
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from thekeys_async.calls.budgets import DEFAULT, Default, checked
from thekeys_async.calls.driver import Driver, result_of
from thekeys_async.calls.observing import Observer
from thekeys_async.coordination.base import Coordinator
from thekeys_async.locker import AsyncLocker
from thekeys_async.protocol import endpoints, replies
from thekeys_async.protocol.address import Address
from thekeys_async.protocol.endpoints import Endpoint
from thekeys_async.protocol.models import CommandResult, GatewayStatus, LockerReading, check_identifier
from thekeys_async.protocol.requests import Request
from thekeys_async.protocol.secrets import ShareCode, is_guessable
from thekeys_async.transport.wire import Wire
from thekeys_async.turns.pacing import Pacing
from thekeys_async.turns.shared import SharedSettings
from thekeys_async.turns.timestamps import Timestamps

if TYPE_CHECKING:
    import httpx

    from thekeys_async.calls.recorder import Recorder
    from thekeys_async.streams.watcher import Watcher

_log = logging.getLogger("thekeys_async")
_MINUTES = 300.0
_GUESSABLE = "%s: the share codes of these lockers are so short that one caught request tells them: %s"


class AsyncGateway:
    """A gateway on the LAN.

    Use it as ``async with AsyncGateway(...) as gateway:``, or call `aclose` at the end. Any number of tasks and of
    objects for the same gateway may be used at once: the gateway gets one request at a time, commands first.

    Every method takes ``timeout=``: the seconds that queueing, retries and the request may take together, None for no
    limit, a ValueError if not positive. Every method may raise `GatewayUnreachableError`, `GatewayBusyError` or
    `RequestTimeoutError`; a read `ProtocolError`, a command `OutcomeUnknownError`.

    Args:
        host: ``"192.168.0.26"``, ``"gateway.lan:8080"``, ``"http://192.168.0.26/"``, ``"[fe80::1]:80"``.
        name: The gateway's name in messages and updates; its address if not given.
        share_codes: The share code of each locker, by the locker's identifier.
        timeout: The time budget of a call, in seconds, where the call gives none.
        pacing: The rest of the gateway after each reply.
        timestamps: The relation of timestamps to the clock.
        coordinator: Shares turns and timestamps with other processes or machines.
        client: An httpx client of the caller's to send through; it stays open. See the docs for what that weakens.
        transport: An httpx transport to send through instead; it is closed with the gateway.
        key: The gateway's identity, where it has several addresses; its normalised address if not given.
        recover_clock: Whether a gateway that says that its clock is not set is synchronised, which may install
            firmware.
        observer: Called with a plain value at each wait, request, call and poll: for metrics.
        record: Takes down every exchange, without what tells whose gateway it is: a `Recorder`, or the path of a new
            file that is closed with the gateway. Not with `client` or `transport`.

    Raises:
        ValueError: An argument makes no sense, or others use the gateway in this event loop with another pacing,
            other timestamps or another coordinator (then also when it is entered or first used).
    """

    def __init__(
        self,
        host: str,
        *,
        name: str | None = None,
        share_codes: Mapping[int, str] | None = None,
        timeout: float | None = 30.0,
        pacing: Pacing = Pacing(),  # noqa: B008 - frozen
        timestamps: Timestamps = Timestamps(),  # noqa: B008 - frozen
        coordinator: Coordinator | None = None,
        client: "httpx.AsyncClient | None" = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        key: str | None = None,
        recover_clock: bool = True,
        observer: Observer | None = None,
        record: "Recorder | str | os.PathLike[str] | None" = None,
    ) -> None:
        try:
            codes = {check_identifier(i): ShareCode(code) for i, code in (share_codes or {}).items()}
        except (TypeError, ValueError) as error:
            raise error.with_traceback(None) from None
        finally:
            share_codes = None  # an error that is shown with its local variables must not show them
        if client is not None and transport is not None:
            raise ValueError("give a client or a transport, not both")
        if record is not None and (client is not None or transport is not None):
            raise ValueError("what goes through httpx can't be recorded: its bytes are not seen")
        address = Address.parse(host)
        if weak := sorted(identifier for identifier, code in codes.items() if is_guessable(code)):
            _log.warning(_GUESSABLE, name or host, ", ".join(map(str, weak)))
        self._transport = transport
        self._own_recorder, recorder = _recorder(record)
        self._driver = Driver(
            name=name or str(address),
            address=address,
            key=key or str(address),
            observer=observer,
            recorder=recorder,
            settings=SharedSettings(pacing, timestamps, coordinator),
            timeout=checked(timeout),
            codes=codes,
            own_wire=_through_httpx(address, client, transport),
            recover_clock=recover_clock,
        )

    def __repr__(self) -> str:
        driver: Driver | None = getattr(self, "_driver", None)  # also when its making has failed
        return f"<AsyncGateway {driver.name!r} at {driver.address}>" if driver else "<AsyncGateway>"

    async def __aenter__(self) -> Self:
        self._driver.shared()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection.

        Requests of other tasks that are on the wire end as they would have, and a `transport` is closed after the
        last of them. What was still queued is not sent, and ends in `GatewayClosedError`, as new calls do.
        """
        self._driver.close()
        try:
            if self._transport or self._own_recorder:
                await self._driver.wait_until_over()
        finally:
            if self._own_recorder:
                self._own_recorder.close()
            if self._transport:
                await self._transport.aclose()

    @property
    def name(self) -> str:
        """The gateway's name in messages and updates; in a fleet, its key."""
        return self._driver.name

    @name.setter
    def name(self, name: str) -> None:
        self._driver.name = name

    @property
    def address(self) -> str:
        """The gateway's address, as ``host:port``."""
        return str(self._driver.address)

    @property
    def closed(self) -> bool:
        """Whether it is closed, and takes no more calls."""
        return self._driver.closed

    async def lockers(self, *, timeout: float | Default | None = DEFAULT) -> tuple[LockerReading, ...]:
        """List the lockers that the gateway's Bluetooth scan sees; about 0.13 s (observed).

        A field that makes no sense is None in its reading; a device without a usable identifier is left out, with one
        warning.

        Raises:
            ProtocolError: The answer can't be understood.
        """
        return await self._driver.scan(self._driver.seconds(timeout))

    async def status(self, *, timeout: float | Default | None = DEFAULT) -> GatewayStatus:
        """Ask for the firmware's version and what the gateway is doing.

        Firmware before 17 does not know ``/status`` (the vendor's page) and is asked for ``/`` instead (observed).

        Raises:
            ProtocolError: The answer can't be understood.
        """
        return await self._driver.status(self._driver.seconds(timeout))

    async def synchronize(self, *, timeout: float | None = _MINUTES) -> CommandResult:
        """Let the gateway fetch shares, events and settings from the vendor's cloud.

        It may take minutes, may install new firmware in the gateway and in lockers, and keeps the gateway from
        reaching any locker meanwhile.
        """
        return await self._command(endpoints.SYNCHRONIZE, timeout)

    async def update_firmware(self, *, timeout: float | None = _MINUTES) -> CommandResult:
        """Install the gateway's firmware, also if it is up to date; the gateway goes away for some seconds.

        Raises:
            InvalidFirmwareError: Usually a failed download.
            FirmwareUnavailableError: The vendor's cloud did not return the firmware.
        """
        return await self._command(endpoints.UPDATE, timeout)

    async def automatic_synchronization(
        self,
        enabled: bool,  # noqa: FBT001 - on or off is all that it says
        *,
        timeout: float | Default | None = DEFAULT,
    ) -> CommandResult:
        """Let the gateway synchronise by itself, or not (observed in the vendor's own clients, not on its page).

        Args:
            enabled: Whether it does from now on.
            timeout: Seconds, as everywhere.
        """
        seconds = self._driver.seconds(timeout)
        return result_of(await self._driver.ask(Request(endpoints.AUTO, enable=enabled), replies.check_done, seconds))

    def locker(self, identifier: int, *, share_code: str | None = None) -> AsyncLocker:
        """Get one of its lockers. Nothing is sent.

        Args:
            identifier: The locker's number.
            share_code: Its share code; the one given to the gateway if not given here.
        """
        try:
            check_identifier(identifier)
            code = self._driver.share_code(identifier) if share_code is None else ShareCode(share_code)
        except (TypeError, ValueError) as error:
            raise error.with_traceback(None) from None
        finally:
            share_code = None  # as in `__init__`
        return AsyncLocker(self._driver, identifier, code)

    def watch(
        self,
        interval: float = 10.0,
        *,
        every_poll: bool = False,
        min_rssi_change: int = 1,
        min_battery_change: int = 1,
        lockers: Iterable[int] | None = None,
        follow_doors: bool = False,
        door_interval: float = 300.0,
        lost_after: int = 3,
        status_interval: float | None = None,
    ) -> "Watcher":
        """Follow all its lockers: ``async with gateway.watch() as updates: async for update in updates: ...``.

        However many watch a gateway, it is polled once for all, at the smallest interval. The iterator outlives a
        gateway that vanishes, restarts or answers nonsense, and what a slow consumer does not take in time becomes
        one update for each locker.

        Args:
            interval: Seconds from poll to poll.
            every_poll: Whether an update comes with each poll, also if nothing has changed.
            min_rssi_change: Smaller changes of the signal, in dB, are noise.
            min_battery_change: Smaller changes of the battery, in mV, are noise.
            lockers: Hear of these alone, and that they are lost if they are never seen; all if not given.
            follow_doors: Also read the doors for which this object has a share code, over Bluetooth, which costs the
                lockers' batteries: when first seen, when `LockerReading.last_log` has grown, and after a command.
            door_interval: Seconds between reads of a door whose locker does not tell its `last_log`.
            lost_after: Polls in a row without a locker that make it lost.
            status_interval: Seconds between requests for the gateway's own status, so that its firmware and what it
                does are in its updates. If not given, it is asked only when it is busy, once a minute at most: a
                synchronisation that hangs is news all the same.

        Raises:
            ValueError: An argument makes no sense.
        """
        from thekeys_async.streams import Subscription, Watcher, WatchOptions  # noqa: PLC0415 - most programs watch nothing

        options = WatchOptions(
            interval=interval,
            every_poll=every_poll,
            min_rssi_change=min_rssi_change,
            min_battery_change=min_battery_change,
            lockers=lockers,
            follow_doors=follow_doors,
            door_interval=door_interval,
            lost_after=lost_after,
            status_interval=status_interval,
        )
        return Watcher(lambda: Subscription(self._driver, options))

    def read_now(self, identifier: int) -> None:
        """Have a locker's bolt read at once for all watchers that follow it; what it says comes through them.

        Returns at once. Nothing happens if nobody follows that door through this gateway in this event loop.

        Args:
            identifier: The locker's number.
        """
        from thekeys_async.streams.poller import read_now  # noqa: PLC0415 - as in `watch`

        read_now(self._driver.shared(), check_identifier(identifier))

    async def _command(self, endpoint: Endpoint, timeout: float | None) -> CommandResult:
        answer = await self._driver.ask(Request(endpoint), replies.check_done, checked(timeout))
        return result_of(answer)


def driver_of(gateway: AsyncGateway) -> Driver:
    """Get the driver of a gateway; fleets make calls through it, too."""
    return gateway._driver  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - this module's own


def _recorder(
    record: "Recorder | str | os.PathLike[str] | None",
) -> "tuple[Recorder | None, Recorder | None]":
    """Get the recorder that is closed with the gateway, if there is one, and the recorder."""
    if not isinstance(record, (str, os.PathLike)):
        return None, record
    from thekeys_async.calls.recorder import Recorder  # noqa: PLC0415 - hardly anybody records

    made = Recorder(record)
    return made, made


def _through_httpx(
    address: Address, client: "httpx.AsyncClient | None", transport: "httpx.AsyncBaseTransport | None"
) -> Wire | None:
    if client is None and transport is None:
        return None
    from thekeys_async.transport import httpx_wire  # noqa: PLC0415 - whoever gives one has loaded httpx; nobody else need wait

    return httpx_wire.wire(address, client, transport)
