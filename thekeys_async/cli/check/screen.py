"""A report as a table for people and as JSON for programs."""

import re
from collections.abc import Iterator, Mapping

import attrs
from rich.console import Console, RenderableType
from rich.text import Text

from thekeys_async.cli.check.findings import Finding, Grade
from thekeys_async.cli.check.observations import Observations
from thekeys_async.cli.check.verdict import Report
from thekeys_async.cli.tables import Field, fitted
from thekeys_async.protocol.anonymizing import Anonymizer
from thekeys_async.protocol.text import printable

_STYLES: Mapping[Grade, str] = {
    Grade.PASSED: "green",
    Grade.WARNED: "yellow",
    Grade.FAILED: "bold red",
    Grade.NOT_ASKED: "dim",
}
# Lockers where they are named as such, and any number as long as theirs.
_LOCKER = re.compile(
    r"\b(?:locker|share|door|[Ss]ynchronizing) (?P<named>\d{1,18})\b|(?<![\d.])(?P<long>\d{6,18})(?![\d.])"
)


@attrs.frozen
class Naming:
    """The names of the gateway and its lockers in the output.

    Attributes:
        gateway: The gateway.
        names: The lockers' names in the configuration file.
        anonymous: Whether nothing may tell whose gateway it is.
    """

    gateway: str
    names: Mapping[int, str] = attrs.field(factory=dict[int, str])
    anonymous: bool = False

    def locker(self, identifier: int) -> str:
        """Call a locker by its name, else by its number."""
        return printable(self.names.get(identifier, str(identifier)))


def table(report: Report, naming: Naming, console: Console) -> Iterator[RenderableType]:
    """Draw the findings, the verdict below them, and what to do."""
    fields = (Field("Check", whole=True), Field("Result", whole=True), Field("Found"))
    rows = [
        (_check(each, naming), Text(each.grade.value, _STYLES[each.grade]), _found(each)) for each in report.findings
    ]
    yield fitted(fields, rows, console, expand=False)
    yield Text(f"\n{_words(report.verdict, naming)}", "bold")
    if report.do:
        yield Text(f"Next: {report.do}")
    settings = [each for each in (report.recommended.pacing, report.recommended.timestamps) if each]
    if settings:
        yield Text(f"Recommended for AsyncGateway: {', '.join(settings)}.")


def _check(finding: Finding, naming: Naming) -> str:
    if finding.identifier is None:
        return finding.check
    return f"{finding.check} {naming.locker(finding.identifier)}"


def _found(finding: Finding) -> Text:
    lines = [Text(finding.found)]
    if finding.means:
        lines.append(Text(finding.means, "dim"))
    if finding.do:
        lines.append(Text(f"-> {finding.do}"))
    return Text("\n").join(lines)


def _words(verdict: str, naming: Naming) -> str:
    for identifier, name in naming.names.items():
        verdict = verdict.replace(f" {identifier}:", f" {printable(name)}:")
    return verdict


def as_json(report: Report, seen: Observations, naming: Naming, version: str) -> dict[str, object]:
    """Make JSON's types of a report.

    Args:
        report: The report.
        seen: The observations that it is made of.
        naming: The names in it.
        version: This package's.
    """
    hidden = _Hidden(seen, naming)
    recommended = report.recommended
    value: dict[str, object] = {
        "check": 1,
        "thekeys_async": version,
        "gateway": hidden.gateway,
        "firmware": seen.status and seen.status.version,
        "verdict": hidden.text(report.verdict),
        "do": report.do,
        "exit_code": int(report.code),
        "findings": [
            {
                "check": each.check,
                "locker": hidden.locker(each.identifier),
                "result": each.grade.value,
                "found": hidden.text(each.found),
                "means": each.means,
                "do": each.do,
            }
            for each in report.findings
        ],
        "recommended": {"pacing": recommended.pacing, "timestamps": recommended.timestamps},
        "requests": sum(each.sent for each in seen.exchanges),
        "latencies": [round(each, 4) for each in seen.latencies],
    }
    if not naming.anonymous:
        value["names"] = {str(identifier): name for identifier, name in naming.names.items()}
    return value


class _Hidden:
    """Puts numbers in the place of lockers and of the gateway's address, if nothing may tell whose they are."""

    def __init__(self, seen: Observations, naming: Naming) -> None:
        readings = {reading.identifier for reading in seen.lockers or ()}
        lockers = sorted(readings | seen.coded | naming.names.keys())
        self._hide = naming.anonymous
        self._lockers = {identifier: number for number, identifier in enumerate(lockers, 1)}
        places = (naming.gateway, seen.resolved.host, *seen.resolved.addresses)
        self._places = sorted({place for place in places if place}, key=len, reverse=True)
        self.gateway = "gateway" if self._hide else naming.gateway

    def locker(self, identifier: int | None) -> int | None:
        """Give a locker's number, or a small one in its place."""
        return self._lockers.get(identifier, 0) if self._hide and identifier is not None else identifier

    def text(self, text: str) -> str:
        """Replace what identifies the gateway or a locker in a text."""
        if not self._hide:
            return text
        for place in self._places:
            text = text.replace(place, "gateway")
        return Anonymizer().words(_LOCKER.sub(self._replace, text))

    def _replace(self, found: "re.Match[str]") -> str:
        number = found["named"] or found["long"]
        return found[0][: -len(number)] + str(self._lockers.get(int(number), "?"))
