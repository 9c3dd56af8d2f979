"""Parsers of the commands: verbs, common kinds of arguments, and completion of the words."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from asterias_ros2.errors import VerbError

Completer = Callable[..., Iterable[str]]
VERBS = "known_verbs"
# More names than these are not listed in a sentence.
MOST_LISTED = 20


class Verbs:
    """The verbs of a command."""

    def __init__(self, command: argparse.ArgumentParser) -> None:
        """Give a command's parser its verbs."""
        self._adding = command.add_subparsers(title="Verbs")
        command.set_defaults(**{VERBS: self._adding.choices})

    def add(self, name: str, summary: str, run: Callable[[Any], int]) -> argparse.ArgumentParser:
        """Return the parser of a verb.

        Args:
            name: as it is typed.
            summary: for the help.
            run: takes the parsed arguments and returns the exit code.
        """
        parser = self._adding.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        parser.set_defaults(run=run)
        return parser


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """Return a sentence for a name that is not known, with the nearest one that is.

    Args:
        name: as it was typed.
        known: what might have been meant.
        what: the kind of thing, such as `verb of ros2 topic`.
    """
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    listed = f" (there is: {', '.join(choices)})" if len(choices) <= MOST_LISTED else ""
    return f"'{name}' is no {what}{hint}{listed}"


def check_verb(words: Sequence[str], command: argparse.ArgumentParser, name: str) -> None:
    """Refuse the word after a command where it is none of its verbs.

    Raises:
        VerbError: with the nearest verb.
    """
    known = command.get_default(VERBS)
    after = [word for word in words[words.index(name) + 1 :] if not word.startswith("-")]
    if known and after and after[0] not in known:
        raise VerbError(nearest(after[0], known, f"verb of ros2 {name}"))


def completed(action: argparse.Action, completer: Completer) -> argparse.Action:
    """Return an argument, completed by what a function offers from now on."""
    action.completer = completer  # type: ignore[attr-defined]
    return action


def positive_int(text: str) -> int:
    """Return a number above 0, as an argument's type."""
    return int(_checked(text, int, lambda value: value > 0, "a positive integer"))


def unsigned_int(text: str) -> int:
    """Return a number of 0 or more, as an argument's type."""
    return int(_checked(text, int, lambda value: value >= 0, "a non-negative integer"))


def positive_float(text: str) -> float:
    """Return a number above 0, as an argument's type."""
    return float(_checked(text, float, lambda value: 0 < value < float("inf"), "positive"))


def _checked(
    text: str, kind: Callable[[str], Any], is_right: Callable[[Any], bool], words: str
) -> Any:
    try:
        value = kind(text)
    except ValueError:
        _refuse(words)
    return value if is_right(value) else _refuse(words)


def _refuse(words: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"value must be {words}")
