"""The commands that the README shows are run.

A block that starts with ```` ```bash run ```` is run by bash from the top of the repository, after
``source setup.bash``, and must succeed; ``timeout=SECONDS`` may follow. Other blocks are not run.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DEFAULT_TIMEOUT_S = 120
BLOCK = re.compile(r"^```bash run(?P<options>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT = re.compile(r"^ timeout=(\d+)$")


@dataclass(frozen=True)
class Block:
    """Commands of the README; ``line`` is where they start."""

    line: int
    text: str
    timeout_s: int


def blocks(document: str) -> list[Block]:
    """All blocks that are to be run."""
    found = []
    for match in BLOCK.finditer(document):
        options = match["options"].rstrip()
        timeout = TIMEOUT.match(options)
        if options and timeout is None:
            raise ValueError(f"README: '```bash run{options}' has an unknown option.")
        line = document.count("\n", 0, match.start("text")) + 1
        seconds = int(timeout[1]) if timeout else DEFAULT_TIMEOUT_S
        found.append(Block(line, match["text"], seconds))
    return found


def readme_blocks() -> list[Block]:
    """The blocks of this project's README."""
    return blocks(README.read_text(encoding="utf-8")) if README.is_file() else []


@pytest.mark.system
@pytest.mark.timeout(0)
@pytest.mark.parametrize("block", readme_blocks(), ids=lambda block: f"line {block.line}")
def test_commands_of_the_readme_work(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-c", f"source setup.bash && set -eo pipefail\n{block.text}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=block.timeout_s,
    )
    assert done.returncode == 0, f"README, line {block.line}:\n{block.text}\n{done.stdout}"


def test_only_marked_blocks_are_run() -> None:
    document = "a\n```bash\nno\n```\n```bash run\nyes\n```\n```bash run timeout=7\nyes 2\n```\n"
    assert blocks(document) == [Block(6, "yes\n", DEFAULT_TIMEOUT_S), Block(9, "yes 2\n", 7)]


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ValueError, match="timout"):
        blocks("```bash run timout=7\n```\n")
