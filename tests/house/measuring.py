"""Measures the house: modules, lines, and the files that run from `AsyncLocker.open()` to the bytes on the wire.

    python tests/house/measuring.py [CHECKOUT]

prints two lines of figures for the package of a checkout, this one if none is given.
"""

import statistics
import subprocess
import sys
from pathlib import Path

_WAY = """
import socket, sys, threading

sys.path.insert(0, sys.argv[1])
import anyio
import thekeys_async
from thekeys_async import AsyncGateway, Pacing

listener = socket.create_server(("127.0.0.1", 0))
files = []

def answer():
    connection, _ = listener.accept()
    with connection:
        while connection.recv(65536):
            connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 26\\r\\n\\r\\n{"status": "ok", "code":0}')

def profile(frame, event, what):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(sys.argv[1] + "/thekeys_async/") and name not in files:
        files.append(name)
    if event == "c_call" and what.__name__ in ("send", "sendall") and files:
        sys.setprofile(None)

async def open_twice():
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    async with AsyncGateway(host, share_codes={1: "Zmo1sps2OVyCFtl1"}, pacing=Pacing(0, 0)) as gateway:
        door = gateway.locker(1)
        await door.open()  # what is loaded on demand is loaded by now
        files.clear()
        sys.setprofile(profile)
        await door.open()

thread = threading.Thread(target=lambda: [answer() for _ in range(2)])
thread.start()
anyio.run(open_twice)
thread.join()
print(*files, sep="\\n")
"""


def lines_of(package: Path) -> dict[str, int]:
    """Count the lines of every module."""
    return {str(path.relative_to(package)): path.read_text("utf-8").count("\n") for path in package.rglob("*.py")}


def files_from_open_to_the_bytes(checkout: Path) -> list[str]:
    """Name the modules that run, in order, from `AsyncLocker.open()` to the first byte sent."""
    command = [sys.executable, "-c", _WAY, str(checkout)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    package = checkout / "thekeys_async"
    return [str(Path(line).relative_to(package)) for line in run.stdout.split("\n") if line]


def main(checkout: Path) -> None:
    """Print the figures of one checkout."""
    lines = lines_of(checkout / "thekeys_async")
    way = files_from_open_to_the_bytes(checkout)
    loose = sum("/" not in name for name in lines)
    places = {str(Path(name).parent) if "/" in name else name for name in way}
    median = statistics.median(lines.values())
    sys.stdout.write(
        f"{len(lines)} modules, {sum(lines.values())} lines, median {median:g}, longest {max(lines.values())}, "
        f"{loose} loose files at the top\n"
        f"open() to the bytes: {len(way)} files in {len(places)} places: {' '.join(way)}\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve())
