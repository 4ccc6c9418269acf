"""Control lines: plain words that drive a simulated gateway which runs as a process of its own."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import attrs

from thekeys_async.simulator.faults import REQUESTS, Fault
from thekeys_async.simulator.gateway import SimulatedGateway
from thekeys_async.simulator.locker import Bolt, SimulatedLocker, Turn
from thekeys_async.simulator.state import decimal

_TURNS = ("open", "close", "calibrate")
_FAULTS = {fault.value.lower().replace(" ", "-"): fault for fault in Fault}
_LONGEST = 1000
_MOST_SECONDS = 86_400.0


@attrs.frozen
class ControlAnswer:
    """The answer to a control line.

    Attributes:
        done: Whether it was understood and carried out.
        text: One sentence.
    """

    done: bool
    text: str


class _MistakeError(Exception):
    """A line is not understood; the message says why, in one sentence."""


async def obey(gateway: SimulatedGateway, line: str) -> ControlAnswer | None:
    """Carry out a control line.

    Args:
        gateway: The gateway that it is for, running.
        line: The line; `help` lists what there is.

    Returns:
        The answer; None for an empty line. A line that is not understood changes nothing.
    """
    words = line.split()
    if not words:
        return None
    if len(line) > _LONGEST:
        return ControlAnswer(done=False, text=f"A control line has at most {_LONGEST} characters.")
    control = _CONTROLS.get(words[0].lower())
    if control is None:
        return ControlAnswer(done=False, text="There is no such control line; 'help' lists them.")
    try:
        return ControlAnswer(done=True, text=await control.act(gateway, _Words(control.usage, words[1:])))
    except (_MistakeError, OSError) as error:
        return ControlAnswer(done=False, text=str(error))


class _Words:
    """The words behind the first one, taken from left to right.

    Args:
        usage: The form of the whole line.
        words: The words.
    """

    def __init__(self, usage: str, words: list[str]) -> None:
        self._usage = usage
        self._words = words

    @property
    def left(self) -> bool:
        """Whether there are more."""
        return bool(self._words)

    def take(self) -> str:
        """Take the next word, in lower case."""
        if not self._words:
            raise self.mistake()
        return self._words.pop(0).lower()

    def end(self) -> None:
        """Check that no word is left."""
        if self._words:
            raise self.mistake()

    def mistake(self) -> _MistakeError:
        """Say what the line should look like."""
        return _MistakeError(f"It should be: {self._usage}.")

    def locker(self, gateway: SimulatedGateway) -> SimulatedLocker:
        """Take the number of a locker."""
        locker = gateway.lockers.get(self.number(10**18))
        if locker is None:
            there = ", ".join(str(identifier) for identifier in gateway.lockers) or "none"
            raise _MistakeError(f"There is no such locker; there is {there}.")
        return locker

    def number(self, most: int, least: int = 0) -> int:
        """Take a whole number."""
        word = self.take()
        value = decimal(word.removeprefix("-"))
        value = -value if value is not None and word.startswith("-") else value
        if value is None or not least <= value <= most:
            raise self.mistake()
        return value

    def seconds(self) -> float:
        """Take a length of time."""
        try:
            value = float(self.take())
        except ValueError:
            value = math.nan
        if not 0 <= value <= _MOST_SECONDS:
            raise self.mistake()
        return value

    def one_of(self, words: Mapping[str, object] | tuple[str, ...] | frozenset[str]) -> str:
        """Take one of several words."""
        word = self.take()
        if word not in words:
            raise _MistakeError(f"It should be: {self._usage}; there are {', '.join(sorted(words))}.")
        return word

    def request(self) -> str | None:
        """Take the name of a request, if there is one."""
        return self.one_of(REQUESTS) if self._words else None


async def _turn(gateway: SimulatedGateway, words: _Words) -> str:
    locker, turn = words.locker(gateway), words.one_of(_TURNS)
    words.end()
    gateway.turn_bolt(locker.identifier, cast("Turn", turn))
    return f"Locker {locker.identifier} was turned by hand: its bolt is {locker.state}."


async def _jam(gateway: SimulatedGateway, words: _Words) -> str:
    locker = words.locker(gateway)
    words.end()
    locker.jammed = True
    gateway.turn_bolt(locker.identifier, "close" if locker.state is Bolt.OPEN else "open")
    return f"Locker {locker.identifier} is jammed half-way, and will be until 'free {locker.identifier}'."


async def _free(gateway: SimulatedGateway, words: _Words) -> str:
    locker = words.locker(gateway)
    words.end()
    locker.jammed = False
    return f"Locker {locker.identifier} is free: its next turn goes all the way."


async def _lose_reply(gateway: SimulatedGateway, words: _Words) -> str:
    request = words.request()
    words.end()
    gateway.fail(Fault.RESET_AFTER, on=request)
    return f"The next {request or 'request'} is carried out, and its reply is lost."


async def _busy(gateway: SimulatedGateway, words: _Words) -> str:
    seconds = words.seconds() if words.left else None
    words.end()
    gateway.start_synchronizing(seconds=seconds)
    return f"The gateway is busy {'until the line idle' if seconds is None else f'for {seconds:g} s'}."


async def _idle(gateway: SimulatedGateway, words: _Words) -> str:
    words.end()
    gateway.stop_synchronizing()
    return "The gateway is idle."


async def _power(gateway: SimulatedGateway, words: _Words) -> str:
    on = words.one_of(("on", "off")) == "on"
    words.end()
    await (gateway.start() if on else gateway.stop())
    return "The gateway has power." if on else "The gateway has no power: connections are refused."


async def _battery(gateway: SimulatedGateway, words: _Words) -> str:
    locker, locker_mv = words.locker(gateway), words.number(100_000)
    words.end()
    locker.battery_mv = locker_mv
    return f"The battery of locker {locker.identifier} is at {locker_mv} mV."


async def _rssi(gateway: SimulatedGateway, words: _Words) -> str:
    locker, rssi = words.locker(gateway), words.number(0, -200)
    words.end()
    locker.rssi, locker.wander = rssi, 0
    return f"The RSSI of locker {locker.identifier} is {rssi} dBm, and stays there."


async def _firmware(gateway: SimulatedGateway, words: _Words) -> str:
    number = words.number(10**18)
    if not words.left:
        gateway.state.version = number
        return f"The gateway has firmware {number}."
    locker = gateway.lockers.get(number)
    if locker is None:
        raise words.mistake()
    version = words.number(10**6)
    words.end()
    locker.take_firmware(version)
    return f"Locker {locker.identifier} has firmware {version}, and does not know its bolt until it is turned."


async def _vanish(gateway: SimulatedGateway, words: _Words) -> str:
    locker = words.locker(gateway)
    words.end()
    gateway.vanish(locker.identifier)
    return f"Locker {locker.identifier} is out of range."


async def _appear(gateway: SimulatedGateway, words: _Words) -> str:
    locker = words.locker(gateway)
    words.end()
    gateway.appear(locker.identifier)
    return f"Locker {locker.identifier} is in range."


async def _fail(gateway: SimulatedGateway, words: _Words) -> str:
    fault = _FAULTS[words.one_of(_FAULTS)]
    request = words.request()
    words.end()
    gateway.fail(fault, on=request)
    return f"The next {request or 'request'} meets the fault: {fault.value}."


async def _error(gateway: SimulatedGateway, words: _Words) -> str:
    code = words.number(999, 1)
    request = words.request()
    words.end()
    gateway.error(code, on=request)
    return f"The next {request or 'request'} is answered with {code}."


async def _clear(gateway: SimulatedGateway, words: _Words) -> str:
    words.end()
    gateway.clear_faults()
    return "What was to go wrong is forgotten."


async def _help(gateway: SimulatedGateway, words: _Words) -> str:  # noqa: ARG001 - as the others
    words.end()
    return f"Control lines: {'; '.join(control.usage for control in _CONTROLS.values())}."


@attrs.frozen
class _Control:
    usage: str
    act: Callable[[SimulatedGateway, _Words], Awaitable[str]]


_CONTROLS: Mapping[str, _Control] = {
    control.usage.split()[0]: control
    for control in (
        _Control("turn LOCKER open|close|calibrate", _turn),
        _Control("jam LOCKER", _jam),
        _Control("free LOCKER", _free),
        _Control("lose-reply [REQUEST]", _lose_reply),
        _Control("busy [SECONDS]", _busy),
        _Control("idle", _idle),
        _Control("power on|off", _power),
        _Control("battery LOCKER MILLIVOLTS", _battery),
        _Control("rssi LOCKER DBM", _rssi),
        _Control("firmware [LOCKER] VERSION", _firmware),
        _Control("vanish LOCKER", _vanish),
        _Control("appear LOCKER", _appear),
        _Control("fail FAULT [REQUEST]", _fail),
        _Control("error NUMBER [REQUEST]", _error),
        _Control("clear", _clear),
        _Control("help", _help),
    )
}
