"""The command `thekeys`: the vendor's actions, shares, a live table, a simulated gateway, a demonstration.

`commands` declares the actions in the `group`, `options` their flags, of which `settings` makes values. `actions`,
`all_gateways`, `discover`, `setup`, `shares`, `reboot`, `watch`, `plot`, `bridge`, `simulate`, `check` and `demo` carry
them out. `targets` finds in the configuration file what `names` says is meant, and `account` logs in at the cloud.
`runner` starts and stops the event loop, and says with whom turns and timestamps are shared; `errors` says what went
wrong, `output` what came back, in `tables` that fit.

`watch` draws a `live_table`, or prints `json_lines`; `plot` reads those as a `recording`, of which `drawing` makes a
picture. `readings` says when a signal is weak and a battery low.
"""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command with this process's arguments, and leave with one of the exit codes of `errors`."""
    if any(find_spec(library) is None for library in ("click", "platformdirs", "rich", "tomlkit")):
        sys.exit("The command needs its extra libraries: pip install 'thekeys-async[cli]'")
    from thekeys_async.cli.commands import thekeys  # noqa: PLC0415 - it imports click, which may not be installed

    thekeys(prog_name="thekeys")
