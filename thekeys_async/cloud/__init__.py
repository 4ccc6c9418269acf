"""The vendor's cloud: accounts, lockers, gateways, and the shares that let a gateway open a locker.

The errors are here at once; the client, which needs httpx, is loaded when it is first asked for: `import thekeys_async`
hands out the errors, and loads no library that only the cloud needs.
"""

from typing import TYPE_CHECKING

from thekeys_async._lazy import SOURCELESS, public_names
from thekeys_async.cloud.errors import (
    AuthenticationError as AuthenticationError,
    CloudError as CloudError,
    CloudProtocolError as CloudProtocolError,
    CloudUnreachableError as CloudUnreachableError,
    NotFoundError as NotFoundError,
    ShareRejectedError as ShareRejectedError,
)

if TYPE_CHECKING or SOURCELESS:
    from thekeys_async.cloud.calls import Clock as Clock
    from thekeys_async.cloud.client import Cloud as Cloud
    from thekeys_async.cloud.discovery import (
        Discovered as Discovered,
        Wired as Wired,
        discover as discover,
        ensure_shares as ensure_shares,
    )
    from thekeys_async.cloud.models import (
        Accessory as Accessory,
        Account as Account,
        Gateway as Gateway,
        Locker as Locker,
        LockerEvent as LockerEvent,
        Moment as Moment,
        PersonShare as PersonShare,
        Share as Share,
    )
    from thekeys_async.cloud.share_drafts import KEEP as KEEP

if not (TYPE_CHECKING or SOURCELESS):  # type checkers would take every name for one that exists
    __all__, __getattr__, __dir__ = public_names(__name__)
