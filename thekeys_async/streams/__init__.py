"""Following the lockers of a gateway: one poller for all who watch it, and for each of them a stream that survives."""

from thekeys_async.streams.changes import Wishes
from thekeys_async.streams.subscription import Following
from thekeys_async.streams.watcher import Watcher

__all__ = ["Following", "Watcher", "Wishes"]
