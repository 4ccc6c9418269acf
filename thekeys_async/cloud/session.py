"""Asking the cloud with a token that is valid, and again where that is safe."""

import logging
import random
from itertools import count
from typing import Final

import attrs

from thekeys_async.cloud import fields, outcomes, vocabulary
from thekeys_async.cloud.calls import Clock, CloudCall, SingleFlight
from thekeys_async.cloud.errors import AuthenticationError, CloudProtocolError
from thekeys_async.cloud.fields import Fields
from thekeys_async.cloud.http import Form, NoAnswer, WebAnswer, WebCall, WebConnection
from thekeys_async.protocol.secrets import Secret

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 4
_FIRST_PAUSE = 0.5
_LONGEST_WAIT = 10.0  # a caller learns of a longer one sooner
_TOKEN_LIFE = 3600.0
_MARGIN = 60.0


@attrs.frozen
class _Token:
    secret: Secret
    good_until: float


class CloudSession:
    """Web calls under one account, with a log-in when first needed and when the token has run out.

    Args:
        wire: The way there.
        username: The account's phone number, international.
        password: Its password.
        clock: Time.
    """

    def __init__(self, wire: WebConnection, username: str, password: Secret, clock: Clock) -> None:
        self._connection = wire
        self._username = username
        self._password = password
        self._clock = clock
        self._token: _Token | None = None
        self._login: SingleFlight[_Token] = SingleFlight()

    async def ask(self, request: WebCall, call: CloudCall) -> Fields:
        """Ask, and return the fields of the answer.

        Args:
            request: The request. A read is tried again; a change is not, once it may have arrived.
            call: Learns whether a change may have been made.

        Raises:
            CloudError: No usable answer, or no success.
        """
        token = await self._valid_token(None)
        outcome = await self.deliver(request, call, token)
        if outcomes.refuses_token(outcome):
            token = await self._valid_token(token)
            outcome = await self.deliver(request, call, token)
        if outcomes.refuses_token(outcome):
            raise AuthenticationError(f"{request.what}: the cloud refuses its own new token", code=401)
        return outcomes.understood(request, outcome, [*request.secrets, self._password, token.secret])

    async def deliver(self, request: WebCall, call: CloudCall, token: _Token | None = None) -> WebAnswer | NoAnswer:
        """Send until there is an outcome that repeating can't better, or must not.

        Args:
            request: The request.
            call: Learns whether a change may have been made.
            token: The token; None asks without one.
        """
        before = call.may_have_executed
        for attempt in count(1):
            call.may_have_executed = before or request.changes
            outcome = await self._connection.exchange(request, token.secret if token else None)
            undone = outcomes.did_nothing(outcome)
            call.may_have_executed = before or (request.changes and not undone)
            _log.debug("%s: %s", request.what, outcome.status if isinstance(outcome, WebAnswer) else outcome.reason)
            wait = outcomes.seconds_to_wait(outcome)
            lasts = attempt == _ATTEMPTS or not outcomes.passes(outcome) or wait > _LONGEST_WAIT
            if lasts or (request.changes and not undone):
                return outcome
            await self.pause(attempt, wait)
        raise AssertionError("unreachable: the last attempt returns")

    async def pause(self, attempt: int, wait: float = 0.0) -> None:
        """Wait before the next attempt: longer each time, and not all callers equally long.

        Args:
            attempt: Which one has failed, counted from 1.
            wait: Seconds for which the cloud asked to be left alone.
        """
        longest = _FIRST_PAUSE * 2 ** (attempt - 1)
        await self._clock.sleep(wait + random.uniform(longest / 2, longest))  # noqa: S311 - no secret hangs on it

    async def _valid_token(self, refused: _Token | None) -> _Token:
        """Return a token other than the refused one; however many ask at once, there is one log-in."""
        token = self._token
        if token and token is not refused and self._clock.monotonic() < token.good_until:
            return token
        return await self._login.join(self._log_in)

    def login_form(self) -> Form:
        """Make the form of a log-in, which the web pages take, too."""
        return vocabulary.login_form(self._username, self._password)

    async def _log_in(self) -> _Token:
        request = WebCall("log in", "/api/login_check", self.login_form())
        started = self._clock.monotonic()
        outcome = await self.deliver(request, CloudCall())
        answer = outcomes.logged_in(request, outcome)
        life = answer.optional("expires_in", fields.seconds) or _TOKEN_LIFE
        self._token = _Token(_token_in(answer), started + life - min(_MARGIN, life / 2))
        return self._token


def _token_in(answer: Fields) -> Secret:
    for name in ("access_token", "token"):
        if token := answer.optional(name, fields.token):
            return token
    raise CloudProtocolError("log in: the answer holds no token")
