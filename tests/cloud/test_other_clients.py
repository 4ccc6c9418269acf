"""The simulated cloud as other people's clients see it: one that is published, unmodified, and what others send."""

import importlib
import itertools
import time
import warnings
from types import SimpleNamespace

import httpx
import pytest

from tests.sample import LOCKER
from thekeys_async.simulator import Bolt

# What published clients need of each object (some fail where one field is missing).
ACCOUNT = """id type roles firstname lastname locale username email created_at updated_at notification_token
    notification_enabled tel serrures"""
LOCKER_FIELDS = """id id_serrure code code_serrure etat nom couleur qrcode serrure_droite main_libre longitude latitude
    radius timezone maxSpeed latchDelay assistedActions unlockOnly description logSequence public_key
    message utilisateur version version_cible beta battery battery_date accessoires produit"""
ACCESSORY = """id id_accessoire nom description type version type_version created_at updated_at public_key info
    configuration cfg"""
SHARE = """id nom date_debut date_fin heure_debut heure_fin description notification_enabled horaires actif
    iddesc accessoire code"""
PERSON = """id nom date_debut date_fin heure_debut heure_fin description notification_enabled horaires actif
    role utilisateur"""
EVENT = """id action_at created_at action data status share_id accessory_share_id utilisateur utilisateur_id
    accessoire_id"""


@pytest.fixture
def keyspy(monkeypatch, simulated_home):
    """the-keyspy, a client from the package index, on the account of the simulated home."""
    monkeypatch.setenv("NO_PROXY", "*")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports is its own business
        api = importlib.import_module("the_keyspy.api")
    # It writes whole seconds and does not wait for the next one: two signed requests in one second are refused.
    ticks = itertools.count(int(time.time()))
    monkeypatch.setattr(api.TheKeysGateway.__module__ + ".time", SimpleNamespace(time=lambda: next(ticks)))
    cloud = simulated_home.cloud
    return api.TheKeysApi(cloud.username, cloud.password, base_url=cloud.url)


@pytest.fixture
def web(simulated_home):
    with httpx.Client(base_url=simulated_home.cloud.url, trust_env=False) as client:
        yield client


@pytest.fixture
def bearer(web, simulated_home):
    form = {"_username": simulated_home.cloud.username, "_password": simulated_home.cloud.password}
    answer = web.post("/api/login_check", data=form).json()
    assert answer["token"] == answer["access_token"], "two clients read the one, two the other"
    return {"Authorization": f"Bearer {answer['token']}"}


def the_account(web, bearer, home):
    return web.get(f"/fr/api/v2/utilisateur/get/{home.cloud.username}", headers=bearer).json()["data"]


def test_the_keyspy_from_an_account_to_an_open_door(keyspy, simulated_home):
    simulated_home.gateway.settings.bluetooth = 0
    simulated_home.cloud.add_keypad(LOCKER)
    gateway, lock = keyspy.get_devices()
    assert lock.name == f"Porte {LOCKER}"
    (share,) = simulated_home.cloud.shares
    assert (share.active, share.iddesc, share.name) == (True, "remote", "TheKeysPy (Remote)")
    assert gateway.synchronize()
    assert lock.open()
    assert simulated_home.gateway.lockers[LOCKER].state is Bolt.OPEN
    lock.retrieve_infos()
    assert lock.is_unlocked
    assert lock.close()
    assert simulated_home.gateway.lockers[LOCKER].state is Bolt.CLOSED
    assert lock.calibrate()
    assert lock.synchronize()
    assert gateway.status()["status"]
    assert [each.id for each in keyspy.get_locks()] == [lock.id]
    assert [each.id for each in keyspy.get_gateways()] == [gateway.id]
    assert simulated_home.cloud.shares == (share,), "it finds its share again"
    assert lock.update()
    assert gateway.update()


def test_the_keyspy_reads_every_object(keyspy, simulated_home):
    locker = keyspy.find_utilisateur_by_username(simulated_home.cloud.username).serrures[0]
    assert locker.etat == "close"
    accessory = keyspy.find_accessoire_by_id(locker.accessoires[0].accessoire.id)
    assert accessory.info.ip == simulated_home.gateway.address
    keyspy.get_devices()
    assert keyspy.find_partage_by_lock_id(locker.id).partages_accessoire[0].actif


def test_every_object_carries_every_field(web, bearer, simulated_home):
    simulated_home.gateway.turn_bolt(LOCKER, "open")
    account = the_account(web, bearer, simulated_home)
    (locker,) = account["serrures"]
    assert set(ACCOUNT.split()) <= set(account)
    assert set(LOCKER_FIELDS.split()) <= set(locker)
    assert set(EVENT.split()) <= set(locker["logs"][0])
    accessory = locker["accessoires"][0]["accessoire"]
    found = web.get(f"/fr/api/v2/accessoire/get/{accessory['id']}", headers=bearer).json()["data"]
    assert set(ACCESSORY.split()) <= set(found)
    assert {"last_seen", "ip"} <= set(found["info"])
    create = f"/fr/api/v2/partage/create/{locker['id']}"
    for path, prefix in (
        (f"/accessoire/{accessory['id_accessoire']}", "partage_accessoire"),
        ("/%2B33611111111", "partage"),
    ):
        answer = web.post(create + path, data={f"{prefix}[nom]": "a", f"{prefix}[description]": ""}, headers=bearer)
        assert answer.json()["status"] == 200
    shares = f"/fr/api/v2/partage/all/serrure/{locker['id']}"
    listed = web.get(shares, headers=bearer).json()["data"]
    assert set(SHARE.split()) <= set(listed["partages_accessoire"][0])
    assert set(PERSON.split()) <= set(listed["partages_demande"][0])
    simulated_home.cloud.people[0].accepted = True
    listed = web.get(shares, headers=bearer).json()["data"]
    assert (len(listed["partages_utilisateur"]), listed["partages_demande"]) == (1, [])
    assert set(PERSON.split()) <= set(listed["partages_utilisateur"][0])
    assert listed["partages_utilisateur"][0]["utilisateur"]["username"] == "+33611111111"


def test_the_word_for_the_bolt_is_true_to_the_gateway(web, bearer, simulated_home):
    said = []
    for turn in ("open", "close"):
        simulated_home.gateway.turn_bolt(LOCKER, turn)
        (locker,) = the_account(web, bearer, simulated_home)["serrures"]
        said.append((locker["etat"], locker["logs"][0]["action"]))
    assert said == [("open", "open"), ("close", "close")]


def test_a_format_may_follow_any_path(web, bearer, simulated_home):
    answer = web.get(f"/fr/api/v2/utilisateur/get/{simulated_home.cloud.username}?_format=json", headers=bearer)
    assert answer.json()["data"]["username"] == simulated_home.cloud.username
    form = {"_username": simulated_home.cloud.username, "_password": simulated_home.cloud.password}
    assert web.post("/api/login_check?_format=json", data=form).json()["token"]


def test_the_scheme_of_a_token_in_any_case_and_a_slash_at_the_end(web, bearer, simulated_home):
    path = f"/fr/api/v2/utilisateur/get/{simulated_home.cloud.username}"
    token = bearer["Authorization"].removeprefix("Bearer ")
    for scheme in ("bearer ", "BEARER  "):
        assert web.get(f"{path}/", headers={"authorization": f"{scheme}{token}"}).json()["status"] == 200
    assert web.get(path, headers={"authorization": f"Basic {token}"}).status_code == 401


def test_a_token_s_life_is_a_whole_number_of_seconds(web, simulated_home):
    """Clients with types can't read 3600.0 as one."""
    form = {"_username": simulated_home.cloud.username, "_password": simulated_home.cloud.password}
    assert '"expires_in": 3600,' in web.post("/api/login_check", data=form).text


def test_without_a_word_on_it_a_new_share_is_on_and_a_changed_one_off(web, bearer, simulated_home):
    (locker,) = the_account(web, bearer, simulated_home)["serrures"]
    accessory = locker["accessoires"][0]["accessoire"]
    form = {"partage_accessoire[nom]": "remote", "partage_accessoire[description]": ""}
    path = f"/fr/api/v2/partage/create/{locker['id']}/accessoire/{accessory['id_accessoire']}"
    number = web.post(path, data=form, headers=bearer).json()["data"]["id"]
    assert simulated_home.cloud.shares[0].active
    web.post(f"/fr/api/v2/partage/accessoire/update/{number}", data=form, headers=bearer)
    assert not simulated_home.cloud.shares[0].active
    web.post(
        f"/fr/api/v2/partage/accessoire/update/{number}", data=form | {"partage_accessoire[actif]": "1"}, headers=bearer
    )
    assert simulated_home.cloud.shares[0].active

    form = {"partage[nom]": "Ada", "partage[description]": "cleans"}
    number = web.post(f"/fr/api/v2/partage/create/{locker['id']}/%2B33611111111", data=form, headers=bearer).json()[
        "data"
    ]["id"]
    (person,) = simulated_home.cloud.people
    assert (person.active, person.phone, person.name, person.description) == (True, "+33611111111", "Ada", "cleans")
    web.post(f"/fr/api/v2/partage/update/{number}", data=form, headers=bearer)
    assert not person.active


def test_a_browser_reboots_a_gateway_that_hangs(web, simulated_home):
    gateway = simulated_home.gateway
    gateway.settings.restart = 0.02
    gateway.start_synchronizing()
    (row,) = simulated_home.cloud.accessories.values()
    reboot = f"/fr/compte/accessoire/{row.number}/reboot"
    assert "login" in str(web.get(reboot, follow_redirects=True).url), "nobody has logged in"
    wrong = {"_username": simulated_home.cloud.username, "_password": "wrong"}
    assert "login" in str(web.post("/auth/fr/login_check", data=wrong, follow_redirects=True).url)
    assert gateway.phase == "Synchronizing gw"
    right = wrong | {"_password": simulated_home.cloud.password}
    assert "login" not in str(web.post("/auth/fr/login_check", data=right, follow_redirects=True).url)
    assert str(web.get(reboot, follow_redirects=True).url).endswith(f"/accessoire/{row.number}/view")
    assert gateway.phase == "Scanning..."
    assert web.get("/fr/compte/accessoire/99/reboot").status_code == 404
