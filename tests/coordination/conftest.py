"""A coordinator of each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from thekeys_async.coordination import FileCoordinator, RedisCoordinator

LEASE = 1.5


@pytest.fixture(params=["file", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], FileCoordinator | RedisCoordinator]:
    """Make coordinators that share one state, as if each were another process's."""
    if request.param == "file":
        return lambda: FileCoordinator(tmp_path / "state")
    server = request.getfixturevalue("shared_redis")
    return lambda: RedisCoordinator(server.url, lease=LEASE, prefix=str(tmp_path))
