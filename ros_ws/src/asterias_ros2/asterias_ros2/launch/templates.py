r"""Texts with `$(…)` in them: how launch files spell them, without yet giving them a value.

The grammar is that of ROS 2's XML front end:

- outside `$(…)` everything is text; a backslash makes the next character plain: `\$(x)` is text;
- arguments are separated by exactly one space;
- an argument is a bare word or is quoted as a whole, with `'` or `"`; it may hold further `$(…)`;
- inside quotes, spaces and brackets are plain; in the arguments of a `$(…)` inside quotes there is
  no further quoting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from asterias_ros2.errors import LaunchError

# More than any real file has, and far from where Python's stack ends.
MOST_NESTED_CALLS = 50
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Text:
    """Literal text, already without its backslashes."""

    text: str


@dataclass(frozen=True)
class Call:
    """One `$(name argument …)`."""

    name: str
    arguments: tuple[Template, ...]


Template = tuple["Text | Call", ...]


def unescape(text: str) -> str:
    """Return the text without the backslash before each character it protects."""
    return re.sub(r"\\(.)", r"\1", text)


def parse_template(text: str) -> Template:
    """Return the literal parts and calls of an attribute's text.

    A LaunchError names the column of the first thing that does not follow the grammar.
    """
    return _Reader(text).template()


class _Reader:
    """A recursive-descent reader; `position` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def template(self) -> Template:
        if not self.text:
            return (Text(""),)
        parts: list[Text | Call] = []
        while self.position < len(self.text):
            parts.append(self.call("") if self.at_call() else self.literal(word=False, quotes=""))
        return tuple(parts)

    def call(self, quote: str) -> Call:
        """Return `$(name argument …)`; `quote` is the quote it stands in, or empty.

        Raises:
            LaunchError: calls are nested too deep.
        """
        start = self.position
        self.depth += 1
        if self.depth > MOST_NESTED_CALLS:
            raise LaunchError(f"'$(' is nested more than {MOST_NESTED_CALLS} deep")
        self.position += len("$(")
        name = NAME.match(self.text, self.position)
        if name is None:
            raise self.error("expected a name right after '$('", start)
        self.position = name.end()
        arguments: list[Template] = []
        while self.peek() == " ":
            self.position += 1
            arguments.append(self.argument(quote))
        if self.peek() != ")":
            raise self.error("this '$(' is not closed by ')' after its arguments", start)
        self.position += 1
        self.depth -= 1
        return Call(name.group(), tuple(arguments))

    def argument(self, quote: str) -> Template:
        """Return one argument, quoted as a whole or bare."""
        if not quote and self.peek() in ("'", '"'):
            return self.quoted()
        quotes = quote or "'\""
        parts: list[Text | Call] = []
        while self.at_call() or self.plain(word=True, quotes=quotes):
            in_call = self.at_call()
            parts.append(self.call(quote) if in_call else self.literal(word=True, quotes=quotes))
        if not parts:
            raise self.error("expected an argument; arguments are separated by one space")
        return tuple(parts)

    def quoted(self) -> Template:
        """Return a whole argument in quotes; it may be empty."""
        start = self.position
        quote = self.peek()
        self.position += 1
        parts: list[Text | Call] = []
        while self.peek() != quote:
            if not self.peek():
                raise self.error(f"this {quote} is not closed", start)
            parts.append(
                self.call(quote) if self.at_call() else self.literal(word=False, quotes=quote)
            )
        self.position += 1
        return tuple(parts)

    def literal(self, *, word: bool, quotes: str) -> Text:
        """Return the longest run of literal characters."""
        start = self.position
        while length := self.plain(word=word, quotes=quotes):
            self.position += length
        return Text(unescape(self.text[start : self.position]))

    def plain(self, *, word: bool, quotes: str) -> int:
        """Return how many characters here are literal: none, one or, for an escaped quote, two."""
        character = self.peek()
        following = self.text[self.position + 1 : self.position + 2]
        escaped = self.position > 0 and self.text[self.position - 1] == "\\"
        if character == "$":
            return int(escaped or following != "(")
        if character == "\\" and following and following in quotes:
            return 2
        if word and character in ("(", ")"):
            return int(escaped)
        return int(character != "" and character not in quotes and not (word and character == " "))

    def at_call(self) -> bool:
        escaped = self.position > 0 and self.text[self.position - 1] == "\\"
        return not escaped and self.text.startswith("$(", self.position)

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def error(self, message: str, position: int | None = None) -> LaunchError:
        column = (self.position if position is None else position) + 1
        return LaunchError(f"{message} (column {column} of {self.text!r})")
