"""Following lockers: one poller for all watchers of a gateway, and for each of them a stream that survives."""

from thekeys_async.streams.locker_changes import WatchOptions
from thekeys_async.streams.subscription import Subscription
from thekeys_async.streams.watcher import Watcher

__all__ = ["Subscription", "WatchOptions", "Watcher"]
