"""Which topics of a bag or of the running system are meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from dataclasses import dataclass

from asterias_ros2.errors import VerbError


@dataclass(frozen=True)
class TopicChoice:
    """Topics by name, type and pattern.

    Attributes:
        is_all: take every topic that nothing leaves out.
        names: to take; hidden topics are taken by their name alone.
        types: to take all topics of.
        regex: to take what contains it.
        excluded, excluded_types, exclude_regex: to leave out, whatever else says.
        hidden: take hidden topics (with a `_` before a part of the name), too.
    """

    is_all: bool = False
    names: Collection[str] = ()
    types: Collection[str] = ()
    regex: re.Pattern[str] | None = None
    excluded: Collection[str] = ()
    excluded_types: Collection[str] = ()
    exclude_regex: re.Pattern[str] | None = None
    hidden: bool = False

    def __call__(self, name: str, type_name: str) -> bool:
        """Return whether a topic is meant."""
        if name in self.excluded or type_name in self.excluded_types:
            return False
        if self.exclude_regex is not None and self.exclude_regex.search(name):
            return False
        if name in self.names:
            return True
        if not self.hidden and "/_" in name:
            return False
        by_pattern = self.regex is not None and self.regex.search(name) is not None
        return self.is_all or by_pattern or type_name in self.types


def add_choice_arguments(parser: argparse.ArgumentParser, doing: str) -> None:
    """Add the options that both `record` and `play` have.

    Args:
        parser: of the verb.
        doing: `record` or `play`, for the help.
    """
    parser.add_argument("--topics", nargs="+", default=[], help=f"topics to {doing}")
    parser.add_argument("-e", "--regex", default="", help=f"{doing} topics that contain this")
    parser.add_argument("--exclude-topics", nargs="+", default=[], help="topics to leave out")
    parser.add_argument(
        "-x", "--exclude-regex", default="", help="leave out topics that contain this"
    )


def pattern(text: str, option: str) -> re.Pattern[str] | None:
    """Return a regular expression; None for an empty one.

    Raises:
        VerbError: it is none.
    """
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise VerbError(f"{option} {text!r} is no regular expression: {error}") from None
