"""`check --save` and `watch --save-wire`: the file that a recording of the wire goes to."""

from contextlib import nullcontext
from pathlib import Path

from thekeys_async import Recorder
from thekeys_async.cli.errors import ExitCode, other_failure
from thekeys_async.cli.options import Settings
from thekeys_async.protocol.text import printable


def wire_recorder(settings: Settings, path: Path | None) -> Recorder | nullcontext[None]:
    """Make what writes the recording, if there is to be one.

    Args:
        settings: The flags.
        path: Where to; None for no recording.

    Raises:
        Failure: The file is there already, or can't be made.
    """
    if path is None:
        return nullcontext()
    try:
        return Recorder(path)
    except OSError as error:
        kind, why = type(error).__name__, error.strerror or type(error).__name__
    sentence = f"{printable(str(path))} can't be made ({why}); nothing was asked."
    raise other_failure(kind, sentence, ExitCode.USAGE, as_json=settings.json)
