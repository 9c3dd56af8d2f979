"""Pages that are made from the code: commands, launch files, nodes, interfaces, descriptions."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import runpy
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from asterias.__main__ import ROOMS
from asterias.cli import Commands, LazyCommand, summary_of

HELP_COLUMNS = "100"
KINDS = (("msg", "Messages"), ("srv", "Services"), ("action", "Actions"))


def reference_pages(root: Path, with_commands: bool = True) -> dict[str, str]:
    """Return the text of each generated page by its place.

    Args:
        root: of the checkout.
        with_commands: make the pages of commands, too.
    """
    pages = {
        "reference/launch_files.md": launch_page(root / "launch"),
        "reference/nodes.md": nodes_page(root / "ros_ws/src/asterias_nodes/asterias_nodes"),
        "reference/interfaces.md": interfaces_page(root / "ros_ws/src/asterias_interfaces"),
        "reference/descriptions.md": descriptions_page(root / "launch" / "robots"),
    }
    if with_commands:
        pages |= {f"reference/options_{room}.md": commands_page(room) for room in ROOMS}
    return pages


# -- commands


def commands_page(room: str) -> str:
    """Return the help text of every command of a room."""
    parts = [f"# Options of `asterias {room}`\n"]
    for words, entry in commands_of(room):
        text = help_text(words)
        parts.append(f"## {' '.join(words)}\n\n{summary_of(entry)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def commands_of(room: str) -> Iterator[tuple[list[str], type | LazyCommand]]:
    """Yield the words of every command of a room, those of its parts included, and its entry."""
    module = importlib.import_module(f"{room.replace(' ', '.').replace('-', '_')}.__main__")
    commands: Commands = module.COMMANDS
    for name, entry in commands.items():
        if isinstance(entry, LazyCommand) and entry.target.endswith("__main__:main"):
            yield from commands_of(f"{room} {name}")
        elif not summary_of(entry).startswith("The earlier name of"):
            yield [*room.split(), name], entry


def help_text(words: list[str]) -> str:
    """Return what ``asterias WORDS --help`` prints."""
    main = importlib.import_module("asterias.__main__").main
    output = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = HELP_COLUMNS
    try:
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            main([*words, "--help"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return output.getvalue().strip()


# -- ROS


def launch_page(folder: Path) -> str:
    """Return every launch file with its arguments."""
    parts = ["# Launch files\n", "Each is started as `ros2 launch launch/NAME argument:=value`.\n"]
    for path in sorted(folder.glob("*.launch.xml")):
        text = path.read_text(encoding="utf-8")
        about = text.partition("<!--")[2].partition("-->")[0]
        rows = [
            f"| `{arg.get('name')}` | `{arg.get('default') or '(empty)'}` | {cell(arg)} |"
            for arg in ElementTree.fromstring(text).iter("arg")
            if arg.get("default") is not None
        ]
        parts.append(f"## {path.name}\n\n{one_line(about)}\n")
        parts.append("| argument | default | |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def cell(arg: ElementTree.Element) -> str:
    """Return an argument's description as the cell of a table."""
    return (arg.get("description") or "").replace("|", "\\|").replace("<", "&lt;")


def nodes_page(package: Path) -> str:
    """Return every node with its parameters, read from the source."""
    table: dict[str, str] = runpy.run_path(str(package / "nodes.py"))["NODES"]
    parts = ["# Nodes\n", "Each is started as `ros2 run asterias_nodes NAME`.\n"]
    for name, module in sorted(table.items()):
        path = package / f"{module.replace('.', '/')}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        about = one_line((ast.get_docstring(tree) or "").partition("\n\n")[0])
        parts.append(f"## {name}\n\n{about.replace('``', '`')}\n")
        rows = list(parameters(tree))
        if rows:
            parts.append(
                "| parameter | default | |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
            )
    return "\n".join(parts)


def parameters(tree: ast.Module) -> Iterator[str]:
    """Yield a row for each parameter: a field ``name: Annotated[type, "text"] = default``."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for line in (line for one in classes if one.name.endswith("Settings") for line in one.body):
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.annotation, ast.Subscript):
            continue
        inside = line.annotation.slice
        texts = [
            str(word.value)
            for word in (inside.elts if isinstance(inside, ast.Tuple) else [])
            if isinstance(word, ast.Constant) and isinstance(word.value, str)
        ]
        if texts:
            default = ast.unparse(line.value) if line.value is not None else "(must be given)"
            text = texts[0].replace("|", "\\|").replace("<", "&lt;")
            yield f"| `{ast.unparse(line.target)}` | `{default}` | {text} |"


def interfaces_page(package: Path) -> str:
    """Return the definition of every message, service and action."""
    parts = [
        "# Messages, services, actions\n",
        "They belong to the package `asterias_interfaces`.\n",
    ]
    for kind, title in KINDS:
        parts.append(f"## {title}\n")
        for path in sorted((package / kind).glob(f"*.{kind}")):
            text = path.read_text(encoding="utf-8").strip()
            parts.append(f"### {path.stem}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def descriptions_page(folder: Path) -> str:
    """Return the robot descriptions that come with the package."""
    parts = ["# Robot descriptions\n"]
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8").strip()
        parts.append(f"## {path.stem}\n\n```yaml\n{text}\n```\n")
    return "\n".join(parts)


def one_line(text: str) -> str:
    """Return a text without line breaks; what looks like a tag stays text."""
    return " ".join(text.split()).replace("<", "&lt;")
