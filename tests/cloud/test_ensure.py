"""`ensure_share`: one share under one name, whoever asks, however often, whatever happens."""

import anyio
import pytest

from thekeys_async.cloud import CloudProtocolError, CloudUnreachableError
from thekeys_async.simulator.faults import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def all_at_once(count, work):
    results = []

    async def one(number):
        results.append(await work(number))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)
    return results


async def test_fifty_at_once_leave_one_share(home, pair):
    home.server.settings.delay = 0.01
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        shares = await all_at_once(50, lambda _: cloud.ensure_share(locker, gateway, name="hall"))
    (row,) = home.server.shares
    assert {(share.id, share.code) for share in shares} == {(row.number, row.code)}
    assert home.calls("create") == 1
    assert home.calls("shares") == 2, "one looks for all: before and after"


async def test_eight_programs_at_once_leave_one_share(home, pair):
    home.server.settings.delay = 0.05
    clouds = [home.cloud() for _ in range(8)]
    for cloud in clouds:
        locker, gateway = await pair(cloud)
    shares = await all_at_once(8, lambda number: clouds[number].ensure_share(locker, gateway, name="hall"))
    for cloud in clouds:
        await cloud.aclose()
    (row,) = home.server.shares
    assert {(share.id, share.code) for share in shares} == {(row.number, row.code)}
    assert home.calls("create") > 1, "they did not race, so nothing was shown"


async def test_one_name_one_locker_one_accessory_each_has_its_own(home, pair):
    async with home.cloud() as cloud:
        front, back = await cloud.lockers()
        gateway = front.accessories[0]
        made = [
            await cloud.ensure_share(front, gateway, name="a"),
            await cloud.ensure_share(front, gateway, name="b"),
            await cloud.ensure_share(back, gateway, name="a"),
        ]
        assert await cloud.ensure_share(front, gateway, name="a") == (await cloud.shares(front))[0]
    assert len({share.id for share in made}) == len(home.server.shares) == 3


async def test_a_share_with_another_accessory_of_that_name_is_not_it(home, pair):
    home.server.add_keypad(home.front, identifier="KP1")
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        keypad = next(item for item in locker.accessories if item.identifier == "KP1")
        other = await cloud.create_share(locker, keypad, name="a", share_code="4711")
        assert (await cloud.ensure_share(locker, gateway, name="a")).id != other.id


async def test_one_that_is_switched_on_is_preferred(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        first = await cloud.create_share(locker, gateway, name="a")
        second = await cloud.create_share(locker, gateway, name="a")
        assert (await cloud.ensure_share(locker, gateway, name="a")).id == first.id
        await cloud.update_share(first, active=False)
        assert (await cloud.ensure_share(locker, gateway, name="a")).id == second.id


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.HALF_REPLY, Fault.EMPTY_BODY, Fault.GIANT_BODY])
async def test_a_creation_whose_answer_was_lost_is_found_and_not_repeated(home, pair, fault):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.fail(fault, on="create")
        share = await cloud.ensure_share(locker, gateway, name="hall")
    (row,) = home.server.shares
    assert (share.id, share.code) == (row.number, row.code)
    assert home.calls("create") == 1


async def test_a_creation_that_never_arrived_is_tried_again(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.fail(Fault.RESET_BEFORE, on="create")
        await cloud.ensure_share(locker, gateway, name="hall")
    assert len(home.server.shares) == 1
    assert home.calls("create") == 2


async def test_a_creation_that_always_fails_ends_and_says_what_may_be(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.fail(Fault.RESET_BEFORE, on="create", times=100)
        with pytest.raises(CloudUnreachableError) as caught:
            await cloud.ensure_share(locker, gateway, name="hall")
    assert caught.value.may_have_executed
    assert home.calls("create") == 3


async def test_who_waited_gets_the_same_error_but_not_the_same_exception(home, pair):
    home.server.settings.delay = 0.01
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.fail(Fault.RESET_AFTER, on="create", times=100)
        home.server.reply_next({"status": 200, "data": {"partages_accessoire": []}}, on="shares", times=100)
        caught = []

        async def one(_):
            with pytest.raises(CloudUnreachableError) as error:
                await cloud.ensure_share(locker, gateway, name="hall")
            caught.append(error.value)

        await all_at_once(5, one)
    assert len({id(error) for error in caught}) == 5
    assert all(error.may_have_executed for error in caught)
    assert home.calls("create") == 3


async def test_who_waited_takes_over_when_the_first_is_cancelled(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.fail(Fault.HANG, on="shares")
        shares = []

        async def first():
            with scope:
                await cloud.ensure_share(locker, gateway, name="hall")

        async def second():
            shares.append(await cloud.ensure_share(locker, gateway, name="hall"))

        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await home.server.wait_for_requests(1, on="shares")
            tasks.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert shares[0].id == home.server.shares[0].number


async def test_a_share_whose_code_is_kept_back_is_of_no_use(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        accessory = {"id": gateway.id, "id_accessoire": gateway.identifier}
        rows = [{"id": 1, "nom": "hall", "actif": True, "accessoire": accessory}]
        home.server.reply_next({"status": 200, "data": {"partages_accessoire": rows}}, on="shares")
        with pytest.raises(CloudProtocolError, match="code"):
            await cloud.ensure_share(locker, gateway, name="hall")
