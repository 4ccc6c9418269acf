"""Errors of the vendor's cloud."""

from thekeys_async.protocol.errors import TheKeysError


class CloudError(TheKeysError):
    """Anything that went wrong with the vendor's cloud.

    Attributes:
        code: The HTTP status, or the one inside the answer, if there was an answer.
        may_have_executed: Whether a share may have been created, changed or deleted, or a gateway rebooted. Always
            False for a pure read.
    """


class AuthenticationError(CloudError):
    """The cloud refused the user name and password, the token also after a new log-in, or the right to do this."""


class NotFoundError(CloudError):
    """The cloud knows no such account, locker, accessory or share."""


class CloudUnreachableError(CloudError):
    """No answer came in time, or only that the cloud is out of order (HTTP 5xx); reads were tried again."""


class CloudProtocolError(CloudError):
    """The cloud's answer can't be understood."""


class ShareRejectedError(CloudError):
    """The cloud refused a share's fields; nothing was created or changed.

    Attributes:
        messages: The server's own words, in its own language. Codes that it repeats are blotted out.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        cause: str | None = None,
        may_have_executed: bool = False,
        messages: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, code=code, cause=cause, may_have_executed=may_have_executed)
        self.messages = messages
