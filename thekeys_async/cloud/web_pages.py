"""The account's web pages, for what the vendor's web calls don't offer: the reboot of a gateway.

One published client does this, as "the way out of a synchronisation that hangs" (observed); the vendor's page does not
mention it.
"""

import logging
import re

from thekeys_async.cloud import outcomes
from thekeys_async.cloud.calls import CloudCall
from thekeys_async.cloud.errors import AuthenticationError, CloudError, CloudProtocolError
from thekeys_async.cloud.http import NoAnswer, WebAnswer, WebCall
from thekeys_async.cloud.session import CloudSession

_LOGIN = "login"
_SET_COOKIE = re.compile(r"(?i)(b?['\"]set-cookie['\"], b?)('[^']*'|\"[^\"]*\")")


class _HideCookies(logging.Filter):
    """A log filter that takes cookies out of httpcore's records, which hold the head of each answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and "set-cookie" in record.msg.lower():
            record.msg = _SET_COOKIE.sub(r"\1'***'", record.msg)
        return True


for _name in ("httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_HideCookies())


async def reboot(session: CloudSession, number: int, call: CloudCall) -> None:
    """Log in at the web pages and order a gateway's reboot, which is not repeated once it may have arrived.

    Args:
        session: The session to ask through.
        number: The cloud's number for the gateway.
        call: Learns whether the gateway may be rebooting.

    Raises:
        CloudError: It was not ordered, or nobody knows.
    """
    request = WebCall("log in at the web pages", "/auth/fr/login_check", session.login_form())
    answer = await session.deliver(request, call)
    if _is_at_login(answer) or (isinstance(answer, WebAnswer) and not answer.location and outcomes.did_nothing(answer)):
        raise AuthenticationError(f"{request.what}: the cloud refused the user name or the password")
    if not isinstance(answer, WebAnswer) or not answer.location:
        raise _failure(request, answer)
    path = f"/fr/compte/accessoire/{number}/reboot"
    request = WebCall("reboot a gateway", path, changes=True, cookies=answer.cookies)
    before = call.may_have_executed
    answer = await session.deliver(request, call)
    if _is_at_login(answer):
        call.may_have_executed = before
        raise AuthenticationError(f"{request.what}: the web pages ask for another log-in")
    if not isinstance(answer, WebAnswer) or not answer.location.endswith(f"/accessoire/{number}/view"):
        raise _failure(request, answer)


def _is_at_login(answer: WebAnswer | NoAnswer) -> bool:
    """Tell whether the answer sends a browser to the log-in page, which is how the pages refuse (observed)."""
    return isinstance(answer, WebAnswer) and _LOGIN in answer.location


def _failure(request: WebCall, answer: WebAnswer | NoAnswer) -> CloudError:
    error = outcomes.failure(request, answer, request.secrets)
    return error or CloudProtocolError(f"{request.what}: the page does not say whether it was done")
