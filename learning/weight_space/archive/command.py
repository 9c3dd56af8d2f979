"""``python -m learning archive``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from learning.target_finding.env.options import DEAD
from learning.weight_space.archive.collection import (
    ALIKE,
    Collection,
    ask_collection,
    find_policies,
    load_collection,
)
from learning.weight_space.archive.copy_runs import SETTINGS
from learning.weight_space.archive.encoder_files import SHIPPED, SavedEncoder, find_encoder
from learning.weight_space.archive.pictures import draw_map, map_places

ARCHIVE, MAP = "archive.json", "map.png"


@dataclass(frozen=True)
class Archive:
    """Ask recurrent limb policies: neighbours, a map, predicted steps and dead cameras' cost."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders that hold policies with a memory, at any depth; also single .safetensors files."""
    out: Path | None = None
    """Folder for archive.json and map.png; nothing is written if not given."""
    near: str | None = None
    """List the neighbours of this policy: its name as the table has it, or the end of it."""
    encoder: str = SHIPPED
    """Encoder that asks: the path of its file, or the one that comes with Asterias."""
    count: int = 10
    """Rows to print: the policies that are predicted to find the target soonest, or neighbours."""

    def run(self) -> int:
        """Ask, print, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if not self.folders:
            raise UserError("Name one folder of policies or more, such as runs/archive/policies.")
        if self.count < 1:
            raise UserError("--count must be 1 or more.")
        check_folder("--out", self.out)
        if self.out is not None:
            check_file("--out", self.out / ARCHIVE)
        torch.set_num_threads(1)  # the nets are tiny
        saved = find_encoder(self.encoder)
        policies = load_collection(find_policies(self.folders), saved)
        found = ask_collection(policies, saved)
        console = Console()
        if self.near is None:
            order = np.argsort(found.steps.mean(1), kind="stable")[: self.count]
            console.print(_table(found, [(int(number), None) for number in order]))
        else:
            number = self._named(found)
            rows = [(number, 1.0), *found.neighbours(number, self.count)]
            console.print(_table(found, rows))
        pairs = _alike(found)
        if pairs:
            console.print(f"{pairs} pairs of policies answer nearly alike (cosine above {ALIKE}).")
        if self.out is not None:
            self._write(found, saved)
            console.print(f"Archive and map: {self.out}")
        return 0

    def _named(self, found: Collection) -> int:
        """Return the number of the policy that ``near`` names.

        Raises:
            UserError: there is none, or more than one.
        """
        wanted, names = str(self.near), [one.name for one in found.policies]
        own = [i for i, name in enumerate(names) if name == wanted or name.endswith(f"/{wanted}")]
        if len(own) != 1:
            how = "none of the policies" if not own else f"{len(own)} policies"
            raise UserError(f"--near {self.near} names {how}; give a name as the table has it.")
        return own[0]

    def _write(self, found: Collection, saved: SavedEncoder) -> None:
        assert self.out is not None
        places = map_places(found.embeddings)
        names = [one.name for one in found.policies]
        rows = [
            {
                "policy": one.name,
                "cell": one.cell,
                "predicted_steps": _by_setting(found.steps[i]),
                "dead_cameras_cost": round(float(found.cost[i]), 3),
                "neighbours": [
                    [names[other], round(cosine, 4)] for other, cosine in found.neighbours(i, 5)
                ],
                "place": np.round(places[i], 4).tolist(),
                "embedding": np.round(found.embeddings[i], 5).tolist(),
            }
            for i, one in enumerate(found.policies)
        ]
        about = {"encoder": self.encoder, "held_out": saved.card.get("held_out", {})}
        write_json(self.out / ARCHIVE, {**provenance(), **about, "policies": rows})
        cells = [one.cell for one in found.policies]
        short = [Path(name).stem for name in names]
        draw_map(short, cells, places, (found.steps[:, 0], found.cost), self.out / MAP)


def _by_setting(steps: Any) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in zip(SETTINGS, steps, strict=True)}


def _alike(found: Collection) -> int:
    likeness = found.likeness()
    return int((likeness[np.triu_indices(len(likeness), 1)] > ALIKE).sum())


def _table(found: Collection, rows: Sequence[tuple[int, float | None]]) -> Table:
    table = Table(title="Steps to the target, predicted from answers alone")
    table.add_column("policy", overflow="fold")
    for heading in ("cell", *(f"dead: {DEAD[faults]}" for faults in SETTINGS), "cost", "likeness"):
        table.add_column(heading)
    for number, cosine in rows:
        one, steps = found.policies[number], found.steps[number]
        nearest = found.neighbours(number, 1)
        other = [f"{like:.3f} {found.policies[i].name}" for i, like in nearest]
        table.add_row(
            one.name,
            one.cell,
            *(f"{value:.2f}" for value in steps),
            f"{found.cost[number]:+.2f}",
            "".join(other) if cosine is None else f"{cosine:.3f}",
        )
    return table
