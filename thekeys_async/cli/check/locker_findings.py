"""The findings about lockers: what the gateway sees, which shares are valid, and which time it takes."""

from collections.abc import Iterator, Mapping

from thekeys_async.cli.check.findings import Finding, Grade
from thekeys_async.cli.check.observations import DoorRead, Observations
from thekeys_async.cli.errors import ExitCode
from thekeys_async.protocol import errors
from thekeys_async.protocol.models import LockerReading, battery_percent
from thekeys_async.protocol.text import printable
from thekeys_async.protocol.thresholds import is_low, is_weak

_SHARE = (
    "Check in the vendor's app that the share is there, then 'thekeys synchronize' and 'thekeys synchronize_locker'."
)
_SHARE_TURNS = "Stop the other program, or let both share turns: the same --state-dir, or a Redis in THEKEYS_REDIS_URL."
_NEARER = "Hang the gateway nearer to it: 'thekeys watch' shows its signal."
_ADVICE: Mapping[type[errors.TheKeysError], tuple[str, str]] = {
    errors.NotSharedError: (
        "The vendor's cloud has no share of this locker for this gateway, or has not sent it.",
        _SHARE,
    ),
    errors.InvalidHmacError: (
        "The share code is wrong, or another program has used timestamps that are far ahead.",
        "Compare the share code with 'thekeys shares list', and see that no other program drives this gateway.",
    ),
    errors.InvalidKeyError: ("The locker does not know the share yet.", _SHARE),
    errors.LockerIncompatibleError: (
        "Gateway and locker do not fit.",
        "Try 'thekeys update' and 'thekeys update_locker', else ask the vendor.",
    ),
    errors.GatewayClockError: ("The gateway does not know the time.", "Run 'thekeys synchronize', then this again."),
    errors.MissingParameterError: ("The gateway wants more than any other.", "Send us 'thekeys check --save FILE'."),
    errors.LockerNotDetectedError: ("The locker is out of reach, or its battery is empty.", _NEARER),
    errors.LockerFaultError: ("The radio to the locker failed; that often passes.", f"Repeat this check. {_NEARER}"),
    errors.GatewayBusyError: ("Something else keeps it busy.", "Repeat this check later."),
    errors.ProtocolError: ("Its answer can't be understood.", "Send us a recording: 'thekeys check --save FILE'."),
    errors.TheKeysError: ("The read got no answer in time.", "Repeat this check."),
}
_PASSING = (
    *(errors.LockerNotDetectedError, errors.LockerFaultError, errors.GatewayBusyError),
    *(errors.GatewayUnreachableError, errors.RequestTimeoutError),
)


def of_the_lockers(seen: Observations) -> Iterator[Finding]:
    """Judge lockers, shares and timestamps, and whether another program drives the gateway."""
    yield from _lockers(seen)
    yield from _shares(seen)
    yield _clock(seen)
    yield _others(seen)
    if seen.door:
        yield _door(seen)


def _lockers(seen: Observations) -> Iterator[Finding]:
    if seen.lockers is None:
        busy = isinstance(seen.lockers_error, errors.GatewayBusyError)
        why = "it was busy" if busy else "it did not tell"
        yield Finding(check="locker", grade=Grade.NOT_ASKED, found=f"which lockers it sees is not known: {why}")
        return
    if not seen.lockers:
        yield Finding(
            check="locker",
            grade=Grade.WARNED,
            found="it sees no locker",
            means="Lockers are out of reach, or it has just been started.",
            do="Repeat this check in a minute; then hang the gateway nearer to a locker.",
        )
    for reading in sorted(seen.lockers, key=lambda reading: reading.identifier):
        yield _locker(reading)
    for identifier in sorted(seen.coded - {reading.identifier for reading in seen.lockers}):
        yield Finding(
            check="locker",
            identifier=identifier,
            grade=Grade.FAILED,
            found="not seen, though a share code is known for it",
            means="It is out of reach of this gateway, or its battery is empty.",
            do=_NEARER,
            code=ExitCode.REFUSED,
        )


def _locker(reading: LockerReading) -> Finding:
    millivolts = reading.battery_mv
    charge = "not told" if millivolts is None else f"{millivolts} mV (about {battery_percent(millivolts)} %)"
    signal = "not told" if reading.rssi is None else f"{reading.rssi} dBm"
    log = "" if reading.last_log is not None else ", last_log not told"
    found = f"RSSI {signal}, battery {charge}{log}"
    weak, low = is_weak(reading.rssi), is_low(millivolts)
    means = ["Its signal is weak: commands are likely to fail."] if weak else []
    means += ["Its battery is low."] if low else []
    do = [*([_NEARER] if weak else []), *(["Change its batteries."] if low else [])]
    if reading.last_log is None:
        means.append("Without last_log a bolt turned by hand is noticed some minutes later.")
    return Finding(
        check="locker",
        identifier=reading.identifier,
        grade=Grade.WARNED if weak or low else Grade.PASSED,
        found=found,
        means=" ".join(means),
        do=" ".join(do),
    )


def _shares(seen: Observations) -> Iterator[Finding]:
    if seen.reads:
        yield from map(_share, seen.reads)
        return
    if not seen.coded:
        found, do = "no share code is known", "Give -i and -c, or run 'thekeys setup': then doors are read, too."
    else:
        found, do = "no door was read", "Repeat this check when the above is mended."
    yield Finding(check="share", grade=Grade.NOT_ASKED, found=found, do=do)


def _share(read: DoorRead) -> Finding:
    if read.status:
        return Finding(
            check="share",
            identifier=read.identifier,
            found=f"valid; the bolt is {read.status.state.value}, read in {read.seconds:.1f} s",
        )
    error = read.error or errors.TheKeysError("not read")
    means, do = next(_ADVICE[kind] for kind in type(error).__mro__ if kind in _ADVICE)
    passing = isinstance(error, _PASSING)
    return Finding(
        check="share",
        identifier=read.identifier,
        grade=Grade.WARNED if passing else Grade.FAILED,
        found=_words(error),
        means=means,
        do=do,
        code=ExitCode.DONE if passing else ExitCode.REFUSED,
    )


def _words(error: errors.TheKeysError) -> str:
    number = "" if error.code is None else f" ({error.code})"
    known: Mapping[type[errors.TheKeysError], str] = {
        errors.NotSharedError: "not shared with this gateway",
        errors.InvalidHmacError: "the hash is refused",
        errors.InvalidKeyError: "the locker refuses the key",
        errors.LockerIncompatibleError: "not compatible with this gateway",
        errors.GatewayClockError: "the gateway's clock is not set",
        errors.LockerNotDetectedError: "the gateway does not detect it",
        errors.LockerFaultError: "no Bluetooth connection",
        errors.GatewayBusyError: "the gateway stayed busy",
    }
    words = known.get(type(error), printable(str(error)).rstrip(". "))
    return f"{words}{number}"


def _clock(seen: Observations) -> Finding:
    shifted = next((read for read in seen.reads if read.status and read.offset), None)
    if shifted:
        return Finding(
            check="clock",
            grade=Grade.FAILED,
            found=f"this computer's time is refused, and one {-shifted.offset:.0f} s earlier accepted",
            means="This computer's clock is ahead of the gateway's: with the defaults no door can be driven.",
            do="Set this computer's clock; 'thekeys synchronize' sets the gateway's. Till then: the Timestamps below.",
            code=ExitCode.REFUSED,
        )
    if seen.lead is None:
        return Finding(check="clock", grade=Grade.NOT_ASKED, found="only a door that can be read tells")
    accepted = seen.lead.accepted
    if seen.lead.refused is None:
        return Finding(check="clock", found=f"a timestamp may be {accepted:.0f} s ahead, as far as was tried")
    return Finding(
        check="clock",
        grade=Grade.WARNED,
        found=f"a timestamp may be {accepted:.0f} s ahead, and not {seen.lead.refused:.0f} s",
        means="Bursts of commands wait sooner for the clock; this library learns it by being refused once.",
        do="Set it beforehand: the recommended Timestamps are below.",
    )


def _others(seen: Observations) -> Finding:
    answered = [each for each in seen.exchanges if each.reply]
    busy = _busy_with_others(seen)
    found = f"{busy} of {len(answered)} answers were busy" if busy else f"no busy answer among {len(answered)}"
    if any(read.overtaken for read in seen.reads):
        return Finding(
            check="others",
            grade=Grade.WARNED,
            found=f"{found}; a timestamp of the present was refused, and one ahead of the clock accepted",
            means="Another program, or an earlier run with --no-coordination, has used newer timestamps.",
            do=_SHARE_TURNS,
        )
    if not busy or seen.synchronizing_for is not None:
        why = ": it synchronises" if busy else ""
        return Finding(check="others", found=f"{found}{why}")
    always = seen.lockers is None
    return Finding(
        check="others",
        grade=Grade.FAILED if always else Grade.WARNED,
        found=found,
        means="It was asked one thing at a time, and does not synchronise: another program or an app drives it.",
        do=_SHARE_TURNS,
        code=ExitCode.BUSY if always else ExitCode.DONE,
    )


def _busy_with_others(seen: Observations) -> int:
    """Count the busy answers that no request of ours explains: one that was given up may still be worked on."""
    count, ours = 0, False
    for each in seen.exchanges:
        if each.sent and not each.reply:
            ours = True
        elif each.reply and not each.busy:
            ours = False
        else:
            count += each.busy and not ours
    return count


def _door(seen: Observations) -> Finding:
    trial = seen.door
    if trial is None:
        raise ValueError("no door was tried")
    took = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in trial.steps)
    if trial.failed is None:
        return Finding(check="door", identifier=trial.identifier, found=took)
    error = trial.error
    why, before = f": {printable(str(error))}" if error else "", f"; before: {took}" if took else ""
    unknown = error is not None and error.may_have_executed
    code = ExitCode.OUTCOME_UNKNOWN if unknown else ExitCode.NOT_THERE if trial.steps else ExitCode.REFUSED
    return Finding(
        check="door",
        identifier=trial.identifier,
        grade=Grade.FAILED,
        found=f"{trial.failed} failed{why}{before}",
        means="The door may stand open." if unknown or trial.steps else "The door was not moved.",
        do="Look at the door.",
        code=code,
    )
