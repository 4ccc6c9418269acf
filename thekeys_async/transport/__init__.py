"""HTTP to a gateway: the library's own connection, or an httpx client or transport of the caller's."""
