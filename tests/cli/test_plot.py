"""`thekeys plot`: recordings read back, pictures, and what can't be drawn."""

import json
import math
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from thekeys_async.cli.recording import Point, read, smoothed, summarised

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
NAN = math.nan


def at(minute):
    return (START + timedelta(minutes=minute)).isoformat()


def locker(minute, rssi=-71, kind="changed", gateway="hall", identifier=1, **fields):
    line = {"update": "locker", "at": at(minute), "gateway": gateway, "identifier": identifier, "kind": kind}
    return json.dumps(line | {"rssi": rssi, "battery_mv": 7000 - minute, "name": None} | fields)


def gateway(minute, *, reachable, name="hall"):
    return json.dumps({"update": "gateway", "at": at(minute), "gateway": name, "reachable": reachable})


def signals(*lines, key=("hall", 1)):
    points = read(lines).series[key].points
    return [((p.at - START).seconds // 60, None if math.isnan(p.rssi) else p.rssi) for p in points]


def test_readings_in_the_order_of_time():
    assert signals(locker(2, -72), locker(0, -70, "appeared"), "\n") == [(0, -70), (2, -72)]


def test_a_lost_locker_leaves_a_gap_until_it_appears():
    lines = (locker(0, kind="appeared"), locker(1, kind="lost"), locker(5, -80, "appeared"))
    assert signals(*lines) == [(0, -71), (1, None), (5, -80)]


def test_a_gateway_that_is_back_goes_on_where_it_stopped():
    lines = (locker(0), gateway(1, reachable=False), gateway(3, reachable=True), locker(4, -72))
    assert signals(*lines) == [(0, -71), (1, None), (3, -71), (4, -72)]


def test_a_locker_lost_before_its_gateway_is_not_back_with_it():
    lines = (locker(0), locker(1, kind="lost"), gateway(2, reachable=False), gateway(3, reachable=True))
    assert signals(*lines) == [(0, -71), (1, None)]


def test_another_gateway_is_not_concerned():
    assert signals(locker(0), gateway(1, reachable=False, name="annex"), locker(2)) == [(0, -71), (2, -71)]


def test_between_two_recordings_in_one_file_is_a_gap():
    lines = (locker(0, kind="appeared"), locker(3), locker(9, -80, "appeared"))
    assert signals(*lines) == [(0, -71), (3, -71), (3, None), (9, -80)]


@pytest.mark.parametrize(
    "line",
    [
        *('{"update": "loc', "[]", "1", "{}", '{"at": "yesterday"}', '{"at": 1}', f'{{"at": "{at(0)}"}}'),
        *(locker(0, rssi=None), locker(0, rssi="strong"), locker(0, identifier="x"), locker(0, battery_mv=NAN)),
        json.dumps({"update": "weather", "at": at(0)}),
    ],
)
def test_a_line_that_makes_no_sense_is_left_out(line):
    recording = read([line, locker(1)])
    assert recording.left_out == 1
    assert len(recording.series["hall", 1].points) == 1


def test_a_reading_holds_until_the_next_in_a_summary():
    lines = [locker(0, -60), locker(1, -90), locker(9, kind="lost"), locker(10, -60)]
    recording = read(lines)
    summary = summarised(recording.series["hall", 1].sampled(recording.end))
    assert (summary.median, summary.weakest) == (-90, -90)
    assert summary.weak == pytest.approx(0.9, abs=0.01)


def test_a_smooth_line_keeps_its_gaps():
    assert smoothed([1, 2, NAN, 4], 1)[:2] == [1.5, 1.5]
    assert [math.isnan(value) for value in smoothed([1, 2, NAN, 4], 1)] == [False, False, True, False]
    assert summarised([Point(START, -70, 1), Point(START)]).weak == 0.5


@pytest.fixture
def recorded(tmp_path):
    file = tmp_path / "hall.jsonl"
    file.write_text(
        "\n".join(
            [
                *(locker(minute, -70 - minute % 7, name="front $door$") for minute in range(60)),
                *(locker(minute, -88, gateway="annex") for minute in range(20)),
                gateway(30, reachable=False),
                gateway(40, reachable=True),
            ]
        )
    )
    return file


def test_a_png(run, recorded, tmp_path):
    result = run("plot", str(recorded), str(tmp_path / "out.png"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG\r\n")
    for words in ("front $door$", "annex", "-88 dBm", "out.png"):
        assert words in "".join(result.stdout.split("\n"))


def test_an_svg_says_what_is_in_it(run, recorded, tmp_path):
    assert run("plot", str(recorded), str(tmp_path / "out.SVG")).exit_code == 0
    words = " ".join(ET.parse(tmp_path / "out.SVG").getroot().itertext()).replace("\N{MINUS SIGN}", "-")
    for expected in (
        *("RSSI (dBm)", "Battery (mV)", "Time (", "weak, below -85 dBm", "lost"),
        *("front $door$ at hall: median -73 dBm, 6941 mV (about 30 %)", "1 at annex: median -88 dBm"),
    ):
        assert expected in words


def drawn(path):
    """The lines of a picture: for each colour and dash pattern, how often it is drawn."""
    found = Counter()
    for line in ET.parse(path).getroot().iter("{http://www.w3.org/2000/svg}path"):
        style = dict(part.split(": ") for part in line.get("style", "").split("; ") if ": " in part)
        if "stroke" in style and style.get("stroke-width") in {"2.2", "1.6"}:
            found[style["stroke"], style.get("stroke-dasharray", ""), style["stroke-width"]] += 1
    return found


def test_a_colour_is_a_locker_and_a_line_style_a_gateway(run, tmp_path):
    lines = [
        locker(minute, gateway=house, identifier=number)
        for minute in range(9)
        for number in (1, 2)
        for house in ("hall", "annex", "attic")
    ]
    assert run("plot", "-", str(tmp_path / "out.svg"), input="\n".join(lines)).exit_code == 0
    signals = [key[:2] for key in drawn(tmp_path / "out.svg") if key[2] == "2.2"]
    assert len(signals) == 6
    assert len({colour for colour, _ in signals}) == 2
    assert len({dashes for _, dashes in signals}) == 3
    batteries = {key: count for key, count in drawn(tmp_path / "out.svg").items() if key[2] == "1.6"}
    assert sorted(batteries.values()) == [1, 1]  # one line for each locker, through however many gateways
    assert {colour for colour, _, _ in batteries} == {colour for colour, _ in signals}


def test_the_battery_of_a_locker_is_one_line(run):
    lines = [
        locker(0),
        locker(1, gateway="annex"),
        gateway(2, reachable=False),
        gateway(3, reachable=False, name="annex"),
    ]
    recording = read([*lines, locker(5)])
    points = recording.battery(1)
    told = [((p.at - START).seconds // 60, None if math.isnan(p.battery_mv) else p.battery_mv) for p in points]
    assert told == [(0, 7000), (1, 6999), (3, None), (5, 6995)]


def test_a_low_battery_has_a_line_and_a_gateway_that_was_never_heard_a_name(run, tmp_path):
    text = "\n".join([locker(0), gateway(1, reachable=False, name="annex"), locker(2)])
    result = run("plot", "-", str(tmp_path / "out.svg"), input=text)
    assert "annex was never heard." in result.stdout
    words = " ".join(ET.parse(tmp_path / "out.svg").getroot().itertext())
    assert "annex was never heard" in words
    assert "low, below 6800 mV" in words
    as_json = run("plot", "--json", "-", str(tmp_path / "out.svg"), input=text)
    assert json.loads(as_json.stdout)["never_heard"] == ["annex"]


def test_a_summary_as_json_from_a_pipe(run, recorded, tmp_path):
    result = run("plot", "--json", "-", str(tmp_path / "out.png"), input=recorded.read_text() + '\n{"upd')
    assert "left out: 1" in result.stderr
    summary = json.loads(result.stdout)
    assert summary["file"] == str(tmp_path / "out.png")
    assert [(line["gateway"], line["identifier"], line["median"]) for line in summary["lines"]] == [
        ("hall", 1, -73),
        ("annex", 1, -88),
    ]


def test_one_single_reading(run, tmp_path):
    assert run("plot", "-", str(tmp_path / "out.png"), input=locker(0)).exit_code == 0


def test_from_watch_to_picture(run, simulated_gateway, tmp_path):
    watched = run("watch", "--json", "--host", simulated_gateway.address, "--interval", "0.2", "--timeout", "3")
    assert run("plot", "-", str(tmp_path / "out.png"), input=watched.stdout).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text", "ends"),
    [
        (("nowhere.jsonl", "out.png"), "", (2, "nowhere.jsonl")),
        (("-", "out.jpg"), locker(0), (2, ".png or .svg")),
        (("-", "out"), locker(0), (2, ".png or .svg")),
        (("-", "out.png"), "", (2, "thekeys watch --json")),
        (("-", "out.png"), "no JSON\n", (2, "thekeys watch --json")),
        (
            ("-", "nowhere/out.png"),
            locker(0),
            (1, "can't be written (No such file or directory). Mend that, or give another OUT."),
        ),
    ],
)
def test_what_cannot_be_drawn(run, tmp_path, arguments, text, ends):
    file, picture = arguments
    result = run("plot", file, str(tmp_path / picture), input=text)
    assert (result.exit_code, result.stdout) == (ends[0], "")
    assert ends[1] in result.stderr
    assert not list(tmp_path.glob("out*"))


def test_without_matplotlib_one_sentence_says_what_to_install(recorded, tmp_path):
    program = "import sys; sys.modules['matplotlib'] = None; from thekeys_async.cli import main; main()"
    arguments = ("plot", str(recorded), str(tmp_path / "out.png"))
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: Drawing needs matplotlib: pip install 'thekeys-async[plot]'\n"


def test_only_drawing_loads_matplotlib():
    program = (
        "import sys; sys.argv = ['thekeys', 'plot', '--help']\n"
        "import thekeys_async.cli.watch, thekeys_async.cli.plot\n"
        "from thekeys_async.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'matplotlib' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.DEVNULL)
