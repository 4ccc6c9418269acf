"""What is run before a change lands: `nox` for all of it, `nox -s tests` for the tests alone."""

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "lint", "typing", "docs"]


def _pythons() -> list[str]:
    """Find the supported interpreters that really start here: a version manager's shim may exist and not run."""
    there: list[str] = []
    for version in ("3.11", "3.12", "3.13", "3.14"):
        path = shutil.which(f"python{version}")
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            there.append(version)
    return there or ["3"]


@nox.session(python=_pythons())
def tests(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    slow_too = ["-m", ""] if session.python == _pythons()[-1] else []
    session.run("pytest", "-n", "6", "--dist", "worksteal", *slow_too, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    session.install("-e", ".[typing]")
    session.run("mypy", "thekeys_async", "tests/typing", "noxfile.py")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", "--config-file", ".mkdocs.yml", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    session.install("-e", ".[bench]")
    for script in sorted(Path("tests/benchmarks").glob("bench_*.py")):
        session.run("python", str(script), *session.posargs)


@nox.session
def stress(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    session.run(
        "pytest",
        "-s",
        "tests/stress",
        *session.posargs,
        env={"THEKEYS_STRESS_SECONDS": os.environ.get("THEKEYS_STRESS_SECONDS", "60")},
    )


@nox.session
def mutants(session: nox.Session) -> None:
    session.install("-e", ".[test]", "cosmic-ray>=8.3")
    session.run("python", "tests/mutants/mutants.py", *session.posargs)


@nox.session(python=_pythons()[-1])
def home_assistant(session: nox.Session) -> None:
    """Go the whole way with a real Home Assistant: some minutes of installing, and one and a half of testing."""
    session.install("-e", ".[test]")
    folder = Path(session.create_tmp()) / "home-assistant"
    if not folder.exists():
        session.run("python", "-m", "venv", str(folder))
    python = str(folder / "bin" / "python")
    # The newest that this Python can run; what its parts need it would install by itself, later.
    session.run(python, "-m", "pip", "install", "--quiet", "homeassistant", external=True)
    constraints = next(folder.glob("lib/*/site-packages/homeassistant/package_constraints.txt"))
    parts = ("paho-mqtt", "home-assistant-frontend", "cronsim", "securetar", "psutil-home-assistant", "ifaddr", "isal")
    session.run(python, "-m", "pip", "install", "--quiet", "-c", str(constraints), *parts, external=True)
    session.run(str(folder / "bin" / "hass"), "--version", external=True)
    environment = {"THEKEYS_HASS": str(folder / "bin" / "hass"), "THEKEYS_REQUIRE_MOSQUITTO": "1"}
    session.run("pytest", "-s", "tests/bridge/test_home_assistant.py", *session.posargs, env=environment)
