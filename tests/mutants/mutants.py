"""Change the code in every small way that cosmic-ray knows, and see which changes no test notices.

    python tests/mutants/mutants.py [MODULE ...] [--jobs 2]

The modules and the tests that are to notice are in `TESTS`; without a name, all are run, which takes hours. Each job
works on a copy of the project, in which the mutated file is the one that is imported. What lives is printed as a diff.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome

ROOT = Path(__file__).parents[2]

TESTS = {
    "turns/timestamps.py": "tests/turns/test_timestamps.py",
    "turns/queue.py": "tests/turns",
    "turns/pacing.py": "tests/turns",
    "turns/coordinated.py": "tests/turns/test_coordinated.py",
    "turns/shared.py": "tests/turns tests/calls/test_promises.py",
    "calls/retries.py": "tests/calls/test_retries.py",
    "calls/budgets.py": "tests/calls",
    "calls/attempt.py": "tests/calls",
    "calls/call.py": "tests/calls",
    "transport/connection.py": "tests/transport/test_transport.py",
    "transport/wire.py": "tests/transport/test_transport.py",
    "transport/gateway_transport.py": "tests/transport",
    "transport/httpx_messages.py": "tests/transport",
    "transport/httpx_wire.py": "tests/transport",
    "protocol/replies.py": "tests/protocol/test_replies.py",
    "protocol/reading.py": "tests/protocol",
}
"""Which tests are to notice a change of which module: those beside it, as they are quick and say what is wrong."""

CONFIG = """
[cosmic-ray]
module-path = "thekeys_async/{module}"
timeout = {timeout}
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider -p no:randomly --hypothesis-seed=0 {tests}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""
"""`X | None` in an annotation is no arithmetic."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    modules = options.modules or list(TESTS)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(run, modules))
    for module, (killed, lived) in zip(modules, results, strict=True):
        total = killed + len(lived)
        print(f"{module}: {killed} of {total} noticed ({killed / max(total, 1):.1%})")  # noqa: T201 - a script
    killed, total = sum(killed for killed, _ in results), sum(killed + len(lived) for killed, lived in results)
    print(f"all: {killed} of {total} noticed ({killed / max(total, 1):.1%})")  # noqa: T201
    return 0


def run(module: str) -> tuple[int, list[str]]:
    """Run all mutants of a module; how many were noticed, and the others as diffs."""
    with _copy() as copy:
        seconds = _baseline(copy, TESTS[module])
        config = CONFIG.format(
            module=module, timeout=max(20.0, 6 * seconds), python=sys.executable, tests=TESTS[module]
        )
        (copy / "mutants.toml").write_text(config)
        _cosmic_ray(copy, "init", "mutants.toml", "mutants.sqlite")
        _run(copy, [_tool("cr-filter-operators"), "mutants.sqlite", "mutants.toml"])
        _cosmic_ray(copy, "exec", "mutants.toml", "mutants.sqlite")
        with use_db(str(copy / "mutants.sqlite"), WorkDB.Mode.open) as database:
            done = [result for _, result in database.results if result.test_outcome is not None]
    lived = [result.diff or "" for result in done if result.test_outcome is TestOutcome.SURVIVED]
    for diff in lived:
        print(diff, flush=True)  # noqa: T201 - a script
    return len(done) - len(lived), lived


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".*", "site", "__pycache__", "benchmarks")
        shutil.copytree(ROOT, copy, ignore=ignored)
        yield copy


def _baseline(copy: Path, tests: str) -> float:
    """See the tests pass unchanged; how long they take."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    before = os.times().elapsed
    _run(copy, command)
    return os.times().elapsed - before


def _cosmic_ray(copy: Path, *arguments: str) -> None:
    _run(copy, [_tool("cosmic-ray"), *arguments])


def _tool(name: str) -> str:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or name


def _run(copy: Path, command: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
