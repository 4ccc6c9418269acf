"""Password, tokens and codes: in no log record, no exception's text, and no traceback, be it rendered with locals."""

import io
import logging
import traceback
from contextlib import contextmanager

import anyio
import httpx
import pytest
from rich.console import Console
from rich.pretty import pretty_repr

from thekeys_async.cloud import Cloud, CloudError
from thekeys_async.protocol.secrets import Secret
from thekeys_async.simulator.faults import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

PIN = "80314159"


class Watch:
    """Collects all that could be seen, and looks for secrets in it."""

    def __init__(self, home):
        self._home = home
        self.seen = []
        self.failures = 0

    @contextmanager
    def failing(self, *, surely=True):
        """Expect a `CloudError`, and render it in every way, with the local variables of our frames."""
        try:
            yield
        except CloudError as error:
            self.failures += 1
            self.look_at(error)
        else:
            assert not surely, "nothing failed, so nothing was shown"

    def look_at(self, error):
        while error is not None:
            ours = ours_only(error.__traceback__)
            self.seen += [str(error), repr(error), repr(vars(error))]
            self.seen += traceback.TracebackException(type(error), error, ours, capture_locals=True).format()
            # What rich's tracebacks show of each frame: it looks into values more deeply than repr() does.
            self.seen += [pretty_repr(frame.f_locals) for frame, _ in traceback.walk_tb(ours)]
            self.seen += [text for frame, _ in traceback.walk_tb(ours) for text in texts_in(frame.f_locals)]
            error = error.__cause__ or error.__context__

    def secrets(self):
        codes = {share.code for share in self._home.server.shares}
        tables = self._home.server._tables
        return {self._home.password, PIN, *tables._tokens, *tables._sessions, *codes}


def texts_in(value, met=None):
    """Every text that is reached over the attributes of our own objects, as some renderers walk."""
    met = set() if met is None else met
    if id(value) in met:
        return
    met.add(id(value))
    if isinstance(value, str | bytes):
        yield value if isinstance(value, str) else value.decode("latin-1")
        return
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    elif type(value).__module__.startswith("thekeys_async"):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        inner = [getattr(value, name, None) for name in [*slots, *getattr(value, "__dict__", {})]]
    else:
        return
    for each in inner:
        yield from texts_in(each, met)


def ours_only(trace):
    """Cut off the test's own frames: a test has secrets in its variables."""
    while trace is not None and "thekeys_async" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return trace


@pytest.fixture
def watch(home, caplog):
    caplog.set_level(logging.DEBUG)
    watch = Watch(home)
    yield watch
    records = caplog.get_records("call")
    watch.seen += [record.getMessage() for record in records]
    watch.seen += [repr(record.args) for record in records]
    assert watch.failures
    assert records
    leaks = {secret: line for secret in watch.secrets() for line in watch.seen if secret in line}
    assert not leaks


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in {Fault.REFUSE, Fault.BUSY, Fault.DRIP}])
async def test_every_fault_on_every_call(home, pair, watch, fault):
    home.server.add_keypad(home.front, identifier="KP1")
    timeout = 0.15 if fault in {Fault.HANG, Fault.HANG_AFTER} else 20
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        keypad = next(item for item in locker.accessories if item.identifier == "KP1")
        share = await cloud.create_share(locker, keypad, name="guest", share_code=PIN)
        cloud._timeout = timeout
        calls = {
            "account": cloud.account,
            "accessory": cloud.gateways,
            "shares": lambda: cloud.shares(locker),
            "create": lambda: cloud.create_share(locker, keypad, name="new", share_code=PIN),
            "update": lambda: cloud.update_share(share, share_code=PIN),
            "delete": lambda: cloud.delete_share(share),
            "share_with": lambda: cloud.share_with("+33611111111", locker, name="Ada"),
            "web_login": lambda: cloud.reboot(gateway),
            "reboot": lambda: cloud.reboot(gateway),
        }
        for name, call in calls.items():
            home.server.fail(fault, on=name, times=4 if name in {"account", "accessory", "shares", "web_login"} else 1)
            with watch.failing(surely=name not in {"web_login", "reboot"}):  # of a page, only the head is looked at
                await call()
            home.server._planned_faults.clear()
        if not fault.acts:  # an answer that was lost is what `ensure_share` gets over
            home.server.fail(fault, on="create", times=10)
            with watch.failing():
                await cloud.ensure_share(locker, gateway, name="hall")
            home.server._planned_faults.clear()
    async with home.cloud(timeout=timeout) as cloud:
        home.server.fail(fault, on="login", times=4)
        with watch.failing():
            await cloud.lockers()


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 422, 429, 500])
async def test_a_server_that_repeats_what_it_was_told(home, pair, watch, status):
    home.server.add_keypad(home.front, identifier="KP1")
    async with home.cloud() as cloud:
        locker, _ = await pair(cloud)
        keypad = next(item for item in locker.accessories if item.identifier == "KP1")
        token = next(iter(home.server._tables._tokens))
        echo = {"message": {"form": [f"{PIN} {token} {home.password}"]}, "data": {"id": 1, "code": {PIN: token}}}
        home.server.reply_next(echo | {"status": status, "error": token}, status=status, on="create", times=4)
        with watch.failing():
            await cloud.create_share(locker, keypad, name="new", share_code=PIN)
        home.server._planned_faults.clear()
        row = {"id": f"1{PIN}{token}", "code": [PIN], "nom": home.password}
        home.server.reply_next({"data": {"partages_accessoire": [row]}}, on="shares")
        assert await cloud.shares(locker) == (), "and a warning, at which the watch looks"
        home.server.reply_next({"data": {"partages_accessoire": f"{PIN} {token}"}}, on="shares")
        with watch.failing():
            await cloud.shares(locker)


async def test_a_refused_login_and_a_login_that_answers_nonsense(home, watch):
    home.server.reply_next({"message": home.password}, status=401, on="login")
    home.server.reply_next({"access_token": f"{home.password} {PIN}"}, on="login")
    home.server.reply_next({"access_token": ["t"], "token": f"t\n{home.password}"}, on="login")
    async with home.cloud() as cloud:
        for _ in range(3):
            with watch.failing():
                await cloud.lockers()


async def test_a_transport_that_says_too_much(home, watch):
    def answer(request):
        raise httpx.ConnectError(f"could not send {request.content!r} {home.password}")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with watch.failing():
            await home.cloud(client=client).lockers()


async def test_time_that_runs_out_and_who_waited_for_somebody_elses_login(home, watch):
    home.server.fail(Fault.HANG, on="login", times=5)

    async def one():
        with watch.failing():
            await cloud.lockers()

    async with home.cloud(timeout=0.1) as cloud, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(one)


async def test_a_cancelled_call_carries_no_body_in_its_traceback(home, watch):
    with watch.failing():
        raise CloudError("not what this test is about")
    home.server.fail(Fault.HANG, on="login")
    async with home.cloud() as cloud, anyio.create_task_group() as tasks:

        async def one():
            try:
                await cloud.lockers()
            except anyio.get_cancelled_exc_class() as error:
                watch.look_at(error)
                raise

        tasks.start_soon(one)
        await home.server.wait_for_requests(1)
        logging.getLogger(__name__).debug("so that there is a record")
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "arguments",
    [{"username": "0612345678"}, {"timeout": 0}, {"base_url": "http://example.org"}, {"country": "DE"}],
)
async def test_a_cloud_that_cannot_be_made(home, arguments):
    watch = Watch(home)
    try:
        Cloud(**{"username": "+33612345678", "password": home.password} | arguments)
    except ValueError as error:
        watch.look_at(error)
    assert watch.seen
    assert not [line for line in watch.seen if home.password in line]


@pytest.mark.parametrize("code", [f"{PIN}é", f"{PIN}\ud800"])
async def test_a_code_that_cannot_be_sent(home, pair, code):
    watch = Watch(home)
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        try:
            await cloud.create_share(locker, gateway, name="a", share_code=code)
        except ValueError as error:
            watch.look_at(error)
    assert watch.seen
    assert not [line for line in watch.seen if PIN in line]


async def test_values_do_not_show_what_they_hold(home, pair):
    async with home.cloud() as cloud:
        locker, gateway = await pair(cloud)
        share = await cloud.ensure_share(locker, gateway, name="hall")
        console = Console(file=io.StringIO(), width=400)
        console.print(share, cloud, vars(cloud), vars(cloud._api.session), home.server.shares, Secret(PIN))
        shown = repr((share, vars(cloud), vars(cloud._api.session), home.server.shares)) + console.file.getvalue()
    assert share.code
    assert share.code not in shown
    assert home.password not in shown
    assert PIN not in shown
    assert not [token for token in home.server._tables._tokens if token in shown]
    walked = list(texts_in([share, cloud, Secret(PIN)]))
    assert "hall" in walked, "the walk goes into what is there"
    secrets = {share.code, home.password, PIN, *home.server._tables._tokens}
    assert not [text for text in walked if any(secret in text for secret in secrets)]
