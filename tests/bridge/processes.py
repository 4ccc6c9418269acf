"""The bridge and the gateway as processes of their own, as people run them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.sample import CODE, LOCKER


class Process:
    """A command that runs, and what it has printed."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.arguments = arguments
        self._process = subprocess.Popen(
            [sys.executable, "-m", "thekeys_async", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **(environment or {})},
        )
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.signal(signal.SIGCONT)
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """Read a line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end, and say how it ended."""
        code = self._process.wait(seconds)
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def end(self) -> int:
        """End it as systemd does."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors.extend(self._process.stderr)


class Simulation(Process):
    """A gateway that takes control lines."""

    def __init__(self, *more: str, port: int = 0, lockers: Mapping[int, str] | None = None) -> None:
        flags = [f"--locker={number}:{code}" for number, code in (lockers or {LOCKER: CODE}).items()]
        super().__init__("simulate", "--json", "--light=0", "--bluetooth=0.05", f"--port={port}", *flags, *more)
        self.address: str = json.loads(self.line())["address"]

    def tell(self, line: str) -> str:
        """Send a control line, and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.line())
        assert answer["done"], answer
        return str(answer["answer"])


def write_config(path: Path, address: str, broker: str, *, lockers: Mapping[str, int], bridge: str = "") -> Path:
    """Write a configuration file for a bridge."""
    text = (
        f'[gateways.hall]\nhost = "{address}"\n[bridge]\nbroker = "{broker}"\ninterval = 1.0\nhttp = false\n{bridge}\n'
    )
    for name, number in lockers.items():
        text += f'[lockers."{name}"]\nidentifier = {number}\ngateway = "hall"\ncode = "{CODE}"\narea = "Hall"\n'
    path.write_text(text)
    path.chmod(0o600)
    return path
