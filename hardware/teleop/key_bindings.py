"""From the bytes of a terminal to keys that go down, repeat and come up.

Two dialects are understood. Every terminal sends a key's byte or escape sequence again and again
while the key is held, and nothing when it is let go. Terminals with the keyboard protocol of kitty
(kitty, foot, WezTerm, Ghostty, Alacritty, iTerm2, Konsole) report each press, repeat and release
once they are asked to: https://sw.kovidgoyal.net/kitty/keyboard-protocol.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

# Ask for: unambiguous escape codes (1), event types (2), all keys as escape codes (8).
REPORT_RELEASES = b"\x1b[>11u"
REPORT_AS_BEFORE = b"\x1b[<u"
# "Which flags are on?", then "what are you?", which every terminal answers.
ASK_SUPPORT = b"\x1b[?u\x1b[c"

LETTERS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
NUMBERS = {5: "page_up", 6: "page_down", 3: "delete", 1: "home", 4: "end"}
CODES = {27: "escape", 13: "enter", 9: "tab", 127: "backspace", 32: "space"}
CONTROL_C = "ctrl+c"
CTRL = 4

_SEQUENCE = re.compile(rb"\x1b(?:\[([0-9;:?<>=]*)([~A-Za-z])|O([A-Z]))")
_PARTIAL = re.compile(rb"\x1b(?:\[[0-9;:?<>=]*|O)?$")


class KeyEvent(Enum):
    """Event of a key."""

    DOWN = 1
    REPEAT = 2
    UP = 3


@dataclass(frozen=True)
class Key:
    """A key by name: the character it types, or one of the words in the tables above."""

    name: str
    event: KeyEvent = KeyEvent.DOWN


class KeyDecoder:
    """Decodes bytes in pieces of any length; buffers incomplete sequences.

    Attributes:
        reports_releases: the terminal has confirmed that it reports the release of keys.
    """

    def __init__(self) -> None:
        self.reports_releases = False
        self._rest = b""
        self._text = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    @property
    def is_waiting(self) -> bool:
        """Whether the start of a sequence is buffered; it may be the escape key by itself."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[Key]:
        """Append bytes.

        Returns:
            The keys in all bytes so far that are complete.
        """
        text = self._rest + data
        self._rest = b""
        keys: list[Key] = []
        while text:
            if text[0] != 0x1B:
                plain = re.match(rb"[^\x1b]+", text)
                assert plain is not None
                keys += self._plain(plain.group())
                text = text[plain.end() :]
            elif (match := _SEQUENCE.match(text)) is not None:
                keys += self._sequence(match)
                text = text[match.end() :]
            elif _PARTIAL.match(text):
                self._rest, text = text, b""
            else:  # escape, then something that continues no sequence
                keys.append(Key("escape"))
                text = text[1:]
        return keys

    def flush(self) -> list[Key]:
        """Return the escape key, if its byte is buffered and nothing has followed in time."""
        was_kept, self._rest = self._rest, b""
        return [Key("escape")] if was_kept else []

    def _plain(self, data: bytes) -> Iterator[Key]:
        for character in self._text.decode(data):
            code = ord(character)
            if code in (10, 13):
                yield Key("enter")
            elif code in CODES or code == 8:
                yield Key(CODES.get(code, "backspace"))
            elif code < 32:
                yield Key(f"ctrl+{chr(code + 96)}")
            else:
                yield Key(character.lower())

    def _sequence(self, match: re.Match[bytes]) -> Iterator[Key]:
        fields, final, shifted = (part.decode() if part else "" for part in match.groups())
        if shifted:
            if shifted in LETTERS:
                yield Key(LETTERS[shifted])
            return
        if fields.startswith("?"):
            self.reports_releases |= final == "u"
            return
        numbers, _, modifiers = fields.partition(";")
        code = int(re.match(r"\d*", numbers).group() or 1)  # type: ignore[union-attr]
        state, _, event = modifiers.partition(";")[0].partition(":")
        name = self._name(code, final, int(state or 1) - 1)
        event = {"2": KeyEvent.REPEAT, "3": KeyEvent.UP}.get(event, KeyEvent.DOWN)
        if name:
            yield Key(name, event)

    @staticmethod
    def _name(code: int, final: str, modifiers: int) -> str:
        if final in LETTERS:
            return LETTERS[final]
        if final == "~":
            return NUMBERS.get(code, "")
        if final != "u" or code > 0x10FFFF or 0xE000 <= code <= 0xF8FF:  # modifier keys, media keys
            return ""
        name = CODES.get(code, chr(code).lower() if code > 32 else "")
        return f"ctrl+{name}" if name and modifiers & CTRL else name
