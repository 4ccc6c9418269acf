"""Runs a function of one of these modules in an interpreter of its own, so that no measurement disturbs another."""

import importlib
import json
import os
import subprocess
import sys
from typing import Any


def run(target: str, *arguments: Any, seconds: float = 600.0) -> Any:
    """Call a function and return what it returns; both ways through JSON.

    Args:
        target: ``"module:function"``.
        arguments: What it is called with.
        seconds: How long it may take.

    Raises:
        TimeoutError: It took longer, and has been ended.
    """
    command = [sys.executable, __file__, target, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, env=_without_proxies(), timeout=seconds, text=True, check=True
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{target}: not finished in {seconds:g} s") from None
    return json.loads(done.stdout)


def _without_proxies() -> dict[str, str]:
    """Keep clients that look for proxies in their environment on loopback."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _main(target: str, arguments: str) -> None:
    module, _, function = target.partition(":")
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    _main(*sys.argv[1:])
