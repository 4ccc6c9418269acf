"""The vendor's cloud: accounts, lockers, gateways, and the shares that let a gateway open a locker."""

from thekeys_async.cloud.client import KEEP, Cloud
from thekeys_async.cloud.clock import Clock
from thekeys_async.cloud.discovery import Discovered, discover
from thekeys_async.cloud.errors import (
    AuthenticationError,
    CloudError,
    CloudProtocolError,
    CloudUnreachableError,
    NotFoundError,
    ShareRejectedError,
)
from thekeys_async.cloud.models import Accessory, Account, Gateway, Locker, Moment, Share

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
    "Moment",
    "NotFoundError",
    "Share",
    "ShareRejectedError",
    "discover",
]
