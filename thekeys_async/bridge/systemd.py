"""The notices to systemd: started, alive, stopping (``Type=notify``, ``WatchdogSec=``)."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"


def notify(state: str, environment: Mapping[str, str] | None = None) -> None:
    """Tell systemd something; nothing happens where nobody wants to hear it.

    Args:
        state: ``READY=1`` and the like.
        environment: Where NOTIFY_SOCKET is looked up; this process's own if not given.
    """
    address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # a name that is no file
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.settimeout(0)
        unix.sendto(state.encode(), address)
