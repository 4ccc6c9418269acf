"""The service of a gateway: it answers one request at a time."""

from collections.abc import Callable
from functools import partial
from random import Random

import anyio
import attrs

from thekeys_async.protocol.endpoints import (
    ENDPOINTS,
    LOCKERS,
    STATUS,
    SYNCHRONIZE,
    SYNCHRONIZE_LOCKER,
    UPDATE,
    Endpoint,
)
from thekeys_async.simulator import replies, state
from thekeys_async.simulator.faults import Fault, Incident, Incidents, spoil
from thekeys_async.simulator.http.messages import Ending, HttpRequest, HttpResponse
from thekeys_async.simulator.locker import SimulatedLocker, Turn
from thekeys_async.simulator.recorded_gateway import STATUSES, RecordedGateway
from thekeys_async.simulator.recorded_reply import RecordedReply
from thekeys_async.simulator.replies import ReplyStyle
from thekeys_async.simulator.request_log import RequestLog
from thekeys_async.simulator.state import GatewayState, decimal

_TURNS: dict[str, Turn] = {"open": "open", "close": "close", "calibrate": "calibrate"}
_NOTHING = Incident(left=None)
_PAGE_NAMES = {"ts": "timestamp"}
_BY_REQUEST = {(row.method, row.path): row for row in ENDPOINTS} | {
    ("GET", UPDATE.path): UPDATE,  # as the vendor's page shows it
    # As published clients ask.
    ("POST", LOCKERS.path): LOCKERS,
    ("POST", STATUS.path): STATUS,
    ("GET", SYNCHRONIZE_LOCKER.path): SYNCHRONIZE_LOCKER,
}


@attrs.define
class Settings:
    """The delays and ways of a gateway; may be changed while it runs. Times are in seconds.

    Attributes:
        light: The work that a light request is.
        bluetooth: The work that a request is for which it speaks to a locker.
        synchronization: The work that `/synchronize` is.
        bolt_delay: From the end of the work to the bolt being there.
        restart: Seconds for which it is away after an update.
        style: The way in which it writes replies.
        keep_alive: Whether a connection is kept after a reply; if not, the reply says so.
        status_path: Whether it knows `/status`; firmware before 17 gives it at `/` only.
    """

    light: float = 0.13
    bluetooth: float = 3.0
    synchronization: float = 1.0
    bolt_delay: float = 0.0
    restart: float = 8.0
    style: ReplyStyle = ReplyStyle.FIELD
    keep_alive: bool = True
    status_path: bool = True

    def seconds(self, endpoint: Endpoint) -> float:
        """Return how long a request is worked on."""
        if endpoint.name == "synchronize":
            return self.synchronization
        return self.bluetooth if endpoint.bluetooth else self.light


@attrs.frozen
class Effects:
    """The effects of a request beyond the gateway's memory.

    Attributes:
        turn: Turns the bolt of a locker.
        synchronized: Told that the gateway (None) or a locker (its identifier) was synchronised.
        restart: Takes the gateway away and brings it back with new firmware.
        refuse: Refuses connections for so many seconds.
    """

    turn: Callable[[SimulatedLocker, Turn], None]
    synchronized: Callable[[int | None], None]
    restart: Callable[[], None]
    refuse: Callable[[float], None]


@attrs.frozen
class _Result:
    response: HttpResponse
    code: int | None = None
    acted: bool = False


_DROPPED = _Result(HttpResponse())


class Service:
    """Answers the requests of one gateway."""

    def __init__(
        self,
        state: GatewayState,
        settings: Settings,
        log: RequestLog,
        incidents: Incidents,
        *,
        random: Random,
        effects: Effects,
        recorded: RecordedGateway | None = None,
    ) -> None:
        self._state = state
        self._settings = settings
        self._log = log
        self._incidents = incidents
        self._random = random
        self._effects = effects
        self._recorded = recorded
        self._working = False

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; others may come meanwhile, and are told "busy"."""
        arrived = anyio.current_time()
        endpoint = self._endpoint(request)
        form = self._form(request, endpoint)
        number = self._log.add(
            endpoint.name if endpoint else "",
            request.method,
            request.path,
            identifier=_identifier(form),
            timestamp=decimal(form.get("ts", "")),
            arrived=arrived,
            overlapped=self._working,
        )
        if endpoint is None:
            self._log.end(number, anyio.current_time())
            return HttpResponse(b"Not found\n", 404, "text/plain", close=not self._settings.keep_alive)
        if self._working or (self._state.synchronizing and endpoint.name not in STATUSES):
            self._log.end(number, anyio.current_time(), busy=True, code=state.BUSY)
            response = self._reply(endpoint, state.BUSY, form)
            return response.ended_by(close=response.close or not self._settings.keep_alive)
        return await self._take(number, endpoint, form, started=arrived)

    async def _take(self, number: int, endpoint: Endpoint, form: dict[str, str], *, started: float) -> HttpResponse:
        """Be busy with one request."""
        self._working = True
        incident = self._incidents.draw(endpoint.name) or _NOTHING
        result = _DROPPED
        try:
            result = await self._work(endpoint, form, incident)
            after = partial(self._after, number, incident, endpoint if result.acted else None)
            close = result.response.close or not self._settings.keep_alive
            return result.response.ended_by(close=close, over=after)
        finally:
            self._working = False
            self._log.end(
                number,
                anyio.current_time(),
                started=started,
                busy=result.code == state.BUSY,
                code=result.code,
                acted=result.acted,
                fault=incident.fault,
            )

    async def _work(self, endpoint: Endpoint, form: dict[str, str], incident: Incident) -> _Result:
        if incident is _NOTHING and self._recorded and (found := self._recorded.next(endpoint, _identifier(form))):
            return await self._replay(found, endpoint, form)
        fault = incident.fault
        if fault is not None and not fault.acts and fault is not Fault.REFUSE:
            busy = replies.refused(self._settings.style, endpoint, state.BUSY)
            return _Result(spoil(busy, fault, incident.seconds), state.BUSY if fault is Fault.BUSY else None)
        code = incident.code if incident.code in state.SAID_BY_GATEWAY else state.examine(self._state, endpoint, form)
        await self._spend(endpoint, code)
        code = code or state.reach(self._state, endpoint, form)
        acted = not code and incident.carried_out and self._act(endpoint, form)
        code = incident.code or code
        if incident.response is not None:
            return _Result(incident.response, None, acted)
        response = self._reply(endpoint, code, form)
        if fault is None or fault is Fault.REFUSE:
            return _Result(response, code, acted)
        return _Result(spoil(response, fault, incident.seconds), code if fault is Fault.DRIP else None, acted)

    async def _replay(self, found: RecordedReply, endpoint: Endpoint, form: dict[str, str]) -> _Result:
        """Answer as it was recorded; what went well then has to go well today, too."""
        if found.seconds > 0:
            await anyio.sleep(found.seconds)
        if not found.went_well:
            return _Result(found.response(), found.code)
        code = state.examine(self._state, endpoint, form) or state.reach(self._state, endpoint, form)
        if code:
            return _Result(self._reply(endpoint, code, form), code)
        locker = self._state.locker(form)
        acted = self._act(endpoint, form)
        reply = self._recorded.reply(found, self._state, locker) if self._recorded else b""
        return _Result(found.response(reply), state.DONE, acted)

    async def _spend(self, endpoint: Endpoint, refusal: int) -> None:
        """Take the time that a request takes; what the gateway refuses by itself is light, and "busy" no work."""
        seconds = self._settings.light if refusal else self._settings.seconds(endpoint)
        if seconds > 0 and refusal != state.BUSY:
            await anyio.sleep(seconds)

    def _act(self, endpoint: Endpoint, form: dict[str, str]) -> bool:
        locker = self._state.locker(form)
        changed = state.act(self._state, endpoint, form, self._random)
        if locker is not None and endpoint.name in _TURNS:
            self._effects.turn(locker, _TURNS[endpoint.name])
        if endpoint is SYNCHRONIZE or endpoint is SYNCHRONIZE_LOCKER:
            self._effects.synchronized(locker.identifier if locker else None)
        return changed

    def _reply(self, endpoint: Endpoint, code: int, form: dict[str, str]) -> HttpResponse:
        style = self._settings.style
        if code == state.DONE:
            return replies.done(style, endpoint, self._state, self._state.locker(form))
        if self._recorded and (found := self._recorded.refusal(endpoint, code)):
            return found.response()
        missing = state.missing_field(endpoint, form) if code == state.MISSING_PARAMETER else None
        return replies.refused(
            style, endpoint, code, f"missing {_PAGE_NAMES.get(missing, missing)}" if missing else None
        )

    def _after(self, number: int, incident: Incident, done: Endpoint | None, ending: Ending) -> None:
        """Do what waits for the reply to be out."""
        if ending is Ending.GONE:
            self._log.mark_gone(number)
        if done is UPDATE:
            self._effects.restart()
        if incident.fault is Fault.REFUSE:
            self._effects.refuse(incident.seconds)

    def _endpoint(self, request: HttpRequest) -> Endpoint | None:
        path = request.path.rstrip("/") or "/"
        if path == STATUS.path and not self._settings.status_path:
            return None
        return _BY_REQUEST.get(("GET" if request.method == "HEAD" else request.method, path))

    def _form(self, request: HttpRequest, endpoint: Endpoint | None) -> dict[str, str]:
        """Read the fields of a request; one client synchronises its locker with a GET that does not say which."""
        form = request.form()
        if endpoint is SYNCHRONIZE_LOCKER and request.method == "GET" and "identifier" not in form:
            first = next((locker for locker in self._state.lockers.values() if locker.in_range), None)
            form["identifier"] = str(first.identifier) if first else ""
        return form


def _identifier(form: dict[str, str]) -> int | None:
    return decimal(form.get("identifier", ""))
