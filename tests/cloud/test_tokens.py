"""Logging in: once for all, again when the token has run out, and no more than that."""

import anyio
import pytest

from thekeys_async.cloud import AuthenticationError, Cloud, CloudProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def all_at_once(count, work):
    results = []

    async def one():
        results.append(await work())

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return results


async def test_nobody_logs_in_before_it_is_needed(home):
    async with home.cloud():
        pass
    assert home.server.logins == 0


async def test_many_at_once_log_in_once(home):
    home.server.settings.delay = 0.01
    async with home.cloud() as cloud:
        answers = await all_at_once(20, cloud.lockers)
    assert len(answers) == 20
    assert home.server.logins == 1


@pytest.mark.parametrize("as_grant", [False, True])
async def test_a_token_that_expires_among_twenty_calls_costs_one_login(home, as_grant):
    home.server.settings.expires_as_grant = as_grant
    home.server.settings.delay = 0.01
    async with home.cloud() as cloud:
        await cloud.lockers()
        answers = []

        async def one():
            answers.append(await cloud.lockers())

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one)
                if number == 9:
                    await anyio.wait_all_tasks_blocked()
                    home.server.expire_tokens()
    assert len(answers) == 20
    assert home.server.logins == 2


async def test_a_token_is_used_until_a_minute_before_its_end(home):
    async with home.cloud() as cloud:
        await cloud.lockers()
        home.clock.now += 3539
        await cloud.lockers()
        assert home.server.logins == 1
        home.clock.now += 1
        await cloud.lockers()
    assert home.server.logins == 2


async def test_a_short_lived_token_is_used_all_the_same(home):
    home.server.settings.token_life = 40
    async with home.cloud() as cloud:
        await cloud.lockers()
        home.clock.now += 19
        await cloud.lockers()
        assert home.server.logins == 1
        home.clock.now += 1
        await cloud.lockers()
    assert home.server.logins == 2


async def test_a_cloud_that_refuses_every_token_is_asked_twice_and_no_more(home):
    home.server.reply_next({"code": 401}, status=401, on="account", times=100)
    async with home.cloud() as cloud:
        with pytest.raises(AuthenticationError) as caught:
            await cloud.lockers()
    assert caught.value.code == 401
    assert (home.server.logins, home.calls("account")) == (2, 2)


async def test_a_change_is_repeated_when_only_its_token_was_refused(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        home.server.expire_tokens()
        await cloud.create_share(locker, gateway, name="hall")
    assert home.calls("create") == 2
    assert len(home.server.shares) == 1


async def test_a_wrong_password_is_tried_once_for_all_who_wait(home):
    home.server.settings.delay = 0.01
    caught = []

    async def one():
        with pytest.raises(AuthenticationError) as error:
            await cloud.lockers()
        caught.append(error.value)

    async with home.cloud(password="wr0ng-password") as cloud:
        await all_at_once(20, one)
    assert home.server.logins == 1
    assert len({id(error) for error in caught}) == 20


async def test_who_waits_for_a_login_takes_over_when_the_first_is_cancelled(home):
    home.server.settings.delay = 0.01
    scope = anyio.CancelScope()
    answers = []

    async def first():
        with scope:
            await cloud.lockers()

    async def second():
        answers.append(await cloud.lockers())

    async with home.cloud() as cloud, anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await home.server.wait_for_requests(1)
        tasks.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
    assert len(answers[0]) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_login(home, status):
    home.server.reply_next({"error": "invalid_grant"}, status=status, on="login")
    async with home.cloud() as cloud:
        with pytest.raises(AuthenticationError) as caught:
            await cloud.lockers()
    assert caught.value.code == status
    assert home.server.logins == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "line\nbreak"},
        {"access_token": "é"},
    ],
)
async def test_a_login_that_answers_nonsense(home, body):
    home.server.reply_next(body, on="login")
    async with home.cloud() as cloud:
        with pytest.raises(CloudProtocolError):
            await cloud.lockers()


@pytest.mark.parametrize(
    "said",
    [{}, *({"expires_in": odd} for odd in ("soon", "never", 0, -1, "0", True, 10**400, None, [], "nan", {}))],
    ids=repr,
)
async def test_a_token_whose_life_is_not_told_lasts_an_hour(home, said):
    token = home.server._tables.new_token(home.clock.now + 10**6)
    home.server.reply_next({"access_token": 5, "token": token, **said}, on="login")
    async with home.cloud() as cloud:
        await cloud.lockers()
        home.clock.now += 3539
        await cloud.lockers()
        assert home.server.logins == 0
        home.clock.now += 2
        await cloud.lockers()
    assert home.server.logins == 1


async def test_a_french_number_logs_in(home):
    async with Cloud("06 12 34 56 78", home.password, base_url=home.server.url, country="FR") as cloud:
        assert len(await cloud.lockers()) == 2
