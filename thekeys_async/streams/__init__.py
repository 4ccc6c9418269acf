"""Following the lockers of a gateway: one poller for all who watch it, and for each of them a stream that survives."""
