"""Whatever JSON the cloud answers: a value, or a `CloudError`, and never another exception."""

import json
from contextlib import suppress

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given, settings, strategies as st

from tests.sample import LOCKER
from thekeys_async.cloud import Accessory, Clock, Cloud, CloudError, Locker, PersonShare, Share, discover
from thekeys_async.cloud.fields import zone_named

PARIS = zone_named("Europe/Paris")
GATEWAY = Accessory(9, "G", "gateway", 1)
FRONT = Locker(3, LOCKER, "front", None, None, (GATEWAY,), PARIS)
SHARE = Share(5, 3, GATEWAY, "hall", "c0de", active=True, starts=None, ends=None, description="", timezone=PARIS)

PERSON = PersonShare(5, 3, "+33611111111", "a", True, True, "", "", "", None, None, None, PARIS)

# What the cloud is known to answer: hypothesis puts something else into one or several places of it.
KNOWN = {
    "access_token": "t0ken",
    "expires_in": 3600,
    "status": 200,
    "message": {"global": [], "form": []},
    "data": {
        "id": 5,
        "code": "c0de",
        "username": "+33612345678",
        "serrures": [
            {
                "id": 3,
                "id_serrure": "45961123",
                "nom": "front",
                "battery": 7000,
                "timezone": "Europe/Paris",
                "etat": "open",
                "battery_date": "2026-07-01T12:00:00",
                "logs": [{"id": 1, "action_at": "2026-07-01T12:00:00", "action": "open", "utilisateur": "Ada"}],
                "accessoires": [{"accessoire": {"id": 9, "id_accessoire": "G", "type": 1}}],
            }
        ],
        "version": 65,
        "info": {"ip": "192.168.0.26", "last_seen": "2026-07-01T12:00:00"},
        "partages_utilisateur": [{"id": 5, "nom": "a", "utilisateur": {"username": "+33611111111", "nom": "A"}}],
        "partages_demande": [{"id": 6, "nom": "a", "utilisateur": {"telephone": "+33611111111"}, "role": {"id": 1}}],
        "partages_accessoire": [
            {
                "id": 5,
                "nom": "other",
                "code": "c0de",
                "actif": True,
                "accessoire": {"id": 9, "id_accessoire": "G"},
                "date_debut": "2026-07-01",
                "date_fin": {"date": "2026-07-02 00:00:00.000000", "timezone_type": 3, "timezone": "Europe/Berlin"},
                "heure_debut": "15:00:00",
                "heure_fin": {"hour": 12, "minute": 0},
            }
        ],
    },
}

texts = st.text() | st.sampled_from(
    ["", "2026-02-30", "99:99", "0000-00-00", "9999-12-31T23:59:59", "0001-01-01", "../..", "\ud800", "NaN", "ok"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -1, 2**63, 500, 404])
    | st.floats(allow_nan=True)
    | texts
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def put(value, path, new):
    if not path:
        return new
    key, *rest = path
    if not isinstance(value, dict | list) or (isinstance(value, dict) and key not in value):
        return value
    changed = value.copy()
    changed[key] = put(value[key], rest, new)
    return changed


@st.composite
def nearly_right(draw):
    body = KNOWN
    for path in draw(st.lists(st.sampled_from(list(places(KNOWN))), min_size=1, max_size=3)):
        with suppress(IndexError, TypeError):
            body = put(body, path, draw(anything))
    return body


async def everything(answer, *, sound_login=True):
    """Make every call, and let nothing but `CloudError` end one."""

    def reply(request):
        if sound_login and "login_check" in request.url.path:
            return httpx.Response(200, json={"token": "t0ken"})
        return answer()

    async def no_pause(_seconds):
        await anyio.lowlevel.checkpoint()

    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
        cloud = Cloud("+33612345678", "x", client=client, clock=Clock(sleep=no_pause))
        for call in (
            cloud.account,
            cloud.gateways,
            lambda: discover(cloud),
            lambda: cloud.shares(FRONT),
            lambda: cloud.create_share(FRONT, GATEWAY, name="a"),
            lambda: cloud.ensure_share(FRONT, GATEWAY, name="other"),
            lambda: cloud.ensure_share(FRONT, GATEWAY, name="a"),
            lambda: cloud.update_share(SHARE, name="a"),
            lambda: cloud.delete_share(SHARE),
            lambda: cloud.people(FRONT),
            lambda: cloud.share_with("+33611111111", FRONT, name="a"),
            lambda: cloud.update_person_share(PERSON, active=False),
            lambda: cloud.reboot(GATEWAY),
        ):
            with suppress(CloudError):
                repr(await call())


@settings(max_examples=150)
@given(body=anything | nearly_right(), status=st.sampled_from([200, 200, 200, 201, 301, 400, 401, 404, 500]))
def test_any_json_ends_in_a_value_or_a_cloud_error(body, status):
    text = json.dumps(body).encode()
    anyio.run(lambda: everything(lambda: httpx.Response(status, content=text)))


@settings(max_examples=100)
@given(body=anything | nearly_right())
def test_any_json_as_the_answer_to_a_login(body):
    text = json.dumps(body).encode()
    anyio.run(lambda: everything(lambda: httpx.Response(200, content=text), sound_login=False))


@settings(max_examples=100)
@given(content=st.binary() | st.just(b"[" * 100_000) | st.just(b'{"a":' * 100_000) | st.just(b"9" * 10_000))
def test_any_bytes(content):
    anyio.run(lambda: everything(lambda: httpx.Response(200, content=content)))


@pytest.mark.parametrize("location", ["http://[", "//\ud7ff:99999", "", "http://\x00", "x" * 100_000])
def test_any_redirect(location):
    headers = [(b"Location", location.encode())]
    anyio.run(lambda: everything(lambda: httpx.Response(302, headers=headers)))


def test_the_known_answer_is_understood():
    async def understood():
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=KNOWN))
        async with httpx.AsyncClient(transport=transport) as client:
            cloud = Cloud("+33612345678", "x", client=client)
            assert (await cloud.gateways())[0].address == "192.168.0.26"
            assert (await cloud.shares(FRONT))[0].starts is not None
            await cloud.update_share(SHARE, name="a")

    anyio.run(understood)
