"""Learned edges in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from asterias.files import write_json
from learning.agents.graph.graph import Edge


def save_edges(path: Path, edges: Iterable[Edge], probabilities: Mapping[Edge, float]) -> None:
    """Write the edges of a realised graph, and what each potential edge's probability was."""
    chances = [[*edge, round(chance, 4)] for edge, chance in probabilities.items()]
    write_json(path, {"edges": [list(edge) for edge in edges], "probabilities": chances})


def load_edges(path: Path) -> tuple[Edge, ...]:
    """Read the edges; raises ``ValueError`` naming a file that is no such graph."""
    try:
        return tuple((str(a), str(b)) for a, b in json.loads(path.read_text("utf-8"))["edges"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no learned graph; let optimise write one.") from error
