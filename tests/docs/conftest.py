"""Finds every fenced block of the README and the docs, and makes what stands in for the world when one is run.

docs/development.md has the rules: what is run, what is put in the place of what, and how a block is marked as not run.
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
from anyio.from_thread import start_blocking_portal

from tests.ports import free_port
from tests.sample import LOCKER
from thekeys_async.simulator import SimulatedCloud, SimulatedGateway, SimulatedLocker

ROOT = Path(__file__).parents[2]
GATEWAY, ANNEX, PORT = "192.168.0.26", "192.168.0.27", "8080"
NETWORK = "192.168.0.0/24"
REDIS = "redis://192.168.0.2:6379/0"
IDENTIFIER, SHARE_CODE = LOCKER, "share code"
PASSWORD = "password"

_FENCE = re.compile(r"^( *)```(.*?)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- not run: (.+?) -->\s*\Z")


@attrs.frozen
class Block:
    """A fenced block.

    Attributes:
        page: Where it stands, from the top of the repository.
        line: Of its fence.
        language: What stands behind the opening fence.
        text: What is in it.
        not_run: Why it is not run, in the words of its marker; None for a block that is.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def file_name(self) -> str | None:
        """The file that its first line names, if it does."""
        named = re.match(r"# (\w+\.py)\n", self.text)
        return named and named[1]

    @property
    def needs_redis(self) -> bool:
        """Whether it talks to a Redis."""
        return REDIS in self.text

    @property
    def siblings(self) -> "list[Block]":
        """All blocks of its page."""
        return [block for block in BLOCKS if block.page == self.page]


@attrs.frozen
class Stage:
    """Where a block is run.

    Attributes:
        gateway: Stands in for 192.168.0.26.
        annex: Stands in for 192.168.0.27.
        cloud: Stands in for the vendor's.
        port: A free port, in the place of 8080.
        redis: Stands in for redis://192.168.0.2:6379/0; None where no redis-server is installed.
        identifier: The locker that the gateway sees.
        share_code: Its share code.
    """

    gateway: SimulatedGateway
    annex: SimulatedGateway
    cloud: SimulatedCloud
    port: str
    redis: str | None
    identifier: int = IDENTIFIER
    share_code: str = SHARE_CODE

    @property
    def address(self) -> str:
        """Host and port of the gateway."""
        return self.gateway.address

    def translate(self, text: str) -> str:
        """Put what is here in the place of what a reader sees."""
        text = text.replace(f"--network {NETWORK}", f"--network {self.gateway.host} --port {self.gateway.port}")
        text = text.replace(REDIS, self.redis or REDIS).replace(PORT, self.port).replace(ANNEX, self.annex.address)
        return re.sub(rf"{re.escape(GATEWAY)}(:80\b)?", self.address, text)


@contextmanager
def _stage(redis: str | None) -> Iterator[Stage]:
    port = str(free_port())
    locker, other = SimulatedLocker(IDENTIFIER, share_code=SHARE_CODE), SimulatedLocker(45961124, "other code")
    gateway = SimulatedGateway([locker], light=0, bluetooth=0, synchronization=0, restart=0.1)
    annex = SimulatedGateway([locker, other], light=0, bluetooth=0, synchronization=0, restart=0.1)
    cloud = SimulatedCloud(password=PASSWORD)
    cloud.add_gateway(gateway, name="Hall")
    cloud.add_keypad(IDENTIFIER, name="Guest keypad")
    cloud.names[IDENTIFIER] = "Front door"
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(gateway),
        portal.wrap_async_context_manager(annex),
        portal.wrap_async_context_manager(cloud),
    ):
        yield Stage(gateway, annex, cloud, port, redis)


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()]
        marker = _MARKER.search(before)
        yield Block(
            page=str(path.relative_to(ROOT)),
            line=before.count("\n") + 1,
            language=fence[2].strip(),
            text=textwrap.dedent(fence[3]),
            not_run=marker and marker[1],
        )


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [block for page in PAGES for block in _blocks(page)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `python_block`, `shell_block` and so on once for each of them."""
    for name, wanted in {
        "python_block": lambda block: block.language == "python" and not block.not_run,
        "shell_block": lambda block: block.language == "sh" and not block.not_run,
        "json_block": lambda block: block.language == "json",
        "toml_block": lambda block: block.language == "toml",
    }.items():
        if name in metafunc.fixturenames:
            blocks = [block for block in BLOCKS if wanted(block)]
            metafunc.parametrize(name, blocks, ids=[f"{block.page}:{block.line}" for block in blocks])
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@pytest.fixture
def root() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture
def blocks() -> list[Block]:
    """Every fenced block there is."""
    return BLOCKS


@pytest.fixture(scope="session")
def stage(redis_url: str | None) -> Callable[[], AbstractContextManager[Stage]]:
    """Opens a place to run a block in."""
    return partial(_stage, redis_url)


@pytest.fixture(autouse=True)
def _redis_where_it_is_needed(request: pytest.FixtureRequest) -> None:
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    needed = any(isinstance(each, Block) and each.needs_redis for each in parameters)
    if needed and request.getfixturevalue("redis_url") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
