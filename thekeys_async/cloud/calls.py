"""One call of the user's: its time, and what it may have done."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import attrs

from thekeys_async.cloud.errors import CloudError, CloudUnreachableError

_log = logging.getLogger(__name__)


@attrs.define
class Call:
    """What is known of one call of the user's while it is under way.

    Attributes:
        may_have_executed: Whether something that it sent may have created, changed or deleted a share.
    """

    may_have_executed: bool = False

    @contextmanager
    def within(self, timeout: float | None) -> Generator[None]:
        """Hold the call to its time, and make its errors say what may have happened.

        Raises:
            CloudUnreachableError: The time is up.
        """
        try:
            with anyio.move_on_after(timeout) as scope, self.marked():
                yield
        except anyio.get_cancelled_exc_class():
            if self.may_have_executed:
                _log.warning("a call to the cloud was cancelled: a share may have been created, changed or deleted")
            raise
        if scope.cancelled_caught:
            raise CloudUnreachableError(
                f"the cloud did not answer within {timeout} s", may_have_executed=self.may_have_executed
            )

    @contextmanager
    def marked(self) -> Generator[None]:
        """Make errors say what may have happened."""
        try:
            yield
        except CloudError as error:
            error.may_have_executed |= self.may_have_executed
            raise
