"""Where and with what a run was made."""

import os
import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import attrs

_LIBRARIES = (
    *("thekeys-async", "anyio", "trio", "httpx", "httpcore", "h11"),
    *("aiohttp", "requests", "urllib3", "the-keyspy"),
)


@attrs.frozen
class Machine:
    """What stands beside the figures.

    Attributes:
        processor: Its model.
        cores: How many of them there are.
        system: The operating system and its kernel.
        python: Which Python.
        versions: Of every library that takes part.
        day: When.
        command: What was typed.
    """

    processor: str
    cores: int
    system: str
    python: str
    versions: dict[str, str]
    day: str
    command: str


def this_machine() -> Machine:
    """Look around."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        system=_system(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions={name: version(name) for name in _LIBRARIES},
        day=f"{datetime.now(UTC):%-d %B %Y}",
        command=" ".join(["python tests/benchmarks/bench_gateways.py", *sys.argv[1:]]),
    )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.+)$", told.read_text("utf-8"), re.MULTILINE) if told.exists() else None
    return model[1] if model else platform.processor() or platform.machine()


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except OSError:
        return kernel
