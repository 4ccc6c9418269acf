"""Where the cloud says that a gateway is: only a LAN's addresses are taken, unless told."""

import logging
from datetime import timedelta

import pytest

from thekeys_async import Fleet
from thekeys_async.cloud import discover
from thekeys_async.cloud.discovery import is_lan_address

pytestmark = pytest.mark.anyio

EVER = {"seen_within": timedelta(days=36500)}  # the home's clock is not the one on the wall

NEAR = [
    "192.168.0.26",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "169.254.7.7",
    "127.0.0.1",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd12:3456::1",
    "::ffff:192.168.0.26",
]
ELSEWHERE = [
    "8.8.8.8",
    "172.32.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "fd00:ec2::254",
    "2001:db8::1",
    "::",
    "thekeys.local",
    "localhost",
    "evil.example",
    "192.168.0.26:80",
    "192.168.0.26:8080",
    "[fe80::1]",
    "[::1]:80",
    "http://192.168.0.26",
]


@pytest.mark.parametrize("address", NEAR)
def test_addresses_of_a_lan(address):
    assert is_lan_address(address)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_other_addresses(address):
    assert not is_lan_address(address)


@pytest.mark.parametrize("address", ["evil.example", "8.8.8.8", "169.254.169.254", "192.168.0.26:8080"])
async def test_a_gateway_elsewhere_is_skipped_with_one_warning(home, caplog, address):
    (row,) = home.server.accessories.values()
    row.address = address
    async with home.cloud() as cloud:
        with caplog.at_level(logging.WARNING):
            fleet = await Fleet.from_cloud(cloud, share_name="home", **EVER)
        assert len(fleet) == 0
        assert not home.server.shares, "nothing is shared with it"
        (record,) = caplog.records
        assert address in record.getMessage()
        assert "allow_public" in record.getMessage()
        told = await Fleet.from_cloud(cloud, share_name="home", allow_public=True, **EVER)
        assert list(told) == ["Gateway 1"]
        assert (await cloud.gateways())[0].address == address, "who asks what the cloud says is told"


async def test_the_gateway_near_is_taken_in_the_place_of_one_elsewhere(home, open_home):
    async with open_home() as other:
        home.server.add_gateway(other.gateway, identifier="NEAR")
        home.server.accessories["TK-GW-1"].address = "8.8.8.8"
        async with home.cloud() as cloud:
            for found in await discover(cloud, **EVER):
                assert [gateway.identifier for gateway in found.gateways] == ["NEAR"]
                assert [gateway.identifier for gateway in found.skipped] == ["TK-GW-1"]


async def test_a_cloud_elsewhere_may_tell_no_port_of_this_machine(home):
    (row,) = home.server.accessories.values()
    async with home.cloud() as cloud:
        assert cloud.on_loopback
        assert (await discover(cloud, **EVER))[0].gateways, "a simulated gateway has a port"
        cloud._connection.on_loopback = False
        assert not (await discover(cloud, **EVER))[0].gateways
        row.address = "127.0.0.1"
        assert (await discover(cloud, **EVER))[0].gateways
