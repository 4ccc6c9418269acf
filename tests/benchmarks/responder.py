"""Canned gateways in a process of their own: one listening socket that answers for every one of them.

On Linux all of 127.0.0.0/8 is this machine, so that 10 000 gateways are 10 000 hosts, as in a house: a client that
keeps a pool for each host must not profit from their being one.
"""

import asyncio
import math
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

_READINGS = b'{"status": "ok", "devices": [{"identifier": 45961123, "rssi": -71, "battery": 7044, "last_log": 100}]}'
_STATUS = b'{"version": 65, "current_status": "Scanning..."}'
_DONE = b'{"status": "ok", "code": 0}'
_BACKLOG = 4096
_HOSTS_IN_A_NET = 250
_OTHER_FILES = 500  # connections that are about to close, for the most part


def _reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


_REPLIES = {b"GET /lockers": _reply(_READINGS), b"GET /status": _reply(_STATUS), b"POST /open": _reply(_DONE)}


@attrs.frozen
class Hosts:
    """Where the canned gateways are.

    Attributes:
        port: Of all of them.
        distinct: Whether each has an address of its own.
    """

    port: int
    distinct: bool

    def address(self, number: int) -> str:
        """Host and port of one of them."""
        if not self.distinct:
            return f"127.0.0.1:{self.port}"
        net, host = divmod(number, _HOSTS_IN_A_NET)
        high, low = divmod(net, _HOSTS_IN_A_NET)
        return f"127.{1 + high}.{low}.{1 + host}:{self.port}"


class _Canned(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while request := self._take_request():
            self._transport.write(_REPLIES[b" ".join(request.split(b" ", 2)[:2])])
            if b"connection: close" in request.lower():
                self._transport.close()

    def _take_request(self) -> bytes | None:
        """Take a request off what has come, if one is complete."""
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        _, announced, length = head.lower().partition(b"content-length:")
        body = int(length.partition(b"\r\n")[0]) if announced else 0
        if not end or len(rest) < body:
            return None
        self._unread = rest[body:]
        return head


def most_connections() -> float:
    """How many connections a process may have here, if it asks for as many as it can get."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return math.inf if hard == resource.RLIM_INFINITY else hard - _OTHER_FILES


def allow_connections(count: int) -> None:
    """Let this process have so many connections at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + _OTHER_FILES), hard))


def _listening() -> tuple[socket.socket, bool]:
    """Listen on all addresses of the loopback device and on nothing else; on one of them where that can't be had."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    except (AttributeError, OSError):
        sock.bind(("127.0.0.1", 0))
        return sock, False
    sock.bind(("0.0.0.0", 0))  # nobody from outside gets to it, because of the device
    return sock, True


async def _serve(most: int) -> None:
    allow_connections(most)
    sock, distinct = _listening()
    await asyncio.get_running_loop().create_server(_Canned, sock=sock, backlog=_BACKLOG)
    sys.stdout.write(f"{sock.getsockname()[1]} {distinct:d}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def responder(most: int) -> Iterator[Hosts]:
    """Run it as long as the block lasts; it ends with us, whatever happens.

    Args:
        most: How many connections it may have at once.
    """
    command = [sys.executable, __file__, str(most)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port, distinct = map(int, process.stdout.readline().split())
        yield Hosts(port, bool(distinct))


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
