"""The verdict on a message: whether it may move a door. Pure.

These rules are promises, and their order is one of them; `docs/mqtt.md` explains each. No sequence of messages, clocks,
echoes and restarts carries out one stamp twice, or one that is older than the limit, or one that the broker had kept.
"""

import enum
from collections.abc import Callable
from typing import Final, Literal

import attrs

from thekeys_async.bridge.command_history import Command, CommandHistory
from thekeys_async.bridge.heartbeat import Heartbeat, Moment
from thekeys_async.bridge.messages import Action, CommandMessage, MalformedMessageError, parse
from thekeys_async.bridge.topics import Target

MOST_A_MINUTE: Final = 10

_MINUTE: Final = 60.0
_JUMP: Final = 1.0


class Refusal(enum.Enum):
    """A reason to refuse a message. A closed set: these are the values of a metric's label."""

    RETAINED = "retained"
    MALFORMED = "malformed"
    NOT_DRIVEN = "not driven"
    READ_ONLY = "read-only"
    TOO_OLD = "too old"
    IN_THE_FUTURE = "in the future"
    NO_TIME = "no time"
    NOT_READY = "not ready"
    NO_HEARTBEAT = "no heartbeat"
    DUPLICATE = "duplicate"
    BEFORE_START = "older than this bridge"
    REPLACED = "replaced"
    TOO_MANY = "too many"


class Decision(enum.Enum):
    """The four things that may be done with a message."""

    RUN = "run"
    """Carry it out, with nothing leaving after its deadline."""
    JOIN = "join"
    """The same is under way, and serves for both."""
    WAIT = "wait"
    """Something else is under way at the locker; it is judged anew when that has ended."""
    REFUSE = "refuse"


@attrs.frozen
class Verdict:
    """The decision on a message, and its reason.

    Attributes:
        decision: The decision.
        command: What was asked for, where the message had the form of a command.
        refusal: The reason for a refusal.
        detail: More words on that; never anything of the message.
        replaced: The command that has waited until now, and never comes to its turn as this one is newer.
    """

    decision: Decision
    command: Command | None = None
    refusal: Refusal | None = None
    detail: str = ""
    replaced: Command | None = None


@attrs.frozen(kw_only=True)
class Rules:
    """The rules of a bridge.

    Attributes:
        commands: ``stamped``: to unlock needs a time; ``any``: a plain word will do, which opens doors late when a
            client or a broker has kept it; ``none``: nothing is driven at all.
        max_age: Seconds after which a command is refused, and after which nothing of it leaves.
        max_skew: So many seconds another's clock may be ahead of ours.
    """

    commands: Literal["stamped", "any", "none"] = "stamped"
    max_age: float = 10.0
    max_skew: float = 5.0


class Judge:
    """Judges messages, and remembers what it must of those before.

    Args:
        rules: The rules.
        heartbeat: Whether messages come without delay.
        is_ready: Whether the prefix is ours.
        is_driven: Whether a target exists, is driven by this bridge, and has what that needs: a share code.
        started: When this process began.
    """

    def __init__(
        self,
        rules: Rules,
        heartbeat: Heartbeat,
        is_ready: Callable[[Moment], bool],
        is_driven: Callable[[Target], bool],
        started: Moment,
    ) -> None:
        self._rules = rules
        self._heartbeat = heartbeat
        self._is_ready = is_ready
        self._is_driven = is_driven
        self._started = started
        self._last = started
        self._histories: dict[tuple[str, str], CommandHistory] = {}

    def judge(self, target: Target, payload: bytes, *, retained: bool, now: Moment) -> Verdict:
        """Judge a message. The first rule that it breaks refuses it.

        Args:
            target: The target that its topic names.
            payload: The message.
            retained: Whether it bears the retain flag: it was kept, or is to be kept.
            now: The time by both clocks.
        """
        self.tick(now)
        try:
            message = parse(target, payload)
        except MalformedMessageError as error:
            if retained:
                return Verdict(Decision.REFUSE, refusal=Refusal.RETAINED)
            return Verdict(Decision.REFUSE, refusal=Refusal.MALFORMED, detail=str(error))
        command = Command(target, message, self._deadline(message, now))
        if not self._is_driven(target):
            return Verdict(Decision.REFUSE, command, Refusal.RETAINED if retained else Refusal.NOT_DRIVEN)
        # The word is final: a message that is refused now is not carried out if it comes again.
        if refusal := Refusal.RETAINED if retained else self._refusal_by_age(message, now):
            self._of(target).remember_refused(message, now.boot)
            return Verdict(Decision.REFUSE, command, refusal)
        by_history = self._refusal_by_history(message, target, now)
        self._of(target).remember(message, now.boot)
        if refusal := self._refusal_by_link(now) or by_history:
            return Verdict(Decision.REFUSE, command, refusal)
        return self._take(command, now)

    def tick(self, now: Moment) -> None:
        """Look at the clocks; to be called every second or so.

        A jump of the wall clock counts as a start: what was stamped before is older than this process.
        """
        jump = (now.wall - self._last.wall) - (now.boot - self._last.boot)
        if abs(jump) > _JUMP:
            self._started = now
        self._last = now

    def next(self, ended: Command, now: Moment) -> Verdict | None:
        """Go on after a command has ended: the one that waited is judged anew.

        Returns:
            Run it, or refuse it; None if none waited.
        """
        self.tick(now)
        waiting = self._of(ended.target).ended(ended)
        if waiting is None:
            return None
        refusal = self._refusal_by_age(waiting.message, now) or self._refusal_by_link(now)
        if refusal is None and now.boot >= waiting.deadline:
            refusal = Refusal.TOO_OLD
        if refusal is not None:
            return Verdict(Decision.REFUSE, waiting, refusal)
        # The wall clock may have been set since; of the two limits the earlier one holds.
        waiting = attrs.evolve(waiting, deadline=min(waiting.deadline, self._deadline(waiting.message, now)))
        self._of(waiting.target).under_way = waiting
        return Verdict(Decision.RUN, waiting)

    def accepts_stamps_of(self, now: Moment) -> bool:
        """Tell whether a command that is stamped now is newer than this process, whatever clock it is stamped by."""
        return now.wall > self._begun

    def served_by(self, command: Command) -> list[Command]:
        """List the commands whose result is that of one that ends: itself, and those that have joined it."""
        history = self._of(command.target)
        return [command, *history.joined] if history.under_way is command else [command]

    def _deadline(self, message: CommandMessage, now: Moment) -> float:
        if message.at is not None:
            return now.boot + min(self._rules.max_age, message.at + self._rules.max_age - now.wall)
        # It has come after the newest echo, so it was published after that was sent.
        newest = self._heartbeat.newest_sent
        return (now.boot if newest is None else newest) + self._rules.max_age

    def _refusal_by_age(self, message: CommandMessage, now: Moment) -> Refusal | None:
        if self._rules.commands == "none" and not message.action.is_read:
            return Refusal.READ_ONLY
        if message.at is None:
            late = not message.action.harmless_when_late and self._rules.commands != "any"
            return Refusal.NO_TIME if late else None
        age = now.wall - message.at
        if age > self._rules.max_age:
            return Refusal.TOO_OLD
        return Refusal.IN_THE_FUTURE if age < -self._rules.max_skew else None

    def _refusal_by_link(self, now: Moment) -> Refusal | None:
        if not self._is_ready(now):
            return Refusal.NOT_READY
        return None if self._heartbeat.is_fresh(now) else Refusal.NO_HEARTBEAT

    def _refusal_by_history(self, message: CommandMessage, target: Target, now: Moment) -> Refusal | None:
        if self._of(target).is_known(message, now.boot, 2 * self._rules.max_age):
            return Refusal.DUPLICATE
        return Refusal.BEFORE_START if message.at is not None and message.at <= self._begun else None

    @property
    def _begun(self) -> float:
        """The newest stamp that an earlier bridge may have carried out, as stamps may be ahead of the clock."""
        return self._started.wall + self._rules.max_skew

    def _take(self, command: Command, now: Moment) -> Verdict:
        history = self._of(command.target)
        if history.taken_within(_MINUTE, now.boot) >= MOST_A_MINUTE:
            return Verdict(Decision.REFUSE, command, Refusal.TOO_MANY)
        history.take(now.boot)
        if command.message.action is Action.READ:
            return Verdict(Decision.RUN, command)
        replaced, history.waiting = history.waiting, None
        if history.under_way is None:
            history.under_way = command
            return Verdict(Decision.RUN, command)
        if history.under_way.message.action is command.message.action:
            history.joined.append(command)
            return Verdict(Decision.JOIN, command, replaced=replaced)
        history.waiting = command
        return Verdict(Decision.WAIT, command, replaced=replaced)

    def _of(self, target: Target) -> CommandHistory:
        return self._histories.setdefault((target.kind, target.name), CommandHistory())
