"""The command shares turns and timestamps with other processes: by default, through a folder, through Redis, or not."""

import json
import os
import sys
import time
import zlib

import anyio
import pytest

from tests.sample import CODE, IDENTIFIER
from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import SimulatedLocker

SECONDS = 60
PASSWORD = "geheim"
NOWHERE = f"redis://:{PASSWORD}@127.0.0.1:1/0"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has not the locks")


@pytest.fixture
def gateway(simulated_gateway_factory):
    """A gateway that is busy for a while with each request, and insists on increasing timestamps."""
    return simulated_gateway_factory([SimulatedLocker(int(IDENTIFIER), share_code=CODE)], bluetooth=0.5)


@pytest.fixture
def flags(gateway):
    return ("--host", gateway.address, "-i", IDENTIFIER, "-c", CODE)


@pytest.fixture
def config(tmp_path):
    """Write the configuration file."""

    def write(text):
        path = tmp_path / "config" / "thekeys" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)

    return write


def last_timestamps(folder):
    """The files with the last timestamps of all gateways, in a state folder."""
    return sorted(folder.glob("*/timestamp"))


def ended(process):
    stdout, stderr = process.communicate(timeout=SECONDS)
    return process.returncode, stdout, stderr


def all_went_well(gateway, expected):
    assert [record.code for record in gateway.requests] == [0] * expected
    timestamps = [record.timestamp for record in gateway.requests]
    assert timestamps == sorted(set(timestamps))
    assert gateway.overlaps == 0


@POSIX
def test_two_processes_at_once(start, gateway, flags, tmp_path):
    processes = [start(action, *flags) for action in ("open", "close")]
    assert [ended(process)[0] for process in processes] == [0, 0]
    all_went_well(gateway, 2)
    assert len(last_timestamps(tmp_path / "state" / "thekeys")) == 1


@POSIX
def test_one_process_right_after_the_other(start, simulated_gateway):
    """Within one second, which is one timestamp: each start takes less, so that some of four share one."""
    flags = ("--host", simulated_gateway.address, "-i", IDENTIFIER, "-c", CODE)
    for _ in range(4):
        assert ended(start("open", *flags))[::2] == (0, "")
    all_went_well(simulated_gateway, 4)


@POSIX
def test_a_timestamp_that_another_process_has_used_is_not_used_again(run, start, gateway, flags, tmp_path):
    """As if the clock stood still between the two: the second starts from what the first has left in the folder.

    However long it takes to start: it is ahead by more than any process takes, and not waited for.
    """
    ahead = int(time.time()) + 600
    assert run("open", *flags).exit_code == 0
    (file,) = last_timestamps(tmp_path / "state" / "thekeys")
    file.write_bytes(_stored(ahead))
    assert ended(start("open", *flags))[0] == 0
    assert gateway.requests[-1].timestamp == ahead + 1


@POSIX
def test_the_default_folder_is_for_its_owner_only(run, flags, tmp_path):
    assert run("open", *flags).exit_code == 0
    state = tmp_path / "state" / "thekeys"
    assert state.stat().st_mode & 0o777 == 0o700
    assert last_timestamps(state)[0].stat().st_mode & 0o777 == 0o600


@POSIX
def test_no_coordination_leaves_no_folder(run, gateway, flags, tmp_path):
    assert run("open", *flags, "--no-coordination").exit_code == 0
    assert run("--no-coordination", "open", *flags, THEKEYS_REDIS_URL=NOWHERE).exit_code == 0
    assert not (tmp_path / "state").exists()


@POSIX
def test_which_folder_wins(run, flags, tmp_path, config):
    flag, environment, file = (tmp_path / name for name in ("flag", "environment", "file"))
    config(f'state_dir = "{file}"\n')
    assert run("open", *flags).exit_code == 0
    assert last_timestamps(file)
    assert not environment.exists()
    assert run("open", *flags, THEKEYS_STATE_DIR=str(environment)).exit_code == 0
    assert last_timestamps(environment)
    chosen = {"THEKEYS_STATE_DIR": str(environment), "THEKEYS_REDIS_URL": NOWHERE}
    assert run("open", *flags, "--state-dir", str(flag), **chosen).exit_code == 0
    assert last_timestamps(flag)
    assert not (tmp_path / "state").exists()


@POSIX
def test_watch_shares_too(start, gateway, tmp_path):
    folder = tmp_path / "shared"
    watching = start("watch", "--json", "--host", gateway.address, "--timeout", "2", "--state-dir", str(folder))
    assert ended(watching)[0] == 0
    assert list(folder.glob("*/turn"))


def test_flags_that_contradict_each_other(run, flags, tmp_path):
    result = run("open", *flags, "--state-dir", str(tmp_path), "--no-coordination")
    assert result.exit_code == ExitCode.USAGE
    assert run("open", *flags, "--state-dir", "").exit_code == ExitCode.USAGE


@pytest.mark.parametrize("text", ['state_dir = "here"', "state_dir = 1", 'state_dir = ""'])
def test_a_folder_of_the_file_that_makes_no_sense(run, gateway, flags, config, text):
    config(text)
    result = run("open", *flags)
    assert result.exit_code == ExitCode.USAGE
    assert "state_dir" in result.stderr
    assert not gateway.requests


@POSIX
@pytest.mark.parametrize("as_json", [False, True])
def test_a_folder_that_cannot_be_used(run, gateway, flags, tmp_path, as_json):
    folder = tmp_path / "file" / "folder"
    folder.parent.write_text("not a folder")
    result = run("open", *flags, "--state-dir", str(folder), *(["--json"] if as_json else []))
    assert result.exit_code == ExitCode.COORDINATION
    assert result.stderr.count("\n") == 1
    said = json.loads(result.stderr)["message"] if as_json else result.stderr
    assert str(folder) in said
    assert "--no-coordination" in said
    assert "the door was not moved" in said
    assert not gateway.requests


@POSIX
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_others_own(run, gateway, flags, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    result = run("open", *flags, "--state-dir", str(folder))
    assert result.exit_code == ExitCode.COORDINATION
    assert str(folder) in result.stderr
    assert not gateway.requests


@POSIX
def test_a_damaged_timestamp_is_named_and_not_reset(run, gateway, flags, tmp_path):
    assert run("open", *flags).exit_code == 0
    (file,) = last_timestamps(tmp_path / "state" / "thekeys")
    file.write_text("nonsense")
    result = run("open", *flags)
    assert result.exit_code == ExitCode.COORDINATION
    assert str(file) in result.stderr
    assert file.read_text() == "nonsense"
    assert len(gateway.requests) == 1


@POSIX
@pytest.mark.parametrize("as_json", [False, True])
def test_a_lead_that_is_not_waited_for_is_told(run, start, flags, tmp_path, as_json):
    assert run("open", *flags).exit_code == 0
    (file,) = last_timestamps(tmp_path / "state" / "thekeys")
    file.write_bytes(_stored(int(time.time()) + 3600))
    # In a process of its own: this one remembers that it has been told.
    code, _, stderr = ended(start("open", *flags, *(["--json"] if as_json else [])))
    assert code == 0
    assert stderr.count("\n") == 1
    assert as_json or stderr.startswith("Warning: ")
    said = json.loads(stderr)["warning"] if as_json else stderr
    assert "ahead of the clock" in said


def test_two_processes_at_once_through_redis(start, gateway, flags, redis_url, tmp_path):
    if redis_url is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    environment = {**os.environ, "THEKEYS_REDIS_URL": redis_url}
    processes = [start(action, *flags, env=environment) for action in ("open", "close")]
    assert [ended(process)[0] for process in processes] == [0, 0]
    all_went_well(gateway, 2)
    assert not (tmp_path / "state").exists()
    anyio.run(_check_keys, redis_url, gateway.address)


async def _check_keys(redis_url, address):
    """The keys are those that the docs list."""
    from coredis import Redis  # noqa: PLC0415 - needed here only

    client = Redis.from_url(redis_url, decode_responses=True)
    async with client:
        assert await client.keys(f"*{address}*") == {f"thekeys:{{{address}}}:state"}


def test_redis_that_is_not_there(run, gateway, flags):
    result = run("open", *flags, "--timeout", "1", THEKEYS_REDIS_URL=NOWHERE)
    assert result.exit_code == ExitCode.COORDINATION
    assert "127.0.0.1:1" in result.stderr
    assert "the door was not moved" in result.stderr
    assert not gateway.requests


@pytest.mark.parametrize("url", [NOWHERE, f"ftp://:{PASSWORD}@x", f"redis://:{PASSWORD}@pass@127.0.0.1:1", PASSWORD])
def test_the_password_of_redis_is_not_shown(run, flags, url):
    for more in ([], ["-d"], ["--json"]):
        result = run("open", *flags, "--timeout", "1", *more, THEKEYS_REDIS_URL=url)
        assert result.exit_code in {ExitCode.USAGE, ExitCode.COORDINATION}
        assert PASSWORD not in result.output


def test_redis_without_its_client(run, gateway, flags, monkeypatch):
    monkeypatch.delitem(sys.modules, "thekeys_async.coordination.redis_client", raising=False)
    monkeypatch.delattr("thekeys_async.coordination.redis_client", raising=False)
    monkeypatch.setitem(sys.modules, "coredis", None)
    result = run("open", *flags, THEKEYS_REDIS_URL=NOWHERE)
    assert result.exit_code == ExitCode.COORDINATION
    assert result.stderr.count("\n") == 1
    assert "thekeys-async[redis]" in result.stderr
    assert not gateway.requests


def _stored(timestamp):
    digits = b"%d" % timestamp
    return digits + b" %08x\n" % zlib.crc32(digits)


@POSIX
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_default_folder_that_others_can_write_is_refused(run, flags, gateway, tmp_path, mode):
    folder = tmp_path / "state" / "thekeys"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    result = run(*flags, "open")
    assert result.exit_code == ExitCode.COORDINATION
    assert f"chmod go-w {folder}" in result.stderr
    assert not gateway.requests


@POSIX
def test_a_default_folder_of_somebody_else_is_refused(run, flags, gateway, tmp_path, monkeypatch):
    (tmp_path / "state" / "thekeys").mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    result = run(*flags, "open")
    assert result.exit_code == ExitCode.COORDINATION
    assert "belongs to somebody else" in result.stderr
    assert "chown" in result.stderr
    assert not gateway.requests


@POSIX
def test_a_user_without_a_home_and_a_name(run, flags, gateway, tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}["nobody"])
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = run(*flags, "open")
    assert result.exit_code == ExitCode.DONE, result.output
    assert len(gateway.requests) == 1
    assert {path.name for path in tmp_path.iterdir()} == {f"thekeys-{os.getuid()}"}


@POSIX
def test_a_configuration_file_that_is_a_fifo_is_refused_at_once(run, gateway, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    result = run("--config", str(fifo), "open", "front-door")
    assert result.exit_code == ExitCode.USAGE
    assert "no regular file" in result.output
    assert not gateway.requests
