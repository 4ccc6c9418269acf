"""JSON lines for pipes: each leaves whole and at once, and a reader that has gone ends the watching.

A pipe that nobody empties must not stop the event loop, or no signal would end the program: so each write waits until
there is room. One line is shorter than 4096 bytes, which POSIX writes whole or not at all.
"""

import json
import os
import select
import stat
import sys
from collections.abc import Mapping

import anyio

from thekeys_async import LockerUpdate, TheKeysError, Update, battery_percent
from thekeys_async.cli.errors import discard, in_words
from thekeys_async.cli.output import output_failure, print_json

_LONGEST_TEXT = 400


class Output:
    """This process's stdout."""

    def __init__(self) -> None:
        self._pipe = _pipe()

    @property
    def has_no_reader(self) -> bool:
        """Whether nobody reads it any more, as far as that can be known."""
        return self._pipe is not None and _has_no_reader(self._pipe)

    async def write(self, value: object) -> None:
        """Write one value as one line.

        Raises:
            BrokenPipeError: Nobody reads it any more.
            Failure: The file is full.
        """
        if self._pipe is None:
            try:
                print_json(value)
            except OSError as error:
                discard(sys.stdout)
                raise output_failure(error, as_json=True) from None
        else:
            await anyio.wait_writable(self._pipe)
            os.write(self._pipe, f"{json.dumps(value)}\n".encode())

    async def closed(self) -> None:
        """Wait until nobody reads any more; for ever where that can't be known."""
        if self._pipe is not None:
            await anyio.wait_readable(self._pipe)  # which a pipe's writing end becomes when its reader closes it
            if self.has_no_reader:
                return
        await anyio.sleep_forever()


def _pipe() -> int | None:
    """Find stdout's number if it is a pipe, or a socket, which is what some programs give their children."""
    if sys.platform == "win32":
        return None
    try:
        number = sys.stdout.fileno()
        mode = os.fstat(number).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        return None
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _has_no_reader(number: int) -> bool:
    poll = select.poll()
    poll.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def as_json(update: Update, names: Mapping[int, str]) -> dict[str, object]:
    """Make JSON's types of an update: one flat object, so that a line is easy to filter.

    Args:
        update: An update of a stream.
        names: The lockers' names in the configuration file.
    """
    at = update.at.isoformat()
    if isinstance(update, LockerUpdate):
        name = names.get(update.identifier)
        return {"update": "locker", "at": at, "gateway": update.gateway, "name": name, **_of_locker(update)}
    return {
        "update": "gateway",
        "at": at,
        "gateway": update.gateway,
        "reachable": update.reachable,
        "phase": update.phase,
        **_error("error", update.error),
    }


def _of_locker(update: LockerUpdate) -> dict[str, object]:
    reading, status = update.reading, update.status
    return {
        "identifier": update.identifier,
        "kind": update.kind.value,
        "rssi": reading and reading.rssi,
        "battery_mv": reading and reading.battery_mv,
        "battery_percent": reading and battery_percent(reading.battery_mv),
        "last_log": reading and reading.last_log,
        "changed": sorted(update.changed),
        "state": status and status.state.value,
        "locked": status and status.locked,
        **_error("status_error", update.status_error),
        "missed": update.missed,
    }


def _error(key: str, error: TheKeysError | None) -> dict[str, object]:
    if error is None:
        return {key: None}
    return {key: type(error).__name__, "message": in_words(error, None)[:_LONGEST_TEXT]}
