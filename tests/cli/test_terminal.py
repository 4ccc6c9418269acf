"""`thekeys watch` at a terminal: the screen that a person sees, also after the window has been resized."""

import fcntl
import os
import re
import select
import signal
import struct
import sys
import termios
import time

import pytest

from thekeys_async.simulator import SimulatedLocker

SECONDS = 30
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX terminals")
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]")


class Terminal:
    """A terminal as a person sees it; it knows the little that rich writes.

    Attributes:
        scrolled: Lines that have left its screen at the top: what a person finds when scrolling back.
        pictures: How many pictures of the whole screen have been begun.
    """

    def __init__(self, columns, lines):
        self.ours, self.theirs = os.openpty()
        self.scrolled = []
        self.pictures = 0
        self._rows = [[]]
        self._at = (0, 0)
        self._kept = None
        self._rest = ""
        self.resize(columns, lines)

    def resize(self, columns, lines):
        """Cut what no longer fits, as terminals do on their other screen; the rest stays where it was."""
        self.columns, self.lines = columns, lines
        self._rows = [row[:columns] for row in self._rows[:lines]]
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    @property
    def screen(self):
        return ["".join(row).rstrip() for row in self._rows]

    def read_until(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert select.select([self.ours], [], [], deadline - time.monotonic())[0], self.screen
            self._take(self._rest + os.read(self.ours, 65536).decode(errors="replace"))

    def _take(self, text):
        cut = text.rfind("\x1b")
        incomplete = cut >= 0 and not _SEQUENCE.match(text, cut)
        self._rest, text = (text[cut:], text[:cut]) if incomplete else ("", text)
        position = 0
        while position < len(text):
            sequence = _SEQUENCE.match(text, position)
            if sequence:
                self._obey(sequence[1] or "", sequence[2] or "")
                position = sequence.end()
            else:
                self._put(text[position])
                position += 1

    def _obey(self, arguments, command):
        row, column = self._at
        if (arguments, command) == ("?1049", "h"):
            self._kept, self._rows, self._at = (self._rows, self._at), [[]], (0, 0)
        elif (arguments, command) == ("?1049", "l"):
            self._rows, self._at = self._kept
        elif command == "H":
            self._at = (0, 0)
            self.pictures += 1
        elif command == "A":
            self._at = (row - int(arguments or 1), column)
        elif command == "K" and arguments == "2":
            self._rows[row] = []
        elif command not in {"m", "h", "l"}:
            raise AssertionError((arguments, command))

    def _put(self, letter):
        row, column = self._at
        if letter == "\r":
            self._at = (row, 0)
            return
        if letter == "\n" or column >= self.columns:
            row, column = row + 1, 0 if letter != "\n" else column
        if letter == "\n":
            column = 0
        while len(self._rows) <= row:
            self._rows.append([])
        while row >= self.lines:
            self.scrolled.append("".join(self._rows.pop(0)).rstrip())
            row -= 1
        if letter != "\n":
            line = self._rows[row]
            line += [" "] * (column + 1 - len(line))
            line[column] = letter
            column += 1
        self._at = (row, column)

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal():
    terminal = Terminal(100, 30)
    yield terminal
    terminal.close()


@pytest.fixture
def watch(start, terminal):
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}

    def watch(gateway, *flags, **options):
        options = {"env": {**environment, "TERM": "xterm"}, "stdout": terminal.theirs} | options
        return start("watch", "--host", gateway.address, "--interval", "0.1", *flags, **options)

    return watch


@pytest.fixture
def gateway(simulated_gateway_factory):
    return simulated_gateway_factory([SimulatedLocker(number, wander=0) for number in range(101, 121)])


def rows(screen):
    return [line.split()[0] for line in screen if re.match(r"1\d\d ", line)]


def test_resizing_leaves_no_rows_behind(watch, terminal, gateway):
    process = watch(gateway)
    terminal.read_until(lambda: len(rows(terminal.screen)) == 20)
    for columns, lines in ((50, 16), (120, 40), (40, 12), (100, 30)):
        terminal.resize(columns, lines)
        drawn = terminal.pictures
        # The first was perhaps measured before; once the third begins, the second is there as a whole.
        terminal.read_until(lambda before=drawn: terminal.pictures >= before + 3)
        screen = terminal.screen
        head = next(line for line in screen if "Locker" in line)
        assert len(screen) <= lines
        assert max(map(len, screen)) <= columns
        assert sum("Locker" in line for line in screen) == 1
        assert sum("doors:" in line for line in screen) == 1
        assert [len(line) for line in screen if line.startswith("──")] == [len(head)]
        hidden = sum(int(line.split()[2]) for line in screen if line.startswith("... and"))
        assert rows(screen) == [str(number) for number in range(101, 121 - hidden)]
        assert hidden == 0 or len(screen) > lines - 3
    process.terminate()
    assert process.wait(SECONDS) == 0


def test_when_it_ends_the_whole_table_stays_on_the_usual_screen(watch, terminal, gateway):
    terminal.resize(80, 12)
    process = watch(gateway)
    terminal.read_until(lambda: any("more, 0 of them" in line for line in terminal.screen))
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 0
    terminal.read_until(lambda: any("bolt's, not the leaf's" in line for line in terminal.screen))
    assert rows([*terminal.scrolled, *terminal.screen]) == [str(number) for number in range(101, 121)]


def test_every_poll_without_json_says_that_it_does_nothing(watch, run, terminal, gateway):
    said = "Warning: --every-poll does nothing without --json."
    result = run("watch", "--every-poll", "--host", gateway.address, "--timeout", "0.5")
    assert (result.exit_code, result.stderr) == (0, f"{said}\n")
    assert said not in run("watch", "--every-poll", "--json", "--host", gateway.address, "--timeout", "0.5").stderr
