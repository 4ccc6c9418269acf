"""Following the lockers of a gateway: one poller for all who watch it, and for each of them a stream that survives."""

from thekeys_async.streams.following import Following
from thekeys_async.streams.tracking import Wishes
from thekeys_async.streams.watch import Watcher

__all__ = ["Following", "Watcher", "Wishes"]
