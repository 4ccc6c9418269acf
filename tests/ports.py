"""Ports for servers that start later, or again at the same place."""

import secrets
import socket

_FIRST, _LAST = 15_000, 32_000


def free_port() -> int:
    """Find a port on which nothing listens, below those that the system gives to clients.

    One of those may be taken by anybody's connection in the moment before the server starts, or while it is away.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)):
                return port
