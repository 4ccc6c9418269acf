"""A simulated gateway: a real HTTP server on loopback that does one thing at a time, as the hardware does."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AsyncExitStack, contextmanager
from random import Random
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from thekeys_async.simulator.faults import FaultInjection
from thekeys_async.simulator.http.server import HttpServer, owned_tasks
from thekeys_async.simulator.locker import SimulatedLocker, Turn
from thekeys_async.simulator.recorded_gateway import SAMPLE_CODE, RecordedGateway
from thekeys_async.simulator.replies import ReplyStyle
from thekeys_async.simulator.request_log import RequestLog, RequestRecord
from thekeys_async.simulator.service import Effects, Service, Settings
from thekeys_async.simulator.state import SCANNING, GatewayState


class SimulatedGateway(FaultInjection):
    """A gateway for tests and demonstrations; an async context manager that serves while it is entered.

    Its methods belong to the event loop that it runs in; what is read from it may be read from any thread.

    Args:
        lockers: The lockers that it sees.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        version: Of its firmware.
        light: Seconds of work for a light request.
        bluetooth: Seconds of work for a request that needs a locker.
        style: The way in which replies are written.
        keep_alive: Whether connections are kept; if not, each reply says `Connection: close`.
        silent_close: Close a kept connection so many seconds after a reply, without having said so; None does not.
        last_log: Whether `/lockers` tells `last_log`; old firmware does not.
        status_path: Whether it knows `/status`; firmware before 17 gives it at `/` only.
        max_future: How many seconds a timestamp may be ahead of its clock; None does not check.
        clock: Its own wall clock, in seconds since 1970.
        clock_set: Whether it knows the time. If not, signed requests end in 38 until `/synchronize`.
        restart: Seconds for which it is away after an update.
        synchronization: Seconds of work that `/synchronize` is.
        bolt_delay: Seconds from the reply to the bolt being there; the field saw about 5.
        seed: Of all that is random: which requests fail, how the RSSI wanders.
        keep: How many records are kept at most.
        recorded: A gateway that was recorded, to behave like; see `from_recording()`.

    Attributes:
        settings: The delays and ways given above; may be changed at any time.
        state: The gateway's memory; may be changed at any time.
        on_synchronize: Functions that are called when the gateway (with None) or a locker (with its identifier) has
            been synchronised. Here a simulated cloud hands over its shares.
    """

    def __init__(
        self,
        lockers: Iterable[SimulatedLocker] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        version: int = 65,
        light: float = 0.13,
        bluetooth: float = 3.0,
        style: ReplyStyle = ReplyStyle.FIELD,
        keep_alive: bool = True,
        silent_close: float | None = None,
        last_log: bool = True,
        status_path: bool = True,
        max_future: float | None = None,
        clock: Callable[[], float] = time.time,
        clock_set: bool = True,
        restart: float = 8.0,
        synchronization: float = 1.0,
        bolt_delay: float = 0.0,
        seed: int = 0,
        keep: int = 100_000,
        recorded: RecordedGateway | None = None,
    ) -> None:
        self.settings = Settings(light, bluetooth, synchronization, bolt_delay, restart, style, keep_alive, status_path)
        self.state = GatewayState(
            lockers,
            version=version,
            clock=clock,
            clock_set=clock_set,
            max_future=max_future,
            tells_last_log=last_log,
            phase=recorded.phase if recorded else SCANNING,
        )
        self.on_synchronize: list[Callable[[int | None], None]] = []
        self.host, self.port = host, port
        self._silent_close = silent_close
        random = Random(seed)  # noqa: S311 - repeatable, nothing secret
        super().__init__(random, self._refuse)
        self._log = RequestLog(keep, self._changed)
        effects = Effects(self._turn, self._synchronized, self._restart, self._refuse)
        self._service = Service(
            self.state, self.settings, self._log, self._incidents, random=random, effects=effects, recorded=recorded
        )
        self._dead = recorded is not None and recorded.dead
        self._phase = 0
        self._refusals = 0
        self._change: anyio.Event | None = None
        self._running: tuple[HttpServer, TaskGroup] | None = None
        self._stack = AsyncExitStack()

    @classmethod
    def from_recording(
        cls,
        recording: str | os.PathLike[str] | Iterable[str],
        *,
        gateway: str | None = None,
        share_codes: Mapping[int, str] | str = SAMPLE_CODE,
        **settings: Any,
    ) -> Self:
        """Make a gateway that behaves as a recorded one did.

        What was recorded of each request is given in its order, again and again: headers, pieces, times, odd fields,
        refusals, and what became of the connection. What went well is answered with what is true today: a bolt that is
        opened here is open. A request that was never recorded is answered in the style that fits best.

        Args:
            recording: A file's path, or the lines of a recording.
            gateway: The gateway's name in the recording; the first one if not given.
            share_codes: By locker, or one for all; a recording has none. The vendor's sample if not given.
            settings: Keyword arguments of `SimulatedGateway`, instead of what the recording tells.

        Raises:
            OSError: The file can't be read.
            ValueError: It is no recording, or has nothing of that gateway.
        """
        recorded = RecordedGateway.read(recording, gateway)
        return cls(recorded.lockers(share_codes), recorded=recorded, **{**recorded.settings(), **settings})

    async def __aenter__(self) -> Self:
        """Serve.

        Raises:
            OSError: The address can't be listened at.
        """
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(owned_tasks())
            server = HttpServer(tasks, self._service.handle, self.host, self.port, idle=self._silent_close)
            stack.callback(server.close)
            await server.on()
            self.port = server.port
            self._running = server, tasks
            if self._dead:
                server.pause()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving; what is under way is dropped."""
        try:
            await self._stack.__aexit__(kind, error, trace)
        finally:
            self._running = None

    @property
    def address(self) -> str:
        """Host and port, as a client takes them: `"127.0.0.1:41234"`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"http://{self.address}"

    @property
    def lockers(self) -> dict[int, SimulatedLocker]:
        """The lockers, by identifier."""
        return self.state.lockers

    @property
    def version(self) -> int:
        """Of its firmware."""
        return self.state.version

    @property
    def phase(self) -> str:
        """Its phase, as `/status` tells it."""
        return self.state.phase

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """Every request so far, also those under way, in the order of arrival."""
        return self._log.records

    @property
    def overlaps(self) -> int:
        """The number of requests that arrived while another was being worked on."""
        return self._log.overlaps

    def work_share(self) -> float:
        """Return the fraction of the time, from the first arrival to the last end, in which it was at work."""
        return self._log.work_share()

    async def stop(self) -> None:
        """Vanish, as if the power were cut: connections are refused, and what was worked on is not done."""
        await self._server.off()

    async def start(self) -> None:
        """Come back at the same port after `stop()`.

        Raises:
            OSError: Somebody else has taken the port.
        """
        await self._server.on()

    def reboot(self) -> None:
        """Restart, as the account's web pages can order: it drops what it works on, and is away for a while."""
        self.stop_synchronizing()
        self._go_away(newer=0)

    def start_synchronizing(self, what: str | int = "gw", seconds: float | None = None) -> None:
        """Begin to synchronise by itself: everything is answered "busy", but its status.

        Args:
            what: `"gw"`, or the identifier of a locker; `/status` tells it.
            seconds: The duration; None until `stop_synchronizing()`.
        """
        self.stop_synchronizing()
        self.state.phase = f"Synchronizing {what}"
        if seconds is not None:
            self._tasks.start_soon(self._synchronize_for, seconds, self._phase)

    def stop_synchronizing(self) -> None:
        """Go back to scanning."""
        self.state.phase = SCANNING
        self._phase += 1
        self._changed()

    @contextmanager
    def synchronizing(self, what: str | int = "gw") -> Generator[None, None, None]:
        """Synchronise by itself as long as the block lasts."""
        self.start_synchronizing(what)
        try:
            yield
        finally:
            self.stop_synchronizing()

    def turn_bolt(self, identifier: int, turn: Turn) -> None:
        """Turn a bolt by hand: its log grows, and the gateway has not been asked."""
        self.lockers[identifier].turn(turn, "hand")
        self._changed()

    def vanish(self, identifier: int) -> None:
        """Take a locker out of range."""
        self.lockers[identifier].in_range = False

    def appear(self, locker: int | SimulatedLocker) -> None:
        """Bring a locker back into range, by its identifier, or add a new one."""
        if isinstance(locker, SimulatedLocker):
            self.lockers[locker.identifier] = locker
        else:
            self.lockers[locker].in_range = True

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true; looked at whenever a request arrives or ends, or a bolt has turned."""
        while not condition():
            self._change = self._change or anyio.Event()
            await self._change.wait()

    async def wait_for_requests(self, count: int, *, on: str | None = None) -> None:
        """Wait until so many requests have arrived since it was made.

        Args:
            count: How many.
            on: Count only those for the endpoint of this name.
        """
        await self.wait_until(lambda: sum(on in {None, record.endpoint} for record in self.requests) >= count)

    def _changed(self) -> None:
        if self._change is not None:
            self._change.set()
            self._change = None

    @property
    def _server(self) -> HttpServer:
        return self._alive()[0]

    @property
    def _tasks(self) -> TaskGroup:
        return self._alive()[1]

    def _alive(self) -> tuple[HttpServer, TaskGroup]:
        if self._running is None:
            raise RuntimeError("The simulated gateway is not running: enter it with `async with`.")
        return self._running

    def _turn(self, locker: SimulatedLocker, turn: Turn) -> None:
        if self.settings.bolt_delay > 0:
            self._tasks.start_soon(self._turn_later, locker, turn)
        else:
            locker.turn(turn)

    async def _turn_later(self, locker: SimulatedLocker, turn: Turn) -> None:
        await anyio.sleep(self.settings.bolt_delay)
        locker.turn(turn)
        self._changed()

    def _synchronized(self, identifier: int | None) -> None:
        for tell in tuple(self.on_synchronize):
            tell(identifier)

    async def _synchronize_for(self, seconds: float, phase: int) -> None:
        await anyio.sleep(seconds)
        if phase == self._phase:
            self.stop_synchronizing()

    def _restart(self) -> None:
        self._go_away(newer=1)

    def _go_away(self, *, newer: int) -> None:
        if self._running is not None:
            self._server.pause()
            self._tasks.start_soon(self._come_back, newer)

    async def _come_back(self, newer: int) -> None:
        await self._server.off()
        await anyio.sleep(self.settings.restart)
        self.state.version += newer
        await self._server.on()

    def _refuse(self, seconds: float) -> None:
        if self._running is not None:
            self._refusals += 1
            self._server.pause()
            self._tasks.start_soon(self._accept_again, seconds)

    async def _accept_again(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._refusals -= 1
        if not self._refusals:
            await self._server.resume()
