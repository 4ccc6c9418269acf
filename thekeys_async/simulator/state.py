"""The state of a simulated gateway, and the effect of each request on it. No await, no connection."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from random import Random

import attrs

from thekeys_async.protocol.endpoints import AUTO, Endpoint
from thekeys_async.simulator.locker import SimulatedLocker

SCANNING = "Scanning..."
_ON = frozenset({"1", "true", "on", "yes"})
_OFF = frozenset({"0", "false", "off", "no"})


def by_identifier(lockers: Iterable[SimulatedLocker]) -> dict[int, SimulatedLocker]:
    """Index lockers by their identifiers.

    Raises:
        ValueError: Two have the same.
    """
    listed = tuple(lockers)
    indexed = {locker.identifier: locker for locker in listed}
    if len(indexed) != len(listed):
        raise ValueError("Two lockers have the same identifier.")
    return indexed


@attrs.define
class GatewayState:
    """The memory of a gateway, apart from everything that has to do with connections.

    Attributes:
        lockers: By identifier.
        version: Of its firmware.
        phase: The phase that `/status` tells.
        last_timestamp: The newest one that it has accepted.
        clock: Its own wall clock, seconds since 1970.
        clock_set: Whether it knows the time; until `/synchronize` it answers 38 if not.
        max_future: How many seconds a timestamp may be ahead of its clock; None does not check.
        tells_last_log: Whether `/lockers` has `last_log` (old firmware has not).
        automatic_synchronization: Whether it synchronises by itself, as `/auto` has switched it.
    """

    lockers: dict[int, SimulatedLocker] = attrs.field(converter=by_identifier)
    version: int = 65
    phase: str = SCANNING
    last_timestamp: int = 0
    clock: Callable[[], float] = time.time
    clock_set: bool = True
    max_future: float | None = None
    tells_last_log: bool = True
    automatic_synchronization: bool = True

    @property
    def synchronizing(self) -> bool:
        """Whether it is busy by itself."""
        return self.phase != SCANNING

    def locker(self, form: dict[str, str]) -> SimulatedLocker | None:
        """Return the locker that a form names, if there is one."""
        number = decimal(form.get("identifier", ""))
        return None if number is None else self.lockers.get(number)


def decimal(text: str) -> int | None:
    """Read a whole number of at most 18 decimal digits; None is anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None  # noqa: PLR2004 - 64 bits


DONE = 0
NOT_DETECTED = 1
NOT_COMPATIBLE = 2
NOT_SHARED = 32
INVALID_HASH = 33
OUT_OF_RANGE = 34
INCOMPATIBLE = 35
KEY_REFUSED = 36
CLOCK_NOT_SET = 38
MISSING_PARAMETER = 400
BUSY = 500

SAID_BY_GATEWAY = frozenset({NOT_SHARED, INVALID_HASH, CLOCK_NOT_SET, MISSING_PARAMETER, BUSY})
"""Refusals that need no Bluetooth, and leave the last accepted timestamp as it was."""


def missing_field(endpoint: Endpoint, form: dict[str, str]) -> str | None:
    """Return the name of a field that the request lacks."""
    return next((name for name in endpoint.fields if not form.get(name)), None)


def examine(state: GatewayState, endpoint: Endpoint, form: dict[str, str]) -> int:
    """Check what the gateway can check by itself, and take note of an accepted timestamp.

    Returns:
        The code of the refusal, or 0.
    """
    if missing_field(endpoint, form) or (endpoint is AUTO and _switch(form) is None):
        return MISSING_PARAMETER
    if not endpoint.signed:
        return DONE
    locker = state.locker(form)
    if locker is None or not locker.share_codes:
        return NOT_SHARED
    if not state.clock_set:
        return CLOCK_NOT_SET
    if not _is_fresh(state, form["ts"]) or not _is_signed(locker, form["ts"], form["hash"]):
        return INVALID_HASH
    state.last_timestamp = int(form["ts"])
    return DONE


def reach(state: GatewayState, endpoint: Endpoint, form: dict[str, str]) -> int:
    """Try to speak to the locker, if the request is about one.

    Returns:
        The code of what went wrong, or 0.
    """
    if "identifier" not in endpoint.fields:
        return DONE
    locker = state.locker(form)
    if locker is None or not locker.in_range:
        return OUT_OF_RANGE if endpoint.signed else NOT_DETECTED
    if not locker.compatible:
        return INCOMPATIBLE if endpoint.signed else NOT_COMPATIBLE
    if endpoint.signed and not locker.synchronized:
        return KEY_REFUSED
    return DONE


def act(state: GatewayState, endpoint: Endpoint, form: dict[str, str], random: Random) -> bool:
    """Do what was asked, except turning a bolt, which happens in its own time.

    Returns:
        Whether anything was changed or will be.
    """
    match endpoint.name, state.locker(form):
        case "lockers", _:
            for seen in state.lockers.values():
                seen.stray(random)
        case "locker_status", SimulatedLocker() as locker:
            locker.drain()
        case "synchronize_locker", SimulatedLocker() as locker:
            locker.synchronized = True
        case "update_locker", SimulatedLocker() as locker:
            locker.take_firmware()
        case "synchronize", _:
            state.clock_set = True
        case "auto", _:
            state.automatic_synchronization = _switch(form) is True
        case _:
            pass
    return endpoint.command


def _is_signed(locker: SimulatedLocker, text: str, given: str) -> bool:
    """Check a hash; a `+` that was not percent-encoded has become a space, and one client sends one `=` too many."""
    signed = given.replace(" ", "+").rstrip("=").encode()
    return any(hmac.compare_digest(_hash(code, text).rstrip(b"="), signed) for code in locker.share_codes)


def _hash(code: str, text: str) -> bytes:
    return base64.b64encode(hmac.new(code.encode(), text.encode(), hashlib.sha256).digest())


def _switch(form: dict[str, str]) -> bool | None:
    """Read the field of `/auto`; None is neither on nor off."""
    word = form["enable"].strip().lower()
    return True if word in _ON else False if word in _OFF else None


def _is_fresh(state: GatewayState, text: str) -> bool:
    timestamp = decimal(text)
    if timestamp is None or timestamp <= state.last_timestamp:
        return False
    return state.max_future is None or timestamp <= state.clock() + state.max_future
