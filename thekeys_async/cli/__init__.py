"""The command `thekeys`: the vendor's actions under the vendor's names, a simulated gateway and a demonstration.

`app` declares the actions, `options` the flags they share, `actions` carries them out, `runner` starts and stops
the event loop, `failures` and `exits` say what went wrong, `present` what came back.
"""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command with this process's arguments, and leave with one of the codes in `exits`."""
    if any(find_spec(library) is None for library in ("click", "rich")):
        sys.exit("The command needs its extra libraries: pip install 'thekeys-async[cli]'")
    from thekeys_async.cli.app import thekeys  # noqa: PLC0415 - it imports click, which may not be installed

    thekeys(prog_name="thekeys")
