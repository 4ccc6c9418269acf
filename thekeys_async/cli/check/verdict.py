"""The verdict on a gateway: the findings together, and the settings that fit it."""

import statistics

import attrs

from thekeys_async.cli.check.findings import Finding, Grade, of_the_gateway
from thekeys_async.cli.check.locker_findings import of_the_lockers
from thekeys_async.cli.check.observations import Observations
from thekeys_async.cli.errors import ExitCode

_OF_A_DOOR = frozenset({ExitCode.OUTCOME_UNKNOWN, ExitCode.NOT_THERE})
_MORE_REST = 1.0
_MOST_REST = 5.0


@attrs.frozen(kw_only=True)
class Recommended:
    """Settings for this gateway, where the defaults do not fit; None where they do.

    Attributes:
        light: Seconds of rest after a light request, for `Pacing`.
        bluetooth: Seconds of rest after one to a locker.
        offset: Seconds to add to the clock, for `Timestamps`.
        max_lead: Seconds by which timestamps may be ahead.
    """

    light: float | None = None
    bluetooth: float | None = None
    offset: float | None = None
    max_lead: float | None = None

    @property
    def pacing(self) -> str | None:
        """The call of `Pacing`, as a program has it; None where the default fits."""
        return None if self.light is None else f"Pacing(light={self.light:g}, bluetooth={self.bluetooth:g})"

    @property
    def timestamps(self) -> str | None:
        """The call of `Timestamps`, as a program has it; None where the default fits."""
        given = [("offset", self.offset), ("max_lead", self.max_lead)]
        words = [f"{name}={value:g}" for name, value in given if value is not None]
        return f"Timestamps({', '.join(words)})" if words else None


@attrs.frozen(kw_only=True)
class Report:
    """All that a check has to say.

    Attributes:
        findings: In the order in which they were asked.
        verdict: One sentence on all of it.
        do: The next step; empty if there is none.
        code: The exit code.
        recommended: Settings for this gateway.
    """

    findings: tuple[Finding, ...]
    verdict: str
    do: str
    code: ExitCode
    recommended: Recommended


def report(seen: Observations) -> Report:
    """Judge a gateway by what was seen of it."""
    findings = tuple(of_the_gateway(seen))
    if seen.understood:
        findings += tuple(of_the_lockers(seen))
    if seen.unfinished:
        findings += (
            Finding(
                check="check",
                grade=Grade.WARNED,
                found=f"not all was asked: {seen.unfinished}",
                do="Repeat it when the above is mended, or with fewer share codes.",
            ),
        )
    failed = [each for each in findings if each.grade is Grade.FAILED]
    failed.sort(key=lambda each: each.code not in _OF_A_DOOR)
    warned = [each for each in findings if each.grade is Grade.WARNED]
    recommended = _recommended(seen)
    if failed:
        first = failed[0]
        more = f" ({len(failed)} checks failed)" if len(failed) > 1 else ""
        return Report(
            findings=findings,
            verdict=f"It does not work: {_about(first)}: {first.found}{more}.",
            do=first.do,
            code=first.code,
            recommended=recommended,
        )
    if warned:
        first = warned[0]
        more = f" ({len(warned)} warnings)" if len(warned) > 1 else ""
        return Report(
            findings=findings,
            verdict=f"It works, with a warning: {_about(first)}: {first.found}{more}.",
            do=first.do,
            code=ExitCode.WARNED,
            recommended=recommended,
        )
    unread = any(each.check == "share" and each.grade is Grade.NOT_ASKED for each in findings)
    verdict = "All is well." if not unread else "All is well, as far as can be told without a share code."
    return Report(findings=findings, verdict=verdict, do="", code=ExitCode.DONE, recommended=recommended)


def _about(finding: Finding) -> str:
    return finding.check if finding.identifier is None else f"{finding.check} {finding.identifier}"


def _recommended(seen: Observations) -> Recommended:
    median = statistics.median(seen.latencies) if seen.latencies else 0.0
    light = None
    if seen.unanswered or median > seen.slow:
        light = round(min(max(_MORE_REST, 2 * seen.light_rest, median), _MOST_REST), 1)
    offset = next((read.offset for read in seen.reads if read.status and read.offset), None)
    lead = seen.lead.accepted if seen.lead and seen.lead.refused is not None else None
    return Recommended(light=light, bluetooth=light and 2 * light, offset=offset, max_lead=lead)
