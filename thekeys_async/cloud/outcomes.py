"""Outcomes of web calls: the fields of an answer, or an error."""

from collections.abc import Mapping

from thekeys_async.cloud.errors import (
    AuthenticationError,
    CloudError,
    CloudProtocolError,
    CloudUnreachableError,
    NotFoundError,
    ShareRejectedError,
)
from thekeys_async.cloud.fields import Fields
from thekeys_async.cloud.http import NoAnswer, WebAnswer, WebCall, safe_words
from thekeys_async.protocol.secrets import Secret

_OK = 200
_REDIRECT = 300
_REFUSED = 400
_BAD_FORM = frozenset({400, 409, 422})
_BAD_LOGIN = frozenset({400, 403, 422})
_UNAUTHORISED = 401
_MEANINGS: Mapping[int, tuple[type[CloudError], str]] = {
    403: (AuthenticationError, "the account may not do this"),
    404: (NotFoundError, "the cloud does not know it"),
}
_TOO_MANY = 429
_OUT_OF_ORDER = 500


def refuses_token(outcome: WebAnswer | NoAnswer) -> bool:
    """Tell whether a new log-in helps."""
    if isinstance(outcome, NoAnswer):
        return False
    return outcome.status == _UNAUTHORISED or bool(outcome.fields and "invalid_grant" in outcome.fields.words("error"))


def passes(outcome: WebAnswer | NoAnswer) -> bool:
    """Tell whether the trouble may go away by itself."""
    return isinstance(outcome, NoAnswer) or outcome.status >= _OUT_OF_ORDER or outcome.status == _TOO_MANY


def seconds_to_wait(outcome: WebAnswer | NoAnswer) -> float:
    """Return for how long the cloud asks to be left alone; 0 if it names no time."""
    return 0.0 if isinstance(outcome, NoAnswer) else outcome.retry_after


def did_nothing(outcome: WebAnswer | NoAnswer) -> bool:
    """Tell whether the cloud surely changed nothing: it was never asked, or it refused."""
    if isinstance(outcome, NoAnswer):
        return not outcome.sent
    return _REFUSED <= outcome.status < _OUT_OF_ORDER or refuses_token(outcome)


def understood(request: WebCall, outcome: WebAnswer | NoAnswer, secrets: list[Secret]) -> Fields:
    """Return the answer's fields.

    Args:
        request: The request.
        outcome: The outcome.
        secrets: The secrets to leave out of the server's words.

    Raises:
        CloudError: The answer is no success.
    """
    error = failure(request, outcome, secrets)
    if error is None and isinstance(outcome, WebAnswer):
        if outcome.fields is not None:
            return outcome.fields
        error = CloudProtocolError(f"{request.what}: the answer is {outcome.unread}")
    raise error or AssertionError("unreachable: no answer is an error")


def logged_in(request: WebCall, outcome: WebAnswer | NoAnswer) -> Fields:
    """Return the fields of the answer to a log-in.

    Raises:
        AuthenticationError: The user name or the password is wrong.
        CloudError: Anything else but success.
    """
    if isinstance(outcome, WebAnswer) and (refuses_token(outcome) or outcome.status in _BAD_LOGIN):
        raise AuthenticationError(
            f"{request.what}: the cloud refused the user name or the password", code=outcome.status
        )
    return understood(request, outcome, [])


def failure(request: WebCall, outcome: WebAnswer | NoAnswer, secrets: list[Secret]) -> CloudError | None:
    """Return the error that an outcome means; None for a success, whatever its body says.

    Args:
        request: The request.
        outcome: The outcome.
        secrets: The secrets to leave out of the server's words.
    """
    if isinstance(outcome, NoAnswer):
        return CloudUnreachableError(f"{request.what}: {outcome.reason}")
    status, what = outcome.status, f"{request.what}: HTTP {outcome.status}"
    if rejected := _rejected(request, outcome, secrets):
        return rejected
    if passes(outcome):
        wait = seconds_to_wait(outcome)
        words = f"the cloud asks to wait for {wait:g} s" if wait else "the cloud is out of order, or asks to wait"
        return CloudUnreachableError(f"{what}: {words}", code=status)
    if _OK <= status < _REDIRECT:
        return None
    kind, words = _MEANINGS.get(status, (CloudProtocolError, "an answer that this program does not know"))
    return kind(f"{what}: {words}", code=status)


def _rejected(request: WebCall, answer: WebAnswer, secrets: list[Secret]) -> ShareRejectedError | None:
    """Make the error of a form that was refused; it may come with any status."""
    messages = (answer.fields or Fields({}, "nothing")).messages("message")
    form = messages.words("form")
    if not request.changes or not (form or answer.status in _BAD_FORM):
        return None
    words = form + messages.words("global")
    said = tuple(safe_words(word, secrets) for word in words)
    text = "; ".join(said) or "no reason given"
    return ShareRejectedError(f"{request.what}: refused: {text}", code=answer.status, cause=text, messages=said)
