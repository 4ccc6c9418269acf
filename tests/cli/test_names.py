"""Names in the place of flags, the order of flags, environment and file, and files that can't be used."""

import pytest

from tests.sample import CODE, LOCKER
from thekeys_async.cli.errors import ExitCode
from thekeys_async.simulator import SimulatedLocker

pytestmark = pytest.mark.usefixtures("no_rest")

FRONT = f"""
[lockers.front-door]
identifier = {LOCKER}
gateway = "hall"
code = "{CODE}"
"""


@pytest.fixture
def write(tmp_path, simulated_gateway):
    """Write the configuration file; its gateway `hall` is the simulated one unless told otherwise."""

    def write(text=FRONT, *, hall=True, mode=0o600):
        path = tmp_path / "config" / "thekeys" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((f'[gateways.hall]\nhost = "{simulated_gateway.address}"\n' if hall else "") + text)
        path.chmod(mode)
        return path

    return write


def asked(gateway):
    return [(request.endpoint, request.identifier) for request in gateway.requests]


@pytest.mark.parametrize(
    "action",
    ["open", "close", "calibrate", "locker_status", "synchronize_locker", "update_locker"],
)
def test_every_action_on_a_locker_takes_its_name(run, write, simulated_gateway, action):
    write()
    assert run(action, "front-door").exit_code == 0
    assert asked(simulated_gateway) == [(action, LOCKER)]


@pytest.mark.parametrize("action", ["search", "status", "synchronize", "auto_on", "auto_off", "update"])
def test_every_action_on_a_gateway_takes_its_name(run, write, simulated_gateway, action):
    write('[gateways.annex]\nhost = "127.0.0.1:9"\n')
    assert run(action, "hall").exit_code == 0
    assert len(simulated_gateway.requests) == 1


def test_the_only_gateway_needs_no_name(run, write):
    write()
    assert run("search").exit_code == 0


def test_of_several_gateways_one_has_to_be_named(run, write, simulated_gateway):
    write('[gateways.annex]\nhost = "127.0.0.1:9"\n')
    for arguments in (("synchronize",), ("open", "-i", "7", "-c", CODE)):
        result = run(*arguments)
        assert result.exit_code == ExitCode.USAGE
        assert "there are: hall, annex" in result.stderr
    assert run("search", "--host", simulated_gateway.address).exit_code == 0
    assert run("search", THEKEYS_HOST=simulated_gateway.address).exit_code == 0


def test_a_number_that_the_file_knows_brings_code_and_gateway(run, write):
    write('[gateways.annex]\nhost = "127.0.0.1:9"\n' + FRONT)
    assert run("open", "-i", str(LOCKER)).exit_code == 0


def test_a_flag_overrides_the_file_and_so_does_the_environment(
    run, write, simulated_gateway, simulated_gateway_factory
):
    write()
    other = simulated_gateway_factory([SimulatedLocker(7, share_code="other")])
    flags = ("--host", other.address, "-i", "7", "-c", "other")
    assert run(*flags, "open", "front-door").exit_code == 0
    environment = {"THEKEYS_HOST": other.address, "THEKEYS_CODE": "other"}
    assert run("close", "front-door", "-i", "7", **environment).exit_code == 0
    assert asked(other) == [("open", 7), ("close", 7)]
    nobody = {"THEKEYS_HOST": "127.0.0.1:9", "THEKEYS_CODE": "other"}
    assert run("open", "front-door", "-c", CODE, "--timeout", "4", **nobody).exit_code == 3
    flags = ("--host", simulated_gateway.address, "-c", CODE)
    assert run("open", "front-door", *flags, **nobody).exit_code == 0


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o644, 0o601])
def test_a_file_that_others_can_read_is_refused(run, write, simulated_gateway, mode):
    path = write(mode=mode)
    result = run("open", "front-door")
    assert result.exit_code == ExitCode.USAGE
    assert f"chmod 600 '{path}'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not simulated_gateway.requests
    path.chmod(0o600)
    assert run("open", "front-door").exit_code == 0


def test_a_file_that_is_not_needed_is_not_looked_at(run, write, simulated_gateway):
    write("nonsense", mode=0o644)
    flags = ("--no-coordination", "--host", simulated_gateway.address, "-i", str(LOCKER))
    assert run("open", *flags, "-c", CODE).exit_code == 0
    assert run("synchronize_locker", *flags).exit_code == 0
    assert run("search", *flags).exit_code == 0


def test_a_name_that_is_not_there_is_not_repeated(run, write):
    path = write()
    for action, there in (("open", "front-door"), ("search", "hall")):
        result = run(action, "geheim")
        assert result.exit_code == ExitCode.USAGE
        assert f"{path}; there are: {there}." in result.stderr
        assert "geheim" not in result.stderr


def test_without_a_file_a_name_says_what_to_do(run):
    result = run("open", "front-door")
    assert result.exit_code == ExitCode.USAGE
    assert "thekeys setup" in result.stderr


def test_a_file_that_was_asked_for_has_to_be_there(run, tmp_path):
    for result in (
        run("search", "--config", str(tmp_path / "none.toml")),
        run("search", THEKEYS_CONFIG=str(tmp_path / "none.toml")),
    ):
        assert result.exit_code == ExitCode.USAGE
        assert "none.toml" in result.stderr


SECRET = "geheim"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'[lockers.a\ncode = "{SECRET}"', "line"),
        (f'code = "{SECRET}', "makes no sense"),
        (f'lockers = "{SECRET}"', "lockers is a table"),
        (f'[lockers]\na = "{SECRET}"', "lockers.a is a table"),
        (f'[codes]\na = "{SECRET}"', "known are bridge, gateways, lockers"),
        (f'[gateways.a]\nhost = "http://{SECRET}:x@b/"', "gateways.a: host:"),
        ("[gateways.a]\nhost = 7", "gateways.a: host is text"),
        (f'[gateways.a]\nid = "{SECRET}"', "gateways.a: host is missing"),
        (f'[lockers.a]\ngateway = "hall"\ncode = "{SECRET}"', "identifier is the locker's number"),
        (f'[lockers.a]\nidentifier = "{SECRET}"\ngateway = "hall"', "identifier is the locker's number"),
        (f'[lockers.a]\nidentifier = true\ngateway = "hall"\ncode = "{SECRET}"', "identifier is the locker's number"),
        (f'[lockers.a]\nidentifier = 1\ncode = "{SECRET}"', "gateway is missing"),
        (f'[lockers.a]\nidentifier = 1\ngateway = "{SECRET}"', "no gateway of the name"),
        (f'[lockers.a]\nidentifier = 1\ngateway = "hall"\ncode = "{SECRET}ä"', "ASCII"),
        (f'[lockers.a]\nidentifier = 1\ngateway = "hall"\ncode = ["{SECRET}"]', "code is text"),
        (
            f'[lockers.a]\nidentifier = 1\ngateway = "hall"\npin = "{SECRET}"',
            "known are area, bridge, code, gateway, identifier",
        ),
    ],
)
@pytest.mark.parametrize("flags", [(), ("-d",), ("--json",)])
def test_a_file_that_makes_no_sense_says_where_and_shows_no_secret(run, write, text, says, flags):
    write(f"\n{text}\n", hall=not text.startswith("lockers ="))
    result = run("open", "front-door", *flags)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert says in result.stderr
    assert SECRET not in result.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read(run, write, content):
    path = write()
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    result = run("open", "front-door")
    assert result.exit_code == ExitCode.USAGE
    assert "config.toml" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_locker_without_a_code_says_what_is_missing(run, write, simulated_gateway):
    write(f'[lockers.front-door]\nidentifier = {LOCKER}\ngateway = "hall"\n')
    result = run("open", "front-door")
    assert result.exit_code == ExitCode.USAGE
    assert "share code" in result.stderr
    assert run("open", "front-door", THEKEYS_CODE=CODE).exit_code == 0


@pytest.mark.parametrize("typed", ["front-door", "Front-Door", "FRONT-DOOR", str(LOCKER)])
def test_a_name_in_any_case_and_a_number_go_wherever_a_name_goes(run, write, simulated_gateway, typed):
    write()
    for action in ("open", "locker_status", "synchronize_locker"):
        assert run(action, typed).exit_code == 0
    assert {request.identifier for request in simulated_gateway.requests} == {LOCKER}
    assert run("search", "HALL").exit_code == 0


def test_a_number_needs_no_file(run, simulated_gateway):
    assert run("open", str(LOCKER), "--host", simulated_gateway.address, "-c", CODE).exit_code == 0
    assert asked(simulated_gateway) == [("open", LOCKER)]


def test_a_name_made_of_digits_is_a_name_first(run, write, simulated_gateway):
    write(FRONT.replace("front-door", '"7"'))
    assert run("open", "7").exit_code == 0
    assert asked(simulated_gateway) == [("open", LOCKER)]


def test_a_name_that_fits_two_is_none_until_it_fits_one(run, write, simulated_gateway):
    write(FRONT + FRONT.replace("front-door", "Front-Door").replace(str(LOCKER), "7"))
    result = run("open", "FRONT-DOOR")
    assert result.exit_code == ExitCode.USAGE
    assert "front-door, Front-Door" in result.stderr
    assert run("open", "front-door").exit_code == 0
    assert asked(simulated_gateway) == [("open", LOCKER)]


@pytest.mark.parametrize(
    ("action", "typed", "listed"),
    [
        ("open", "fornt-door", "front-door, "),
        ("open", "cellr", "cellar"),
        ("locker_status", "Atic", "attic"),
        ("search", "hal", "hall, annex"),
        ("watch", "anex", "annex, hall"),
    ],
)
def test_what_was_not_found_lists_what_there_is_the_nearest_first(run, write, action, typed, listed):
    more = "".join(FRONT.replace("front-door", name) for name in ("attic", "cellar"))
    write('[gateways.annex]\nhost = "127.0.0.1:9"\n' + more + FRONT)
    result = run(action, typed)
    assert result.exit_code == ExitCode.USAGE
    assert f"there are: {listed}" in result.stderr
    assert f"{typed}" not in result.stderr.replace("annex", "").replace("hall", "")


def test_a_number_that_the_file_does_not_have_needs_its_gateway(run, write):
    write(FRONT + '[gateways.annex]\nhost = "127.0.0.1:9"\n')
    result = run("open", "7", "-c", CODE)
    assert result.exit_code == ExitCode.USAGE
    assert "No locker of that number" in result.stderr
    assert "Say with --host through which gateway it is driven; there are: hall, annex." in result.stderr


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (("open", "hall"), "--host, -i and -c"),
        (("search", "hall"), "--host"),
        (("status", "--all"), "--host"),
        (("watch", "x"), "--host"),
    ],
)
def test_a_name_without_a_file_says_that_there_is_none(run, tmp_path, words, flags):
    path = tmp_path / "config" / "thekeys" / "config.toml"
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert f"is known: there is no {path}." in result.stderr
    assert f"Run 'thekeys setup', or give {flags}." in result.stderr
    path.parent.mkdir(parents=True)
    path.touch(mode=0o600)
    assert f"is in {path}. Run 'thekeys setup', or give {flags}." in run(*words).stderr
