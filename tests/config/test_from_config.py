"""`Fleet.from_config()`: names, codes and turns that programs and the command share."""

import sys

import anyio
import pytest

from tests.sample import LOCKER
from thekeys_async import ConfigurationError, CoordinationError, Fleet, Pacing
from thekeys_async.simulator import SimulatedGateway, SimulatedLocker

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of FileCoordinator"),
]
CODE = "share code"


@pytest.fixture
async def hall():
    async with SimulatedGateway([SimulatedLocker(LOCKER, share_code=CODE)], light=0, bluetooth=0) as gateway:
        yield gateway


@pytest.fixture
def file(write, hall):
    return write(
        f'[gateways.hall]\nhost = "{hall.address}"\n[gateways.annex]\nhost = "127.0.0.1:9"\n'
        f'[lockers.front-door]\nidentifier = {LOCKER}\ngateway = "hall"\ncode = "{CODE}"\n'
    )


async def test_a_door_by_its_name(file, hall):
    async with Fleet.from_config(pacing=Pacing(0, 0)) as fleet:
        assert list(fleet) == ["hall", "annex"]
        assert fleet.locker_names == {"front-door": LOCKER}
        door = fleet.locker("front-door")
        assert door.identifier == LOCKER
        await door.open()
        await fleet.locker(LOCKER).close()
        with pytest.raises(KeyError, match="front-door"):
            fleet.locker("frontdoor")
    assert [request.endpoint for request in hall.requests if request.endpoint != "lockers"] == ["open", "close"]


async def test_it_and_the_command_take_turns(file, hall, tmp_path):
    command = [sys.executable, "-m", "thekeys_async"]
    async with Fleet.from_config(file, pacing=Pacing(0, 0)) as fleet, anyio.create_task_group() as tasks:
        for action in ("open", "close"):
            tasks.start_soon(anyio.run_process, [*command, "--config", str(file), action, "front-door"])
        for _ in range(3):
            await fleet.locker("front-door").open()
    commands = [request for request in hall.requests if request.endpoint in {"open", "close"}]
    assert len(commands) == 5
    assert hall.overlaps == 0
    assert len({request.timestamp for request in commands}) == 5
    assert list((tmp_path / "state" / "thekeys").glob("*/turn"))


async def test_the_folder_of_the_file_is_the_one_that_is_used(file, tmp_path, write):
    write(f'state_dir = "{tmp_path / "mine"}"\n' + file.read_text(), path=file)
    async with Fleet.from_config() as fleet:
        await fleet["hall"].lockers()
    assert list((tmp_path / "mine").glob("*/turn"))
    assert not (tmp_path / "state").exists()


async def test_state_that_can_not_be_shared_is_told_when_it_is_entered(file, tmp_path, hall):
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(CoordinationError):
        async with Fleet.from_config():
            pass
    assert not hall.requests


async def test_a_file_with_a_mistake_makes_no_fleet(file):
    file.write_text("[gateways.hall]\nhots = 1\n")
    with pytest.raises(ConfigurationError, match="known are host, id"):
        Fleet.from_config()
