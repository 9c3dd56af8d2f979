"""Planners and weights by name."""

from __future__ import annotations

import re
from pathlib import Path

from asterias.arrays import Cell
from asterias.errors import UserError
from planners.mazes.action_sets import NEWS, Moves
from planners.networks.weights import WEIGHTS_FOLDER
from planners.planning.exact import EXACT, ExactPlanner
from planners.planning.learned import LearnedPlanner
from planners.planning.types import Planner


def find_weights(name: str, size: int) -> Path:
    """Return the weight file that a name stands for.

    Args:
        name: a path to a ``.safetensors`` file; the stem of one in ``planners/weights``, such as
            dt_vin_35; or a model's name, such as dt_vin: its weights for the smallest size that
            covers the map, else for the largest there is.
        size: cells of the map's longer side.

    Raises:
        UserError: there is none; the message lists what there is.
    """
    if name.endswith(".safetensors"):
        return Path(name)
    if (WEIGHTS_FOLDER / f"{name}.safetensors").is_file():
        return WEIGHTS_FOLDER / f"{name}.safetensors"
    sizes = {}
    for path in WEIGHTS_FOLDER.glob(f"{name}_*.safetensors"):
        if match := re.fullmatch(re.escape(name) + r"_(\d+)", path.stem):
            sizes[int(match[1])] = path
    if not sizes:
        known = ", ".join([*EXACT, *sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.s*"))])
        raise UserError(
            f"there is no planner {name!r}: choose {known}, a model's name such as dt_vin, or a "
            "file that ends in .safetensors."
        )
    return sizes[min((s for s in sizes if s >= size), default=max(sizes))]


def make_planner(
    name: str,
    size: int = 0,
    depth: int = 0,
    device: str = "auto",
    *,
    moves: Moves | None = None,
) -> Planner:
    """Return a planner by name.

    Args:
        name: a_star, bfs, or what :func:`find_weights` knows for this size.
        size: cells of the map's longer side.
        depth: layers of a network; 0 goes as deep as needed.
        device: of a network: cpu, cuda or auto.
        moves: that it must plan with; None takes those of the weights, and four for a search.

    Raises:
        UserError: the weights have other moves, or there are none of the name.
    """
    if name in EXACT:
        return ExactPlanner(name, moves or NEWS)
    planner = LearnedPlanner.load(find_weights(name, size), depth, device)
    if moves is not None and planner.moves is not moves:
        raise UserError(
            f"{name} plans with the moves {planner.moves.name!r}, not {moves.name!r}: choose other "
            "weights, or a_star."
        )
    return planner


def parse_cell(text: str, name: str) -> Cell:
    """Return (row, column) from 'R,C'.

    Raises:
        UserError: it is no pair of whole numbers.
    """
    try:
        row, column = (int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{name} is {text!r}: give row and column, as in 1,1.") from None
    return row, column
