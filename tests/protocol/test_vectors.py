"""The facts: what gateways answered, what hashes come out."""

import json
from pathlib import Path

import pytest

import thekeys_async
from thekeys_async.protocol import replies
from thekeys_async.protocol.endpoints import ENDPOINTS
from thekeys_async.protocol.replies import Reply
from thekeys_async.protocol.secrets import ShareCode

_VECTORS = Path(__file__).parent.parent / "vectors"
_SIGNATURES = json.loads((_VECTORS / "signatures.json").read_text())["vectors"]
_REPLIES = json.loads((_VECTORS / "replies.json").read_text())["replies"]
_ENDPOINTS = {(endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS}
_READERS = {
    "lockers": lambda endpoint, reply: replies.lockers(endpoint, reply).readings,
    "status": replies.gateway_status,
    "locker_status": replies.locker_status,
}


@pytest.mark.parametrize("vector", _SIGNATURES, ids=lambda vector: str(vector["ts"]))
def test_hashes_are_those_of_openssl(vector: dict) -> None:
    assert ShareCode(vector["code"]).sign(vector["ts"]) == vector["hash"]


@pytest.mark.parametrize("row", _REPLIES, ids=lambda row: f"{row['request']} {row['body'][:40]}")
def test_replies_are_understood(row: dict) -> None:
    endpoint = _ENDPOINTS[tuple(row["request"].split())]
    read = _READERS.get(endpoint.name, replies.check_done)
    reply = Reply(row["http_status"], row["body"].encode())
    expect = row["expect"]
    if "error" in expect:
        with pytest.raises(getattr(thekeys_async, expect["error"])) as caught:
            read(endpoint, reply)
        assert type(caught.value).__name__ == expect["error"]
        assert caught.value.code == expect.get("code")
        assert caught.value.may_have_executed is expect.get("may_have_executed", False)
        return
    value = read(endpoint, reply)
    if "lockers" in expect:
        assert [_fields(reading, expect["lockers"][0]) for reading in value] == expect["lockers"]
    elif "status" in expect:
        assert _fields(value, expect["status"]) == expect["status"]
    elif "locker_status" in expect:
        found = _fields(value, expect["locker_status"])
        assert found | {"state": found["state"].name} == expect["locker_status"]
    else:
        assert expect == {"ok": True}
        assert value is None


def _fields(value: object, names: dict) -> dict:
    return {name: getattr(value, name) for name in names}
