"""The command `thekeys`: the vendor's actions, shares, a live table, a simulated gateway, a demonstration.

`commands` declares the actions in the `group`, `options` their flags, of which `settings` makes values. `actions`,
`all_gateways`, `discover`, `setup`, `shares`, `reboot`, `watch`, `plot`, `bridge`, `simulate`, `check` and `demo` carry
them out. `targets` finds in the configuration file what `names` says is meant, and `account` logs in at the cloud.
`runner` starts and stops the event loop, and says with whom turns and timestamps are shared; `errors` says what went
wrong, `output` what came back, in `tables` that fit.

`watch` draws a `live_table`, or prints `json_lines`; `plot` reads those as a `recording`, of which `drawing` makes a
picture. `signal_strength` draws a signal in a line.
"""

import io
import os
import signal
import sys
from importlib.util import find_spec
from typing import Any

_STREAMS = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))


def main() -> None:
    """Run the command with this process's arguments, and leave with one of the exit codes of `errors`."""
    _prepare_streams()
    if any(find_spec(library) is None for library in ("click", "platformdirs", "rich", "tomlkit")):
        sys.exit("The command needs its extra libraries: pip install 'thekeys-async[cli]'")
    try:
        # They import click, which may not be installed.
        from thekeys_async.cli.commands import thekeys  # noqa: PLC0415
        from thekeys_async.cli.errors import discard  # noqa: PLC0415
    except KeyboardInterrupt:
        print("Error: Stopped by SIGINT; nothing was done.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    try:
        thekeys(prog_name="thekeys")
    except OSError as error:  # of --help or --version, for example: an action says by itself what it has done
        discard(sys.stdout)
        sys.exit(f"Error: Standard output could not be written ({error.strerror}).")


def _prepare_streams() -> None:
    """Make standard streams of which none can hide the end of an action.

    The null device takes the place of those that were closed, where Python has None: writing to standard output fails
    then, as writing to a full disk does, and is reported like that. A letter that the terminal does not know is written
    as its number, and a width of 0 is none.
    """
    for name, mode, flags in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, flags), mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    stdout: Any = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS", "").strip("0") == "":
        os.environ.pop("COLUMNS", None)
