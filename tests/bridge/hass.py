"""A real Home Assistant as a process: its storage is written by hand, and its REST interface asked."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

_USER, _TOKEN, _KEY = "a" * 32, "b" * 32, "c" * 128
_LONG_AGO = "2025-01-01T00:00:00+00:00"


class HomeAssistant:
    """Home Assistant in a folder of its own.

    Args:
        command: Its `hass`.
        folder: Where it keeps everything.
        port: Where it listens.
        broker: The port of the MQTT broker.
    """

    def __init__(self, command: str, folder: Path, port: int, broker: int) -> None:
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen | None = None
        headers = {"Authorization": f"Bearer {_jwt()}"}
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/", headers=headers, timeout=30, trust_env=False
        )
        (folder / ".storage").mkdir(parents=True)
        (folder / "configuration.yaml").write_text(
            f"homeassistant:\n  name: Test\nhttp:\n  server_host: 127.0.0.1\n  server_port: {port}\napi:\n"
            "logger:\n  default: warning\n  logs:\n    homeassistant.components.mqtt: info\n"
        )
        self._store("onboarding", 4, 1, {"done": ["user", "core_config", "analytics", "integration"]})
        self._store("auth", 1, 1, _accounts())
        self._store("core.config_entries", 1, 5, {"entries": [_mqtt(broker)]})

    def start(self) -> None:
        """Start it, and wait until it is running."""
        with (self._folder / "hass.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._command, "-c", str(self._folder), "--skip-pip"],
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": f"{Path(self._command).parent}:{os.environ['PATH']}"},
            )
        self.wait_for(lambda: self._client.get("config").json()["state"] == "RUNNING", 120)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self._client.close()

    def end(self) -> None:
        """End it as a person would, and wait for that."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)
        self._process = None

    def states(self) -> dict[str, str]:
        return {each["entity_id"]: each["state"] for each in self._client.get("states").json()}

    def attributes(self, entity: str) -> dict[str, Any]:
        return self._client.get(f"states/{entity}").json()["attributes"]

    def call(self, service: str, entity: str) -> int:
        """Call a service, and return the HTTP status."""
        domain, _, name = service.partition(".")
        return self._client.post(f"services/{domain}/{name}", json={"entity_id": entity}).status_code

    def wait_for_state(self, entity: str, state: str | None, seconds: float = 60) -> None:
        """Wait until an entity is in a state; None is for one that is gone."""
        self.wait_for(lambda: self.states().get(entity) == state, seconds, lambda: (entity, state, self.states()))

    def wait_for(
        self, condition: Callable[[], object], seconds: float = 60, tell: Callable[[], object] = lambda: ""
    ) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (httpx.HTTPError, ValueError):
                pass
            assert time.monotonic() < deadline, (tell(), self.log()[-4000:])
            time.sleep(0.1)

    def log(self) -> str:
        return (self._folder / "hass.log").read_text(errors="replace")

    def _store(self, key: str, version: int, minor: int, data: object) -> None:
        stored = {"version": version, "minor_version": minor, "key": key, "data": data}
        (self._folder / ".storage" / key).write_text(json.dumps(stored))


def _jwt() -> str:
    now = int(time.time())
    parts = [{"alg": "HS256", "typ": "JWT"}, {"iss": _TOKEN, "iat": now, "exp": now + 10**8}]
    text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64(hmac.new(_KEY.encode(), text.encode(), hashlib.sha256).digest())}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _accounts() -> dict[str, Any]:
    user = {
        "id": _USER,
        "group_ids": ["system-admin"],
        "is_owner": True,
        "is_active": True,
        "name": "Test",
        "system_generated": False,
        "local_only": False,
    }
    token = {
        "id": _TOKEN,
        "user_id": _USER,
        "client_id": None,
        "client_name": "test",
        "client_icon": None,
        "token_type": "long_lived_access_token",
        "created_at": _LONG_AGO,
        "access_token_expiration": 10.0**8,
        "token": "d" * 128,
        "jwt_key": _KEY,
        "last_used_at": None,
        "last_used_ip": None,
        "expire_at": None,
        "credential_id": None,
        "version": None,
    }
    groups = [{"id": f"system-{kind}", "name": kind} for kind in ("admin", "users", "read-only")]
    return {"users": [user], "groups": groups, "credentials": [], "refresh_tokens": [token]}


def _mqtt(port: int) -> dict[str, Any]:
    return {
        "created_at": _LONG_AGO,
        "data": {"broker": "127.0.0.1", "port": port, "protocol": "5"},
        "disabled_by": None,
        "discovery_keys": {},
        "domain": "mqtt",
        "entry_id": "e" * 32,
        "minor_version": 2,
        "modified_at": _LONG_AGO,
        "options": {"discovery": True, "discovery_prefix": "homeassistant"},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": "broker",
        "unique_id": None,
        "version": 1,
    }
