"""From observations to findings: each check passed, warned or failed, with what it means and what to do."""

import enum
import statistics
from collections.abc import Iterator

import attrs

from thekeys_async.cli.check import reply_style
from thekeys_async.cli.check.observations import Observations, ObservedExchange
from thekeys_async.cli.errors import ExitCode
from thekeys_async.protocol.errors import GatewayBusyError
from thekeys_async.protocol.text import printable

NEWEST_OLD_FIRMWARE = 16
"""``/status`` came with version 17 (the vendor's page)."""

_LOOK = "'thekeys discover --network 192.168.0.0/24' looks for it in a network of yours."


class Grade(enum.Enum):
    """The grade of one check."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    NOT_ASKED = "not asked"


@attrs.frozen(kw_only=True)
class Finding:
    """The end of one check.

    Attributes:
        check: The name of the check.
        identifier: The locker it is about, if it is about one.
        grade: Its grade.
        found: The finding.
        means: Its meaning; empty where there is nothing to say.
        do: The advice; empty where nothing is to be done.
        code: The exit code that it leads to.
    """

    check: str
    identifier: int | None = None
    grade: Grade = Grade.PASSED
    found: str
    means: str = ""
    do: str = ""
    code: ExitCode = ExitCode.DONE


def of_the_gateway(seen: Observations) -> Iterator[Finding]:
    """Judge the gateway itself: all that needs no share code, except for its lockers."""
    yield _name(seen)
    if seen.resolved.error:
        return
    yield _proxy(seen)
    yield _connection(seen)
    if not seen.answered:
        return
    yield _gateway(seen)
    if not seen.understood:
        return
    yield _style(seen)
    yield _http(seen)
    yield _latency(seen)
    yield _phase(seen)


def _name(seen: Observations) -> Finding:
    resolved = seen.resolved
    if resolved.error:
        return Finding(
            check="name",
            grade=Grade.FAILED,
            found=f"{resolved.host} stands for no address ({resolved.error})",
            means="This network does not know the name.",
            do=f"Give the gateway's address with --host. {_LOOK}",
            code=ExitCode.UNREACHABLE,
        )
    listed = ", ".join(resolved.addresses)
    if resolved.addresses == (resolved.host,):
        return Finding(check="name", found=f"{resolved.host} is an address")
    families = [":" in address for address in resolved.addresses]
    if len(set(families)) == len(families):
        return Finding(check="name", found=f"{resolved.host} is {listed}")
    return Finding(
        check="name",
        grade=Grade.WARNED,
        found=f"{resolved.host} is {listed}",
        means="Which of them answers may change, and two gateways of one name would get each other's commands.",
        do="Give one address with --host.",
    )


def _proxy(seen: Observations) -> Finding:
    if not seen.proxies:
        return Finding(check="proxy", found="the environment names none")
    return Finding(
        check="proxy",
        found=f"{', '.join(seen.proxies)} is set, and ignored",
        means="No proxy may stand between a program and the gateway; other programs than this may use it.",
    )


def _connection(seen: Observations) -> Finding:
    if not seen.reached:
        return _no_connection(seen)
    if not seen.answered:
        return Finding(
            check="connection",
            grade=Grade.FAILED,
            found=f"port {seen.port} takes requests, and answers none",
            means="A gateway that hangs does so, and one that restarts for some seconds.",
            do="Try again in a minute; then reboot it with 'thekeys reboot', or take its power for a moment.",
            code=ExitCode.UNREACHABLE,
        )
    times = [each.connected_after for each in seen.exchanges if each.connected_after is not None]
    return Finding(check="connection", found=f"connected to port {seen.port} in {_ms(min(times, default=0.0))}")


def _no_connection(seen: Observations) -> Finding:
    error = printable(str(seen.status_error or seen.lockers_error or "no connection"))
    refused = "refused" in error
    means = (
        "Something has this address, and nothing listens there: a gateway that restarts, or another device."
        if refused
        else "Nothing answers at this address."
    )
    return Finding(
        check="connection",
        grade=Grade.FAILED,
        found=f"no connection to port {seen.port} ({'refused' if refused else _in_brackets(error)})",
        means=means,
        do=f"Check the gateway's power, its network and --host. {_LOOK}",
        code=ExitCode.UNREACHABLE,
    )


def _in_brackets(error: str) -> str:
    return error.rpartition("(")[2].rstrip(")") if error.endswith(")") else "no answer in time"


def _gateway(seen: Observations) -> Finding:
    if not seen.understood:
        return _another(seen)
    if seen.status is None:
        if isinstance(seen.status_error, GatewayBusyError):
            return Finding(check="gateway", found="answers like a gateway, but only that it is busy")
        return Finding(
            check="gateway",
            grade=Grade.WARNED,
            found="tells its lockers, and not its status",
            means="Its firmware and what it does are not known here.",
            do="Send us a recording: 'thekeys check --save FILE'.",
        )
    version, asked = seen.status.version, {each.action for each in seen.exchanges}
    old = "root_status" in asked or (version is not None and version <= NEWEST_OLD_FIRMWARE)
    if old:
        return Finding(
            check="gateway",
            grade=Grade.WARNED,
            found=f"firmware {'not told' if version is None else version}, before 17",
            means="It works; newer firmware is what most programs are made for.",
            do="'thekeys update' installs the newest; the gateway is away for some seconds.",
        )
    told = "not told" if version is None else str(version)
    return Finding(check="gateway", found=f"answers like a gateway, firmware {told}")


def _another(seen: Observations) -> Finding:
    replied = next(each for each in seen.exchanges if each.reply)
    page = reply_style.page(replied)
    if not page.status:
        found = "answers, and not in HTTP"
    else:
        words = [f"HTTP {page.status}", f"compressed ({page.coding})" if page.coding else "", page.kind]
        words.append(f'"{page.title}"' if page.title else "")
        words += [f"from {page.server}" if page.server else "", f"to {page.location}" if page.location else ""]
        found = f"answers with {', '.join(word for word in words if word)}"
    return Finding(
        check="gateway",
        grade=Grade.FAILED,
        found=found,
        means="That is no The Keys gateway: another device has this address, or a proxy stands between.",
        do=f"Check --host. {_LOOK}",
        code=ExitCode.NOT_UNDERSTOOD,
    )


def _style(seen: Observations) -> Finding:
    style = reply_style.style(seen.exchanges)
    if style.odd:
        return Finding(
            check="style",
            grade=Grade.WARNED,
            found=f"{style.name or 'not told'}; {', '.join(style.odd)}",
            means="No gateway was seen to write so before; what is not understood is left out.",
            do="Send us a recording: 'thekeys check --save FILE'.",
        )
    names = {
        "page": "page: as on the vendor's page",
        "field": "field, or terse: only a locker's synchronisation tells the two apart",
        None: "nothing that it says tells",
    }
    return Finding(check="style", found=names[style.name])


def _http(seen: Observations) -> Finding:
    habit = seen.habit
    if habit is None:
        return Finding(check="http", grade=Grade.NOT_ASKED, found="no time was left for it")
    version = _version(habit)
    if habit.found_closed:
        return Finding(
            check="http",
            grade=Grade.WARNED,
            found=f"{version}, closes a connection without saying so",
            means="Clients that keep connections lose requests so. This one looks first, and commands take a new one.",
            do="Nothing here; other programs should send 'Connection: close'.",
        )
    if habit.kept:
        return Finding(check="http", found=f"{version}, keeps the connection")
    does = {
        "kept": "says that it keeps the connection",
        "to be closed": "closes the connection after each reply, and says so",
        "closed by the gateway": "closes the connection to end each reply",
    }
    return Finding(check="http", found=f"{version}, {does.get(habit.ended, habit.ended)}")


def _version(exchange: ObservedExchange) -> str:
    head = reply_style.head_of(exchange)
    return f"HTTP/{head.version.decode()}" if head else "HTTP"


def _latency(seen: Observations) -> Finding:
    if not seen.latencies:
        return Finding(check="latency", grade=Grade.NOT_ASKED, found="no light request was answered")
    median, worst = statistics.median(seen.latencies), max(seen.latencies)
    found = f"{len(seen.latencies)} light requests: median {_ms(median)}, worst {_ms(worst)}"
    if seen.unanswered:
        return Finding(
            check="latency",
            grade=Grade.WARNED,
            found=f"{found}; {seen.unanswered} not answered",
            means=f"With {seen.light_rest:g} s of rest after each, it lost some: it may be overrun.",
            do="Give it more rest: the recommended Pacing is below.",
        )
    if median > seen.slow:
        return Finding(
            check="latency",
            grade=Grade.WARNED,
            found=found,
            means="It is slow; 0.13 s is usual. Callers wait longer, and an overrun gateway is slow, too.",
            do="See whether other programs ask it; give it more rest: the recommended Pacing is below.",
        )
    return Finding(check="latency", found=f"{found}; {seen.light_rest:g} s of rest after each")


def _phase(seen: Observations) -> Finding:
    if seen.status is None:
        return Finding(check="phase", grade=Grade.NOT_ASKED, found="it does not tell its status")
    phase = printable(seen.status.phase) or "nothing told"
    if seen.synchronizing_for is None:
        return Finding(check="phase", found=phase)
    if not seen.still_synchronizing:
        return Finding(
            check="phase",
            grade=Grade.WARNED,
            found=f"{phase}, for part of this check",
            means="No locker can be reached meanwhile; seconds to four minutes are usual.",
            do="Repeat this check when it scans again.",
        )
    return Finding(
        check="phase",
        grade=Grade.FAILED,
        found=f"{phase}, all of this check ({seen.synchronizing_for:.0f} s)",
        means="No locker can be reached meanwhile. Four minutes are usual; ten mean that it hangs.",
        do="Repeat this check in ten minutes; if it still says so, 'thekeys reboot', or take its power for a moment.",
        code=ExitCode.BUSY,
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "less than 1 ms"  # noqa: PLR2004 - that is 1 ms
