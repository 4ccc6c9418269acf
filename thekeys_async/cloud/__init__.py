"""The vendor's cloud: accounts, lockers, gateways, and the shares that let a gateway open a locker.

The errors are here at once; the client, which needs httpx, is loaded when it is first asked for: `import thekeys_async`
hands out the errors, and loads no library that only the cloud needs.
"""

from typing import TYPE_CHECKING

from thekeys_async._lazy import loader
from thekeys_async.cloud.errors import (
    AuthenticationError,
    CloudError,
    CloudProtocolError,
    CloudUnreachableError,
    NotFoundError,
    ShareRejectedError,
)

if TYPE_CHECKING:
    from thekeys_async.cloud.calls import Clock
    from thekeys_async.cloud.client import Cloud
    from thekeys_async.cloud.discovery import Discovered, Wired, discover, ensure_shares
    from thekeys_async.cloud.drafts import KEEP
    from thekeys_async.cloud.models import (
        Accessory,
        Account,
        Gateway,
        Locker,
        LockerEvent,
        Moment,
        PersonShare,
        Share,
    )

__all__ = [
    "KEEP",
    "Accessory",
    "Account",
    "AuthenticationError",
    "Clock",
    "Cloud",
    "CloudError",
    "CloudProtocolError",
    "CloudUnreachableError",
    "Discovered",
    "Gateway",
    "Locker",
    "LockerEvent",
    "Moment",
    "NotFoundError",
    "PersonShare",
    "Share",
    "ShareRejectedError",
    "Wired",
    "discover",
    "ensure_shares",
]

_HOMES = {
    "KEEP": "drafts",
    "Accessory": "models",
    "Account": "models",
    "Clock": "calls",
    "Cloud": "client",
    "Discovered": "discovery",
    "Gateway": "models",
    "Locker": "models",
    "LockerEvent": "models",
    "Moment": "models",
    "PersonShare": "models",
    "Share": "models",
    "Wired": "discovery",
    "discover": "discovery",
    "ensure_shares": "discovery",
}

if not TYPE_CHECKING:  # type checkers would take every name for one that exists
    __getattr__ = loader(__name__, _HOMES)
