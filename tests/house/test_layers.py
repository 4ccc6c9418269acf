"""The import contract notices an arrow that points the wrong way, whichever layer it starts from."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

_ROOT = Path(__file__).resolve().parents[2]
_SETTINGS = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
_SESSION = {"root_packages": ["thekeys_async"], "include_external_packages": True}
_KINDS = {"layers": LayersContract, "forbidden": ForbiddenContract}
_TOP = next(each for each in _SETTINGS["contracts"] if each.get("containers") == ["thekeys_async"])

# One arrow upwards from every layer, and those that a page of the documentation rules out.
_FORBIDDEN = [
    ("thekeys_async.cli.commands", "thekeys_async.__main__"),
    ("thekeys_async.bridge.devices", "thekeys_async.cli.runner"),
    ("thekeys_async.bridge.verdicts", "time"),
    ("thekeys_async.bridge.lock_state", "anyio"),
    ("thekeys_async.simulator.gateway", "thekeys_async.cli.runner"),
    ("thekeys_async.simulator.gateway", "thekeys_async.bridge.devices"),
    ("thekeys_async.simulator.gateway", "thekeys_async.protocol.secrets"),
    ("thekeys_async.simulator.gateway", "thekeys_async.gateway"),
    ("thekeys_async.fleets.fleet", "thekeys_async.simulator.gateway"),
    ("thekeys_async.config.file", "thekeys_async.fleets.fleet"),
    ("thekeys_async.gateway", "thekeys_async.config.file"),
    ("thekeys_async.gateway", "thekeys_async.fleets.fleet"),
    ("thekeys_async.gateway", "thekeys_async.cloud.client"),
    ("thekeys_async.locker", "thekeys_async.gateway"),
    ("thekeys_async.locker", "thekeys_async.streams.watcher"),
    ("thekeys_async.streams.watcher", "thekeys_async.gateway"),
    ("thekeys_async.calls.call", "thekeys_async.locker"),
    ("thekeys_async.calls.retries", "thekeys_async.calls.call"),
    ("thekeys_async.turns.queue", "thekeys_async.calls.call"),
    ("thekeys_async.turns.pacing", "thekeys_async.turns.timestamps"),
    ("thekeys_async.turns.timestamps", "thekeys_async.turns.queue"),
    ("thekeys_async.coordination.base", "thekeys_async.turns.queue"),
    ("thekeys_async.coordination.base", "thekeys_async.transport.wire"),
    ("thekeys_async.transport.wire", "thekeys_async.coordination.base"),
    ("thekeys_async.transport.connection", "thekeys_async.transport.wire"),
    ("thekeys_async.cloud.client", "thekeys_async.transport.wire"),
    ("thekeys_async.cloud.client", "thekeys_async.simulator.gateway"),
    ("thekeys_async.protocol.errors", "thekeys_async.cloud.errors"),
    ("thekeys_async.protocol.errors", "anyio"),
    ("thekeys_async.protocol.replies", "time"),
    ("thekeys_async._lazy", "thekeys_async.protocol.errors"),
    ("thekeys_async._clocks", "thekeys_async.protocol.errors"),
    ("thekeys_async.calls.call", "asyncio"),
    ("thekeys_async.streams.poller", "trio"),
]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    configure()
    return grimp.build_graph("thekeys_async", include_external_packages=True)


def _broken(graph: grimp.ImportGraph) -> list[str]:
    """Check every contract of the project against a graph of imports, and name those that it breaks."""
    return [each["name"] for each in _SETTINGS["contracts"] if not _holds(each, graph)]


def _holds(settings: dict[str, Any], graph: grimp.ImportGraph) -> bool:
    options = {name: value for name, value in settings.items() if name not in {"name", "type"}}
    options = {name: str(value) if isinstance(value, bool) else value for name, value in options.items()}
    contract = _KINDS[settings["type"]](settings["name"], _SESSION, options)
    return contract.check(copy.deepcopy(graph), verbose=False).kept


def test_the_project_keeps_its_contracts(graph):
    assert _broken(graph) == []


@pytest.mark.parametrize(("importer", "imported"), _FORBIDDEN)
def test_a_forbidden_import_breaks_a_contract(graph, importer, imported):
    with_one_more = copy.deepcopy(graph)
    assert importer in graph.modules
    if imported not in with_one_more.modules:
        with_one_more.add_module(imported, is_squashed=True)
    with_one_more.add_import(importer=importer, imported=imported, line_number=1, line_contents="")
    assert _broken(with_one_more)


def test_every_layer_has_an_arrow_that_is_tried(graph):
    layers = {name.strip(" ()") for layer in _TOP["layers"] for name in layer.split("|")}
    present = {name for name in layers if f"thekeys_async.{name}" in graph.modules}
    tried = {importer.split(".")[1] for importer, _ in _FORBIDDEN}
    assert present - tried == {"__main__"}  # the top may import everything


@pytest.mark.parametrize("loose", ["thekeys_async.loose", "thekeys_async.turns.loose", "thekeys_async.transport.loose"])
def test_a_module_in_no_layer_breaks_a_contract(graph, loose):
    with_a_stranger = copy.deepcopy(graph)
    with_a_stranger.add_module(loose)
    assert _broken(with_a_stranger)
