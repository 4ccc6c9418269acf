"""What it costs to import the package and to start the command, in processes that take turns."""

import os
import resource
import statistics
import subprocess
import sys

from figures import Started

_TIMED = "import time; begun = time.process_time(); import {}; print(time.process_time() - begun)"


def start(times: int) -> Started:
    """Do each so many times; the first of each, which fills the caches, does not count."""
    modules = ("thekeys_async", "thekeys_async.gateway", "httpx")
    seen = [(*map(_importing, modules), _command()) for _ in range(1 + times)]
    return Started(*(1e3 * statistics.median(column) for column in zip(*seen[1:], strict=True)))


def _importing(module: str) -> float:
    """Seconds of CPU of the import alone."""
    program = _TIMED.format(module)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=_compiling(), text=True, check=True
    )
    return float(done.stdout)


def _command() -> float:
    """Seconds of CPU of the whole process."""
    before = _of_children()
    command = [sys.executable, "-m", "thekeys_async", "--help"]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=_compiling(), check=True)
    return _of_children() - before


def _compiling() -> dict[str, str]:
    """Let what was compiled be kept, as an installed package is."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
