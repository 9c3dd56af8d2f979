"""The command lines of all rooms: one answer for one mistake, and help in plain text."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from asterias import __version__
from asterias.__main__ import ROOMS, main
from asterias.cli import (
    READER_GONE,
    Commands,
    LazyCommand,
    answer_mistakes,
    plain_text,
    run_command,
    summary_of,
)
from asterias.errors import DeviceError, UserError

MAINS = [
    *(name for name in ROOMS),
    "learning recordings",
    "learning agents",
    "learning doom-maze",
]


def commands_of(room: str) -> Commands:
    """The commands of a room, or of a part of it, as its `__main__` lists them."""
    module = importlib.import_module(f"{room.replace(' ', '.').replace('-', '_')}.__main__")
    commands: Commands = module.COMMANDS
    return commands


ALL = [
    f"{room} {name}"
    for room in MAINS
    for name in commands_of(room)
    if f"{room} {name}" not in MAINS
]


@dataclass(frozen=True)
class Count:
    """Count ``to`` a number, of :class:`int`.

    A second paragraph.
    """

    to: int = 3
    """Last number."""

    def run(self) -> int:
        """Count."""
        if self.to < 0:
            raise UserError(f"--to takes 0 or more,\nnot {self.to}.")
        print(*range(self.to + 1))
        return 5


COUNTING: Commands = {"count-up": Count, "late": LazyCommand("test_gone:X", "Never there.")}


# A program of one command, which imports no room.
COUNTING_ALONE = """
import sys
from dataclasses import dataclass
from asterias.cli import run_command

@dataclass
class Count:
    "Count."
    to: int
    def run(self):
        print(*range(self.to + 1))
        return 5

sys.exit(run_command({"count-up": Count}, "count", None, sys.argv[1:]))
"""


def test_a_command_is_run_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(COUNTING, "count", None, ["count-up", "--to", "2"]) == 5
    assert run_command(COUNTING, "count", None, ["count_up", "--to", "1"]) == 5
    assert capsys.readouterr().out == "0 1 2\n0 1\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["count-up", "--to", "-1"], "--to takes 0 or more, not -1."),
        (["count"], "numbers has no command 'count'; did you mean count-up? `numbers --help` "),
        (["zzz"], "numbers has no command 'zzz'; `numbers --help` lists them."),
        (["--to", "2"], "The command comes before its options; `numbers --help` lists them."),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(COUNTING, "numbers", None, words) == 2
    caught = capsys.readouterr()
    assert caught.err.startswith(sentence) and caught.err.count("\n") == 1 and not caught.out


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (UserError("Name a robot."), 2, "Name a robot.\n"),
        (DeviceError("The bus is silent."), 2, "The bus is silent.\n"),
        (ValueError("--size takes 5 or more."), 2, "--size takes 5 or more.\n"),
        (FileNotFoundError(2, "x", "a.npz"), 2, "a.npz: there is no such file or folder.\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), READER_GONE, ""),
    ],
)
def test_each_kind_of_mistake_has_its_answer(
    error: BaseException, status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert answer_mistakes(work) == status
    assert capsys.readouterr().err == sentence


def test_the_place_of_a_mistake_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASTERIAS_TRACEBACK", "1")
    assert run_command(COUNTING, "numbers", None, ["count-up", "--to", "-1"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_list_of_commands_imports_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(COUNTING, "numbers", "``python -m numbers``: count.", ["--help"]) == 0
    out = capsys.readouterr().out
    assert "\n\nCount.\n\n" in out and "  late      Never there.\n" in out
    assert "  count-up  Count to a number, of int.\n" in out
    assert run_command(COUNTING, "numbers", None, []) == 2
    assert "usage: numbers COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("words", [words.split() for words in ALL], ids=ALL)
def test_help_is_plain_text(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0 and f"usage: asterias {' '.join(words)}" in out
    assert "``" not in out and ":class:" not in out and "::" not in out


@pytest.mark.parametrize("room", MAINS)
def test_the_list_of_commands_says_what_each_is_for(room: str) -> None:
    for name, entry in commands_of(room).items():
        summary = summary_of(entry)
        assert summary and summary[0].isupper(), f"{room} {name}"
        earlier_name = re.match(r"The earlier name of ([\w-]+)\.", summary)
        if earlier_name:
            other = commands_of(room)[earlier_name[1]]
            assert isinstance(entry, LazyCommand) and isinstance(other, LazyCommand)
            assert entry.target == other.target
        elif isinstance(entry, LazyCommand):
            command = entry.load()
            if isinstance(command, type):
                assert summary == plain_text(command.__doc__).partition("\n")[0]


@pytest.mark.parametrize(
    "words",
    [
        "sim view --robot /nowhere/r.yaml",
        "hardware doctor --robot /nowhere/r.yaml",
        "planners evaluate --weights bfs --mazes /nowhere/m.npz",
        "learning report /nowhere/x.md",
        "learning verdict /nowhere",
        "learning recordings check /nowhere",
        "learning agents draw /nowhere/r.json /nowhere/p.png",
    ],
)
def test_a_file_that_is_not_there_is_one_sentence_in_every_room(
    words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and error.rstrip().endswith(".") and "Errno" not in error
    assert "/nowhere" in error or "bfs" in error


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"asterias {__version__}\n"


def test_asking_for_help_loads_no_room() -> None:
    code = (
        "import sys, asterias.__main__ as m; m.main(['--help']); "
        "print([r for r in sys.modules if r.split('.')[0] in "
        "('hardware', 'sim', 'planners', 'learning', 'tyro', 'numpy')], file=sys.stderr)"
    )
    started = time.process_time(), os.times().children_user + os.times().children_system
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used_s = os.times().children_user + os.times().children_system - started[1]
    assert done.stderr == "[]\n" and all(room in done.stdout for room in ROOMS)
    assert used_s < 0.4  # twice what it may take on a quiet machine


def test_a_reader_that_has_gone_ends_a_command_silently() -> None:
    # More than a pipe holds, so that the writer is caught while it writes.
    for number in ("5", "100000"):
        process = subprocess.Popen(
            [sys.executable, "-c", COUNTING_ALONE, "count-up", "--to", number],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == READER_GONE
        process.stderr.close()
