"""How much memory this process has."""

import gc
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")


def kibibytes() -> float:
    """Resident memory once the garbage is gone; where the system does not tell it, the most there ever was."""
    gc.collect()
    if _STATM.exists():
        return int(_STATM.read_text("ascii").split()[1]) * resource.getpagesize() / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 if sys.platform == "darwin" else most
