"""Measures of the house: ``python tests/house_measures.py [FOLDER ...]``.

Prints a table of what a reader of the code meets (how many files in a folder, how long a function,
how many circles of imports ...), each figure with the places that exceed its limit.
"""

from __future__ import annotations

import ast
import json
import signal
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("asterias", "hardware", "planners", "sim", "learning")
PACKAGES = ("asterias_nodes", "asterias_ros2")
FOLDERS = (*ROOMS, *(f"ros_ws/src/{name}" for name in PACKAGES))

# Parts of learning/ that have wings of their own.
PARTS = (
    "learning.agents",
    "learning.fast_weights",
    "learning.highway",
    "learning.policy_search",
    "learning.recordings",
    "learning.target_finding",
)

MOST_FILES = 16
MOST_LINES = 450
MOST_FUNCTION_LINES = 60
MOST_MEDIAN_LINES = 8
MOST_ANY_PERCENT = 5.0
# Files that may be longer: tables of data.
DATA_TABLES: frozenset[str] = frozenset()
# Ruff's rules for docstrings in Google style; the first line is imperative.
DOCSTRING_RULES = (
    *("--preview", "--isolated", "--line-length", "100", "--output-format", "json", "--quiet"),
    *("--config", 'lint.pydocstyle.convention="google"'),
    *("--select", "D,D401,DOC", "--ignore", "D105,D107"),
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measure:
    """One figure, its limit, and the places that are beyond it."""

    name: str
    figure: float
    limit: float | None = None
    places: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """True within the limit."""
        return self.limit is None or self.figure <= self.limit


@dataclass(frozen=True)
class Module:
    """One Python file, read and parsed."""

    path: Path
    name: str
    text: str
    tree: ast.Module = field(repr=False)

    @property
    def place(self) -> str:
        """Path as a person types it."""
        return str(self.path.relative_to(ROOT))

    @property
    def room(self) -> str:
        """Room, or part of a room that stands alone."""
        part = ".".join(self.name.split(".")[:2])
        return part if part in PARTS else self.name.split(".")[0]

    @property
    def wing(self) -> str:
        """Folder inside the room; empty for a file that lies in no wing."""
        inside = _inside(self.path)[len(self.room.split(".")) :]
        return inside[0] if len(inside) > 1 else ""

    @cached_property
    def functions(self) -> list[tuple[str, Function]]:
        """All functions with their dotted names, nested ones too."""
        return list(_functions(self.tree, ""))

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of all that is imported, wherever in the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@cache
def read_house(folders: tuple[str, ...] = FOLDERS) -> list[Module]:
    """Read all Python files below the folders."""
    modules = []
    for folder in folders:
        root = ROOT / folder
        paths = [root] if root.is_file() else sorted(root.rglob("*.py"))
        for path in paths:
            text = path.read_text(encoding="utf-8")
            name = ".".join(_inside(path)).removesuffix(".py").removesuffix(".__init__")
            modules.append(Module(path, name, text, ast.parse(text)))
    return modules


def measure(modules: Sequence[Module]) -> list[Measure]:
    """Measure everything."""
    return [
        files_per_folder(modules),
        longest_file(modules),
        *function_lengths(modules),
        any_share(modules),
        undocumented(modules),
        *docstring_mistakes(modules),
        *circles(modules),
        homonyms(modules),
        alias_homonyms(modules),
    ]


def files_per_folder(modules: Sequence[Module]) -> Measure:
    """Most Python files in one folder."""
    counts: dict[str, int] = defaultdict(int)
    for module in modules:
        counts[str(module.path.parent.relative_to(ROOT))] += 1
    places = [f"{folder}: {count}" for folder, count in counts.items() if count > MOST_FILES]
    return Measure("files per folder", max(counts.values()), MOST_FILES, places)


def longest_file(modules: Sequence[Module]) -> Measure:
    """Most lines of one file, tables of data apart."""
    lines = {m.place: len(m.text.splitlines()) for m in modules if m.place not in DATA_TABLES}
    long = sorted(((count, place) for place, count in lines.items()), reverse=True)
    places = [f"{place}: {count}" for count, place in long if count > MOST_LINES]
    return Measure("lines of a file", long[0][0], MOST_LINES, places)


def function_lengths(modules: Sequence[Module]) -> Iterator[Measure]:
    """Median, 95th percentile and greatest number of lines, docstrings among them."""
    lengths = [
        ((node.end_lineno or 0) - node.lineno + 1, f"{module.place}:{node.lineno} {name}")
        for module in modules
        for name, node in module.functions
    ]
    counts = sorted(count for count, _ in lengths)
    places = [f"{place}: {count}" for count, place in lengths if count > MOST_FUNCTION_LINES]
    yield Measure("functions", len(counts))
    yield Measure("lines of a function, median", statistics.median(counts), MOST_MEDIAN_LINES)
    yield Measure("lines of a function, 95 %", counts[int(0.95 * (len(counts) - 1))])
    yield Measure("lines of a function, most", counts[-1], MOST_FUNCTION_LINES, places)


def any_share(modules: Sequence[Module]) -> Measure:
    """Per cent of the annotations in planners/operator that are `Any`, Triton's kernels apart."""
    total, counts = 0, Counter[str]()
    for module in modules:
        if not module.name.startswith("planners.operator"):
            continue
        triton = [node for _, node in module.functions if _is_triton(node)]
        skipped = {id(inner) for node in triton for inner in ast.walk(node)}
        for node in ast.walk(module.tree):
            for annotation in _annotations(node) if id(node) not in skipped else ():
                total += 1
                if ast.unparse(annotation) in ("Any", "NDArray[Any]"):
                    counts[module.place] += 1
    share = 100 * counts.total() / total if total else 0.0
    places = [f"{place}: {count}" for place, count in counts.most_common()]
    return Measure("Any in planners/operator, %", round(share, 1), MOST_ANY_PERCENT, places)


def undocumented(modules: Sequence[Module]) -> Measure:
    """Public functions, methods and classes without a docstring."""
    places = []
    for module in modules:
        named = [*module.functions, *_classes(module.tree, "")]
        for name, node in named:
            is_private = any(part.startswith(("_", "<")) for part in name.split("."))
            if not is_private and not ast.get_docstring(node) and not _is_overload(node):
                places.append(f"{module.place}:{node.lineno} {name}")
    return Measure("public names without docstring", len(places), 0, places)


def docstring_mistakes(modules: Sequence[Module]) -> Iterator[Measure]:
    """What ruff finds in docstrings: raises without `Raises:`, and all else."""
    paths = [str(module.path) for module in modules]
    command = [sys.executable, "-m", "ruff", "check", *DOCSTRING_RULES, *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    raises, others = [], []
    for found in json.loads(done.stdout or "[]"):
        place = Path(found["filename"]).relative_to(ROOT)
        text = f"{place}:{found['location']['row']} {found['code']} {found['message']}"
        (raises if found["code"] == "DOC501" else others).append(text)
    yield Measure("undocumented raises", len(raises), 0, raises)
    yield Measure("other mistakes in docstrings", len(others), 0, others)


def circles(modules: Sequence[Module]) -> Iterator[Measure]:
    """Wings of a room, and modules anywhere, that import each other in a circle."""
    places = []
    for room, arrows in wing_arrows(modules).items():
        for circle in _circles({a: set(b) for a, b in arrows.items()}):
            lines = [
                f"{wing or '(top)'} -> {other or '(top)'} at {arrows[wing][other][0]}"
                for wing in circle
                for other in circle
                if other in arrows.get(wing, {})
            ]
            places.append(f"{room}: {'; '.join(lines)}")
    yield Measure("circles of wings", len(places), 0, places)
    known = {module.name: module for module in modules}
    between: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for _, name in module.imports():
            other = known.get(name) or known.get(name.rpartition(".")[0])
            if other is not None and other is not module:
                between[module.name].add(other.name)
    files = [" <-> ".join(circle) for circle in _circles(between)]
    yield Measure("circles of modules", len(files), 0, files)


def wing_arrows(modules: Sequence[Module]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Who imports whom inside each room: room, wing, imported wing, places.

    A package's `__init__` and a room's own `__main__` stand above their wings, so that they are
    left out, as are files at the room's top.
    """
    known = {module.name: module for module in modules}
    arrows: dict[str, dict[str, dict[str, list[str]]]] = defaultdict(lambda: defaultdict(dict))
    for module in modules:
        if not module.wing:
            continue
        for line, name in module.imports():
            other = known.get(name) or known.get(name.rpartition(".")[0])
            if other is None or other.room != module.room or other.wing in ("", module.wing):
                continue
            places = arrows[module.room][module.wing].setdefault(other.wing, [])
            places.append(f"{module.place}:{line}")
    return arrows


def homonyms(modules: Sequence[Module]) -> Measure:
    """Public class names that are defined in more than one module."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(f"{module.place}:{node.lineno}")
    places = [f"{name}: {', '.join(at)}" for name, at in sorted(found.items()) if len(at) > 1]
    return Measure("class names of two meanings", len(places), 0, places)


def alias_homonyms(modules: Sequence[Module]) -> Measure:
    """Public names of types that stand for different things in different modules."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for module in modules:
        for node in module.tree.body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                continue
            name, value = node.targets[0].id, node.value
            is_type = isinstance(value, (ast.Subscript, ast.BinOp)) and name[:1].isupper()
            if is_type and not name.isupper() and name not in found[name]:
                found[name][f"{module.place}:{node.lineno}"] = ast.unparse(value)
    places = [f"{name}: {', '.join(at)}" for name, at in sorted(found.items()) if len(at) > 1]
    return Measure("type aliases defined twice", len(places), 0, places)


def report(measures: Sequence[Measure]) -> str:
    """Return the table, and below it the places beyond the limits."""
    lines = [f"{'measure':34} {'figure':>8} {'limit':>6}", "-" * 50]
    for one in measures:
        limit = "" if one.limit is None else f"{one.limit:g}"
        mark = "" if one.is_good else "  <--"
        lines.append(f"{one.name:34} {one.figure:8g} {limit:>6}{mark}")
    for one in measures:
        if one.places and not one.is_good:
            lines += ["", f"{one.name}:", *(f"  {place}" for place in one.places)]
    return "\n".join(lines)


def _inside(path: Path) -> tuple[str, ...]:
    """Return the parts of a path from its room on."""
    parts = path.relative_to(ROOT).parts
    return parts[3:] if parts[0] == "ros_ws" else parts


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for inner in _statements(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{inner.name}", inner
            yield from _functions(inner, f"{prefix}{inner.name}.<locals>.")
        elif isinstance(inner, ast.ClassDef):
            yield from _functions(inner, f"{prefix}{inner.name}.")
        else:
            yield from _functions(inner, prefix)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Return what may hold definitions: expressions, the most of a tree, hold none."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        inner = getattr(node, name, ())
        yield from inner if isinstance(inner, list) else ()


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for inner in _statements(node):
        if isinstance(inner, ast.ClassDef):
            yield f"{prefix}{inner.name}", inner
            yield from _classes(inner, f"{prefix}{inner.name}.")


def _is_triton(node: Function) -> bool:
    return any("triton" in ast.unparse(decorator) for decorator in node.decorator_list)


def _is_overload(node: Function | ast.ClassDef) -> bool:
    return any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)


def _annotations(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
        yield node.returns
    elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
        yield node.annotation


def _circles(arrows: dict[str, set[str]]) -> Iterator[list[str]]:
    """Strongly connected groups of more than one, by reachability."""
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for other in arrows.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        reach[start] = seen
    done: set[str] = set()
    for start in sorted(arrows):
        group = sorted(o for o in reach[start] if start in reach.get(o, ()))
        if start in reach[start] and start not in done and len(group) > 1:
            done |= set(group)
            yield group


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    print(report(measure(read_house(tuple(sys.argv[1:]) or FOLDERS))))
