"""The errors that end a bridge."""

from thekeys_async.protocol.errors import TheKeysError


class SupersededError(TheKeysError):
    """Another bridge has claimed the prefix: this one takes no more commands, and has ended."""


class BrokerUnreachableError(TheKeysError):
    """The broker could not be reached, or hands nothing out; for what is done once, not for a bridge."""
