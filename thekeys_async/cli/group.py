"""The group of all commands: the order of its list, other words for actions, and the end of one that failed."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from thekeys_async.cli.errors import ExitCode, Failure, on_stderr, other_failure
from thekeys_async.cli.names import nearest
from thekeys_async.cli.settings import BEGUN, META, CommandSettings
from thekeys_async.protocol.text import printable

OTHER_WORDS: Mapping[str, str] = {
    "unlock": "open",
    "lock": "close",
    "list": "search",
    "synchronise": "synchronize",
    "synchronise_locker": "synchronize_locker",
}
"""Other words for actions."""

_ASKED_FOR_JSON = f"{META}asked_for_json"


class Actions(click.Group):
    """Lists the actions in the order they are declared, understands other words for them, and says how one failed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Keep the order in which the actions are declared."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find an action, however it is capitalised, or by another word for it."""
        word = cmd_name.casefold().replace("-", "_")
        return super().get_command(ctx, OTHER_WORDS.get(word, word))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the action that was typed.

        Raises:
            click.UsageError: There is none; it names the nearest.
        """
        typed = args[0]
        if typed.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, typed) is not None:
            return super().resolve_command(ctx, args)
        # What was typed is not repeated: it may have been a share code.
        meant = nearest([*self.commands, *OTHER_WORDS], typed)
        advice = f"Did you mean 'thekeys {meant}'?" if meant else "'thekeys --help' lists them."
        raise click.UsageError(f"There is no such action. {advice}", ctx)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the flags before the action.

        Raises:
            click.exceptions.Exit: They make no sense, which has been said.
        """
        asked_for_json = "--json" in args
        handed, args = [args], []  # a frame that is shown with its local variables must not show a share code
        try:
            context = super().make_context(info_name, handed.pop(), parent, **extra)
        except click.UsageError as error:
            raise _end_of_wrong_flags(error, as_json=asked_for_json) from None
        context.meta[_ASKED_FOR_JSON] = asked_for_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Carry an action out, and say how it failed if it did.

        Raises:
            click.exceptions.Exit: It failed; with the exit code.
        """
        try:
            return super().invoke(ctx)
        except click.Abort as abort:
            attended = sys.stdin.isatty()
            if abort.__suppress_context__ or not attended:  # no answer, or none that was seen: no end of its line
                click.echo(err=True)
            sentence = f"Nothing was done.{'' if attended else ' With -y it is done without asking.'}"
            failure = other_failure("Declined", sentence, ExitCode.UNEXPECTED, as_json=_as_json(ctx))
        except click.UsageError as error:
            raise _end_of_wrong_flags(error, as_json=_as_json(ctx)) from None
        except KeyboardInterrupt:  # while no event loop runs: before the work, or while its end is printed
            begun = BEGUN in ctx.meta
            outcome = "a command may have been carried out: look before you repeat it" if begun else "nothing was done"
            sentence, code = f"Stopped by SIGINT; {outcome}.", ExitCode.INTERRUPTED
            failure = other_failure("Interrupted", sentence, code, may_have_executed=begun, as_json=_as_json(ctx))
        except Failure as error:
            failure = error
        failure.show()
        raise click.exceptions.Exit(failure.code)


def _as_json(context: click.Context) -> bool:
    """Whether an error is said as JSON: also where flags were not read to their end, because one makes no sense."""
    return CommandSettings.of(context).json or context.meta[_ASKED_FOR_JSON]


def _end_of_wrong_flags(error: click.UsageError, *, as_json: bool) -> click.exceptions.Exit:
    """Say what is wrong with the flags, and make the end of the command."""
    no_command = isinstance(error, click.exceptions.NoArgsIsHelpError)
    if as_json:
        sentence = "A command is missing; --help lists them." if no_command else error.format_message()
        other_failure("UsageError", sentence, ExitCode.USAGE, as_json=True).show()
    else:
        with on_stderr():
            # A file's name may be in the message.
            (error if no_command else click.UsageError(printable(error.format_message()), error.ctx)).show()
    return click.exceptions.Exit(error.exit_code)
