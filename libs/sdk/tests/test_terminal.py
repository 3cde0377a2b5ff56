"""The command line on real pseudo-terminals and through pipes: what is in its output, and what must never be."""

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from .conftest import Scripted
from .gateway_replies import CONVERSION, LISTING, MODEL

PROGRAM = [sys.executable, "-c", "from modelyard.cli import main; main()"]
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|9\d)(?:;\d+)*m")
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # the cursor


@dataclass(frozen=True)
class Terminal:
    """A program whose three streams are one terminal of so many columns."""

    process: subprocess.Popen[bytes]
    side: int

    def pieces(self) -> Iterator[str]:
        """What appears on it, as it comes."""
        try:
            while piece := os.read(self.side, 1 << 16):
                yield piece.decode().replace("\r\n", "\n")
        except OSError as ended:  # so Linux says that nobody holds the other side any more
            if ended.errno != errno.EIO:
                raise

    def end(self) -> str:
        seen = "".join(self.pieces())
        assert self.process.wait() == 0, seen
        return seen


@pytest.fixture
def terminal(yard: Scripted, environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(columns: int, *arguments: str, **told: str) -> Terminal:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        program = subprocess.Popen(
            [*PROGRAM, *arguments],
            env={**inherited, "TERM": "xterm-256color", **told},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        opened.append(Terminal(program, ours))
        return opened[-1]

    yield start
    for each in opened:
        each.process.kill()
        each.process.wait()
        os.close(each.side)


def piped(*arguments: str, **told: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, *arguments], env={**os.environ, **told}, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("columns", "told"), [(40, {}), (60, {"TERM": "dumb"}), (100, {"TERM": "dumb"}), (200, {})], ids=str
)
def test_tables_fit_the_terminal_and_lose_nothing(
    terminal: Callable[..., Terminal], columns: int, told: dict[str, str]
) -> None:
    shown = STEERING.sub("", terminal(columns, "conversions", "list", **told).end())
    assert max(cell_len(line) for line in shown.splitlines()) <= columns
    cells = [line.split("  ") for line in shown.splitlines()[3:] if "─" not in line]
    wanted = ("digits 0.0.1", "onnx-int8-static", "succeeded", CONVERSION)
    assert Counter("".join(wanted).replace(" ", "")) <= Counter("".join(map("".join, cells)))
    assert (CONVERSION in shown) == (columns >= 60)


@pytest.mark.parametrize("columns", ["0", "50", "200"])
def test_columns_says_how_wide(
    yard: Scripted, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = run("models", "show", "digits").out
    assert max(cell_len(line) for line in shown.splitlines()) <= (int(columns) or 80)
    assert "".join(shown.split()).count("12") >= 32  # the digest is whole


def test_a_sentence_is_one_line(yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    picture = tmp_path / f"{'long-' * 20}name.svg"
    assert run("models", "lineage", MODEL, "--svg", str(picture)).out == f"drawn: {picture}\n"


def test_colour_is_for_those_who_want_it(terminal: Callable[..., Terminal]) -> None:
    command = ("templates", "show", "none")
    told: dict[str, dict[str, str]] = {"yes": {}, "no": {"NO_COLOR": "1"}, "dumb": {"TERM": "dumb"}}
    seen = {}
    for name, environment in told.items():
        opened = terminal(80, *command, **environment)
        seen[name] = "".join(opened.pieces())
        assert opened.process.wait() == 2
    assert COLOUR.search(seen["yes"])
    assert not COLOUR.search(seen["no"])
    assert not STEERING.search(seen["dumb"])
    assert len({STEERING.sub("", text) for text in seen.values()}) == 1


def test_json_is_json_on_a_terminal_too(terminal: Callable[..., Terminal]) -> None:
    shown = terminal(60, "import", "s3://b/x/", "--name", "digits", "--json", FORCE_COLOR="1").end()
    assert json.loads(shown)["model_id"] == MODEL


def test_colour_in_a_file_is_no_terminal(
    yard: Scripted, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card stays Markdown, as it is for every pipe."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = run("gallery", "show", LISTING).out
    assert "| name | digits |" in shown
    assert "\x1b[1mTokens" in run("tokens", "list").out


def test_a_bar_moves_only_on_a_terminal(terminal: Callable[..., Terminal], package: Path) -> None:
    command = ("import", "upload", str(package), "--name", "digits")
    seen = terminal(100, *command).end()
    assert HIDDEN in seen
    assert seen.rindex(SHOWN) > seen.rindex(HIDDEN)
    for said in (
        terminal(100, *command, TERM="dumb").end(),
        piped(*command, FORCE_COLOR="1", TTY_COMPATIBLE="1").stderr.decode(),
    ):
        assert "uploading digits: 4.9 KiB done in" in said
        assert {found[-1] for found in STEERING.findall(said)} <= {"m"}


def test_ctrl_c_gives_the_cursor_back(terminal: Callable[..., Terminal], yard: Scripted) -> None:
    yard.on(f"GET models/{MODEL}", {"model_status": "publishing"})
    opened = terminal(80, "import", "s3://b/x/", "--name", "digits")
    seen, pieces = "", opened.pieces()
    while "importing digits" not in seen:
        seen += next(pieces)
    opened.process.send_signal(signal.SIGINT)
    seen += "".join(pieces)
    assert opened.process.wait() == 130
    assert seen.rindex(SHOWN) > seen.rindex(HIDDEN)
    assert "Traceback" not in seen


def test_help_looks_as_the_tables_do(terminal: Callable[..., Terminal]) -> None:
    assert COLOUR.search(terminal(80, "models", "--help").end())
    assert not STEERING.search(piped("models", "--help", GITHUB_ACTIONS="1").stdout.decode())


def test_signs_that_the_encoding_does_not_have(yard: Scripted, environment: dict[str, str]) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    history = piped("models", "history", "digits", **ascii_only)
    assert (history.returncode, history.stderr) == (0, b"")
    assert b"publishing -> published" in history.stdout
    assert b"description: ????" in history.stdout
    assert piped("--help", **ascii_only).stdout.isascii()
    shown = piped("models", "show", "digits", "--json", **ascii_only).stdout
    assert shown.isascii()
    assert json.loads(shown)["description"] == "手写数字"
    assert b"no template '??'; see" in piped("templates", "show", "数字", **ascii_only).stderr
    assert b"accuracy >= 0.9" in piped("rules", "list", PYTHONIOENCODING="latin-1").stdout


def test_a_file_name_that_is_no_text(environment: dict[str, str], tmp_path: Path) -> None:
    """Linux gives it as it is; the message about it must still be possible."""
    ended = piped("--connection", f"{tmp_path}/\udcff.json", "models", "list")
    assert ended.returncode == 2
    assert b"?.json" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_what_is_for_copying_is_never_broken(yard: Scripted, run: Callable[..., Any]) -> None:
    shown = run("datasets", "show", "digits-held-out").out + run("models", "show", "digits").out
    assert re.findall(r"sha256:[0-9a-f]+$", shown, re.MULTILINE)
    assert {len(each) for each in re.findall(r"sha256:[0-9a-f]+(?!…)\b", shown)} == {71}
    assert max(cell_len(line) for line in shown.splitlines()) <= 80
