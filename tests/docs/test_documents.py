"""The commands that README and docs show are run.

A block that starts with ```` ```bash run ```` is run by bash from the top of the repository, after
``source setup.bash``, one that starts with ```` ```python run ```` by its Python, and must succeed;
``timeout=SECONDS`` may follow. Other blocks are not run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DEFAULT_TIMEOUT_S = 120
BLOCK = re.compile(
    r"^```(?P<language>bash|python) run(?P<options>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "bash": lambda text: ["bash", "-c", f"source setup.bash && set -eo pipefail\n{text}"],
    "python": lambda text: [sys.executable, "-c", text],
}
TIMEOUT = re.compile(r"^ timeout=(\d+)$")


@dataclass(frozen=True)
class Block:
    """Commands of a document; ``line`` is where they start."""

    document: str
    line: int
    text: str
    timeout_s: int
    language: str = "bash"


def blocks(document: str, name: str = "README.md") -> list[Block]:
    """Return all blocks that are to be run."""
    found = []
    for match in BLOCK.finditer(document):
        options = match["options"].rstrip()
        timeout = TIMEOUT.match(options)
        if options and timeout is None:
            raise ValueError(f"{name}: '```bash run{options}' has an unknown option.")
        line = document.count("\n", 0, match.start("text")) + 1
        seconds = int(timeout[1]) if timeout else DEFAULT_TIMEOUT_S
        found.append(Block(name, line, match["text"], seconds, match["language"]))
    return found


def all_blocks() -> list[Block]:
    """Return the blocks of README and docs."""
    found = []
    for path in DOCUMENTS:
        found += blocks(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    return found


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "block", all_blocks(), ids=lambda block: f"{block.document} line {block.line}"
)
def test_commands_of_the_documents_work(block: Block) -> None:
    done = subprocess.run(
        COMMANDS[block.language](block.text),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=block.timeout_s,
    )
    assert done.returncode == 0, (
        f"{block.document}, line {block.line}:\n{block.text}\n{done.stdout}"
    )


def test_only_marked_blocks_are_run() -> None:
    document = "a\n```bash\nno\n```\n```bash run\nyes\n```\n```bash run timeout=7\nyes 2\n```\n"
    assert blocks(document) == [
        Block("README.md", 6, "yes\n", DEFAULT_TIMEOUT_S),
        Block("README.md", 9, "yes 2\n", 7),
    ]


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCUMENTS
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not target.startswith(("http:", "https:")) and not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_readme_stays_a_door() -> None:
    assert (ROOT / "README.md").stat().st_size <= 8192


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ValueError, match="timout"):
        blocks("```bash run timout=7\n```\n")
