"""Copy the pages to where MkDocs reads them, and mend links that lead out of ``docs/``."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from docs.site.reference import reference_pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Files outside of docs/ that pages link to are copied into this folder of the site.
FILES = "files"
# Folders of docs/ in the order of the tabs, with their titles; `add_*` and others sort themselves.
SECTIONS = (
    ("tutorials", "Tutorials"),
    ("how_to", "How-to"),
    ("reference", "Reference"),
    ("explanation", "Explanation"),
    ("results", "Results"),
)
# Files at the top that are pages, too: source, page.
TOP_PAGES = (
    ("README.md", "index.md"),
    ("CONTRIBUTING.md", "contributing.md"),
    ("CHANGELOG.md", "changelog.md"),
)
_LINK = re.compile(r"(?P<start>!?\[[^\]]*\]\()(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```\w+) run[^\n]*$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A Markdown file and its place in the site, both relative."""

    source: PurePosixPath
    place: PurePosixPath


def stage(folder: Path, with_commands: bool = True) -> Path:
    """Write all pages and the configuration of MkDocs into a folder, which is emptied first.

    Args:
        folder: to write to.
        with_commands: make the page of commands, whose help texts take some seconds.

    Returns:
        The configuration file.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    listed = all_pages()
    for page in listed:
        text = (ROOT / page.source).read_text(encoding="utf-8")
        write(pages / page.place, page_text(text, page, listed, pages))
    for place, text in reference_pages(ROOT, with_commands).items():
        write(pages / place, text)
    configuration = yaml.safe_load((DOCS / "site" / "mkdocs.yml").read_text(encoding="utf-8"))
    configuration["nav"] = navigation(pages)
    path = folder / "mkdocs.yml"
    write(path, yaml.safe_dump(configuration, sort_keys=False))
    return path


def all_pages() -> list[Page]:
    """Return the Markdown files of README and docs, and their places in the site."""
    top = [Page(PurePosixPath(source), PurePosixPath(place)) for source, place in TOP_PAGES]
    below = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
    for source in map(PurePosixPath, below):
        place = source.relative_to("docs")
        top.append(Page(source, place.with_name("index.md") if place.stem == "README" else place))
    return top


def page_text(text: str, page: Page, pages: list[Page], folder: Path) -> str:
    """Return a page as MkDocs takes it; files that it links to are copied beside the pages.

    Args:
        text: Markdown.
        page: that it is.
        pages: all of them.
        folder: of the staged pages.
    """
    places = {one.source: one.place for one in pages}

    def mend(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"\w+:", target):
            return match[0]
        source = PurePosixPath(os.path.normpath(page.source.parent / target))
        place = places.get(source) or copy_file(source, folder)
        if place is None:
            return match["start"].lstrip("!").removeprefix("[").removesuffix("](")
        relative = os.path.relpath(place, page.place.parent)
        return f"{match['start']}{relative}{match['anchor'] or ''})"

    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_LINK.sub(mend, text[end : code.start()]), _FENCE.sub(r"\1", code[0])]
        end = code.end()
    return "".join(parts) + _LINK.sub(mend, text[end:])


def copy_file(source: PurePosixPath, folder: Path) -> PurePosixPath | None:
    """Copy a file of the checkout into the site.

    Returns:
        Its place; None for a folder, which a site cannot show.
    """
    if not (ROOT / source).is_file():
        return None
    place = PurePosixPath(FILES) / source
    if place.suffix == ".md":
        place = place.with_name(f"{place.name}.txt")  # not one of the manual's pages
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / source, target)
    return place


def navigation(folder: Path) -> list[Any]:
    """Return MkDocs' list of pages: the first pages, then a tab per folder of docs/."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    top = sorted(name for name in names if "/" not in name and name != "index.md")
    last = [name for name in ("contributing.md", "changelog.md") if name in top]
    first = [name for name in top if name not in last]
    start = ["index.md", *sorted(first, key=lambda name: name != "getting_started.md")]
    tabs: list[Any] = [{"Start": [entry(folder, name) for name in start]}]
    for section, title in SECTIONS:
        inside = sorted(name for name in names if name.startswith(f"{section}/"))
        inside.sort(key=lambda name: (not name.endswith("/index.md"), name))
        tabs.append({title: [entry(folder, name) for name in inside]})
    tabs.append({"Project": [entry(folder, name) for name in last]})
    return tabs


def entry(folder: Path, name: str) -> dict[str, str] | str:
    """Return a page with its first heading as title."""
    found = _TITLE.search((folder / name).read_text(encoding="utf-8"))
    return {found[1].replace("`", ""): name} if found else name


def write(path: Path, text: str) -> None:
    """Write a page; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
