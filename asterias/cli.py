"""How the commands of all rooms are run, and what a mistake is answered with.

``python -m ROOM COMMAND`` and ``asterias ROOM COMMAND`` both end here. What a person can cure is
one sentence on stderr and exit code 2; Ctrl-C is 130, as in a shell; a reader that has gone
(``| head``) ends a command silently.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asterias.errors import AsteriasError, DescriptionError, UserError, describe_os_error

OK, MISTAKE, INTERRUPTED = 0, 2, 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE
SHOW_TRACEBACK = "ASTERIAS_TRACEBACK"
HELP = ("-h", "--help")
# NumPy's global generator, which stable-baselines3 seeds, takes 32 bits.
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class LazyCommand:
    """A command whose module is imported when it is asked for.

    Attributes:
        target: ``module:attribute`` of a dataclass with ``run() -> int``, or of a function that
            takes the arguments and the program's name and returns the exit code.
        summary: one line for the list of commands.
    """

    target: str
    summary: str

    def load(self) -> Any:
        """Return the class or function, imported now."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


Commands = Mapping[str, type | LazyCommand]


def run_command(
    commands: Commands,
    program: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run the command that the command line names.

    Args:
        commands: dataclasses with ``run() -> int`` by name, whose fields are the options.
        program: what a person types before the command, such as ``python -m learning``.
        description: for ``--help``.
        arguments: the command and its options; None takes this process's own.

    Returns:
        The command's exit code; 2 for a mistake, 130 when it was interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)

    def dispatch() -> int:
        if not words or words[0] in HELP:
            usage = _usage(commands, program, description)
            print(usage, file=sys.stdout if words else sys.stderr)
            return OK if words else MISTAKE
        name = _known_name(words[0], commands)
        if name is None:
            print(_unknown(words[0], commands, program), file=sys.stderr)
            return MISTAKE
        return _run_one(commands[name], words[1:], f"{program} {name}")

    return answer_mistakes(dispatch)


def answer_mistakes(work: Callable[[], int]) -> int:
    """Run something that a person has asked for, and answer mistakes in one sentence.

    With ``ASTERIAS_TRACEBACK=1`` in the environment, the place of a mistake is shown, too.

    Args:
        work: does it, and returns the exit code.

    Returns:
        Its exit code; 2 for a mistake, 130 when it was interrupted, 141 when nobody reads.
    """
    try:
        with _flushed_output():
            return work()
    except BrokenPipeError:
        _discard_output()
        return READER_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (AsteriasError, ValueError, OSError, NotImplementedError) as error:
        if os.environ.get(SHOW_TRACEBACK, "") not in ("", "0"):
            traceback.print_exc()
        print(describe_mistake(error), file=sys.stderr)
        return MISTAKE


def describe_mistake(error: BaseException) -> str:
    """Return the sentence for an error, on one line; all mistakes of a description, a line each."""
    if isinstance(error, DescriptionError):
        return str(error)
    text = describe_os_error(error) if isinstance(error, OSError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def plain_text(text: str | None) -> str:
    """Return a docstring as a terminal shows it, without the marks of reStructuredText."""
    without_roles = re.sub(r":[a-z]+:`~?([^`]*)`", r"\1", inspect.cleandoc(text or ""))
    return without_roles.replace("``", "")


def summary_of(entry: type | LazyCommand) -> str:
    """Return the line for the list of commands: the first of the docstring."""
    if isinstance(entry, LazyCommand):
        return entry.summary
    return plain_text(entry.__doc__).partition("\n")[0]


def _run_one(entry: type | LazyCommand, words: list[str], program: str) -> int:
    command = entry.load() if isinstance(entry, LazyCommand) else entry
    if not isinstance(command, type):
        return int(command(words, program))
    import tyro  # a twentieth of a second, which a list of commands does without

    parsed: Any = tyro.cli(
        command, args=words, prog=program, description=plain_text(command.__doc__)
    )
    return int(parsed.run() or OK)


def _known_name(word: str, commands: Commands) -> str | None:
    """Return the command that is meant; ``set_id`` is ``set-id``."""
    dashed = word.replace("_", "-")
    return next((name for name in commands if name.replace("_", "-") == dashed), None)


def _unknown(word: str, commands: Commands, program: str) -> str:
    listed = f"`{program} --help` lists them"
    if word.startswith("-"):
        return f"The command comes before its options; {listed}."
    near = difflib.get_close_matches(word, commands, n=1)
    suggestion = f"did you mean {near[0]}? " if near else ""
    return f"{program} has no command {word!r}; {suggestion}{listed}."


def _usage(commands: Commands, program: str, description: str | None) -> str:
    lines = [f"usage: {program} COMMAND ...", "", _without_program(description, program), ""]
    width = max(len(name) for name in commands)
    lines += [f"  {name:{width}}  {summary_of(entry)}" for name, entry in commands.items()]
    lines += ["", f"`{program} COMMAND --help` explains the options of a command."]
    return "\n".join(lines)


def _without_program(description: str | None, program: str) -> str:
    """Return the description; its module's name in front is what the usage has said."""
    text = re.sub(r"^(python -m [\w.]+|asterias): ", "", plain_text(description))
    return text[:1].upper() + text[1:]


@contextmanager
def _flushed_output() -> Iterator[None]:
    """Flush at the end, while a reader that has gone can still be answered.

    Raises:
        SystemExit: the block has asked for the end, as after a help text.
    """
    try:
        yield
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _discard_output() -> None:
    """Let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # In tests, stdout is no file.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def check_seed(seed: int) -> None:
    """Check that a seed is one.

    Raises:
        UserError: it is negative or has more than 32 bits.
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise UserError(f"--seed must be from 0 to {_LARGEST_SEED}, not {seed}.")


def check_episodes(episodes: int) -> None:
    """Check that there are episodes enough for a standard deviation.

    Raises:
        UserError: there are fewer than two.
    """
    if episodes < 2:
        raise UserError("--episodes must be 2 or more, so that there is a spread.")


def check_file(option: str, path: Path | None) -> None:
    """Check that a result file can be written, before the work whose result it holds.

    Args:
        option: as a person types it.
        path: file to be written; None where it is not asked for.

    Raises:
        UserError: it is a folder, or its folder cannot be made or written to.
    """
    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file.")
    _check_folder(option, path.absolute().parent)


def check_folder(option: str, path: Path | None) -> None:
    """Check that files can be written into a folder that may have to be made.

    A ``UserError`` says so where it is a file, or cannot be made or written to.

    Args:
        option: as a person types it.
        path: folder to be written to; None where it is not asked for.
    """
    if path is not None:
        _check_folder(option, path.absolute())


def _check_folder(option: str, folder: Path) -> None:
    """Try to write into the folder, or the nearest one above that is there; leave nothing.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        while not os.path.lexists(folder):
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        # The temporary file's own name would not help a person.
        place = type(error)(error.errno, error.strerror, str(folder))
        raise UserError(f"{option} cannot be written: {describe_os_error(place)}") from error
