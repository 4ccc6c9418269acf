"""`thekeys plot`: a recording as a picture that tells where to hang the gateway."""

from collections.abc import Iterable
from pathlib import Path

import attrs
import click
from rich.console import RenderableType

from thekeys_async.cli import output
from thekeys_async.cli.errors import ExitCode, Failure, other_failure
from thekeys_async.cli.recording import Recording, Series, Summary, read, summarised
from thekeys_async.cli.settings import CommandSettings
from thekeys_async.cli.tables import Field, fitted
from thekeys_async.protocol.text import printable
from thekeys_async.protocol.thresholds import WEAK

_NO_LIBRARY = "Drawing needs matplotlib: pip install 'thekeys-async[plot]'"
_NOTHING = "There is no reading in it. It has to be what 'thekeys watch --json' has printed."
_ADVICE = f"The higher a line the better; below {WEAK} dBm commands are likely to fail (a rule of thumb)."


def run_plot(settings: CommandSettings, file: Iterable[str], picture: Path) -> None:
    """Read the file, draw the picture, and say in words what it shows.

    Raises:
        click.UsageError: The picture would be neither PNG nor SVG.
        Failure: There is nothing to draw or nothing to draw with, or the picture can't be written.
    """
    if picture.suffix.lower() not in {".png", ".svg"}:
        raise click.UsageError("OUT has to end in .png or .svg.")
    recording = read(file)
    if not recording.series:
        raise other_failure("NothingFound", _NOTHING, ExitCode.USAGE, as_json=settings.json)
    _draw(settings, recording, picture)
    if recording.left_out:
        click.echo(f"Lines that made no sense, and were left out: {recording.left_out}.", err=True)
    found = _summaries(recording)
    if settings.json:
        lines = [_as_json(*each) for each in found]
        output.print_json({"file": str(picture), "lines": lines, "never_heard": recording.never_heard})
    else:
        unheard = [printable(f"{name} was never heard.") for name in recording.never_heard]
        output.print_rich(_table(found), *unheard, f"{_ADVICE} Drawn in {printable(str(picture))}.")


def _draw(settings: CommandSettings, recording: Recording, picture: Path) -> None:
    try:
        from thekeys_async.cli.drawing import draw  # noqa: PLC0415 - matplotlib, which may not be installed
    except ImportError as error:
        if not (error.name or "").startswith("matplotlib"):
            raise
        raise other_failure("MissingExtra", _NO_LIBRARY, ExitCode.UNEXPECTED, as_json=settings.json) from None
    try:
        draw(recording, picture)
    except OSError as error:
        raise _unwritten(settings, error) from None


def _unwritten(settings: CommandSettings, error: OSError) -> Failure:
    sentence = f"The picture can't be written ({printable(str(error.strerror))}). Mend that, or give another OUT."
    return other_failure(type(error).__name__, sentence, ExitCode.UNEXPECTED, as_json=settings.json)


def _summaries(recording: Recording) -> list[tuple[Series, Summary]]:
    """Summarise each line, for each locker the best gateway first."""
    found = [(series, summarised(series.sampled(recording.end))) for series in recording.series.values()]
    return sorted(found, key=lambda each: (each[0].identifier, -each[1].median))


def _as_json(series: Series, summary: Summary) -> dict[str, object]:
    named = {"gateway": series.gateway, "identifier": series.identifier, "name": series.name}
    return {**named, **attrs.asdict(summary), "battery_mv": round(series.battery_mv)}


def _table(found: Iterable[tuple[Series, Summary]]) -> RenderableType:
    fields = (
        Field("Locker", whole=True),
        Field("Gateway", whole=True),
        Field("RSSI, median", right=True),
        Field("weakest", right=True, leaves=1),
        Field("weak or lost", right=True),
        Field("battery", right=True, leaves=2),
    )
    rows = [
        (
            printable(series.locker),
            printable(series.gateway),
            f"{summary.median:.0f} dBm",
            f"{summary.weakest:.0f} dBm",
            f"{summary.weak:.0%}",
            f"{series.battery_mv:.0f} mV",
        )
        for series, summary in found
    ]
    return fitted(fields, rows, output.console())
