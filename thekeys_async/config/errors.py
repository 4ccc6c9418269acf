"""The error of a configuration that can't be used."""

from thekeys_async.protocol.errors import TheKeysError


class ConfigurationError(TheKeysError):
    """The configuration file or the environment can't be used; nothing was sent."""
