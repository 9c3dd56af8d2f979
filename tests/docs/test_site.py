"""The manual is built without a warning and without a network, and its reference is whole."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from docs.site.reference import commands_of, help_text, nodes_page, reference_pages
from docs.site.staging import Page, page_text, stage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as MkDocs gets them, without help texts, which take long."""
    return stage(tmp_path_factory.mktemp("site"), with_commands=False)


@pytest.mark.skipif(
    importlib.util.find_spec("material") is None,
    reason="the manual needs MkDocs: the extra 'docs' (make test-all)",
)
@pytest.mark.timeout(300)
def test_the_manual_is_built_strictly_and_loads_nothing_from_elsewhere(
    staged: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(staged)]
    done = subprocess.run(
        [*command, "-d", str(tmp_path)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "film.webp" in page and (tmp_path / "explanation" / "comparison.html").is_file()
    loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"((?:https?:)?//[^\"]+)", page)
    assert loaded == []


def test_links_out_of_the_documents_become_files_of_the_site(tmp_path: Path) -> None:
    page = Page(PurePosixPath("docs/a/b.md"), PurePosixPath("a/b.md"))
    text = (
        "[x](../../LICENSE) [y](../../results) [z](http://a.b/c)\n"
        "```bash run timeout=3\n[n](o)\n```\n"
    )
    mended = page_text(text, page, [page], tmp_path)
    assert mended == "[x](../files/LICENSE) y [z](http://a.b/c)\n```bash\n[n](o)\n```\n"
    assert (tmp_path / "files" / "LICENSE").is_file()


def test_every_node_launch_argument_and_message_is_in_the_reference() -> None:
    pages = reference_pages(ROOT, with_commands=False)
    launch = pages["reference/launch_files.md"]
    for path in (ROOT / "launch").glob("*.launch.xml"):
        assert f"## {path.name}" in launch
    assert "| `real_time_factor` | `1.0` | simulated seconds per second" in launch
    for path in (ROOT / "ros_ws/src/asterias_interfaces").glob("*/*.*"):
        assert f"### {path.stem}\n" in pages["reference/interfaces.md"]
    assert "| `rate_hz` | `50.0` |" in nodes_page(ROOT / "ros_ws/src/asterias_nodes/asterias_nodes")
    assert "## limb_p1" in pages["reference/descriptions.md"]


def test_help_texts_of_all_rooms_are_found() -> None:
    words = [" ".join(words) for words, _ in commands_of("learning")]
    assert "learning recordings export" in words and "learning film" in words
    assert "learning babble" not in words, "an earlier name"
    assert "usage: asterias sim view" in help_text(["sim", "view"])
