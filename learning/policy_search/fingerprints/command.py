"""``python -m learning fingerprint``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import OnProgress, Stages, progress_bars
from asterias.provenance import provenance
from learning.policy_search.common.ranks import rank_correlation
from learning.policy_search.fingerprints import picture_book, study
from learning.policy_search.fingerprints.cloning import compare_states
from learning.policy_search.fingerprints.policy_group import PolicyGroup, PolicyLayers
from learning.target_finding.env.options import (
    DeadCameras,
    TargetFindingOptions,
    with_command_range,
)

FINGERPRINTS, BOOK = "fingerprints.json", "picture_book.png"


@dataclass(frozen=True)
class Fingerprint:
    """Ask saved policies in a few learned states: near-duplicates, predicted steps, pictures."""

    policies: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Names or paths of policies that find the target."""
    out: Path
    """Folder for fingerprints.json and picture_book.png; the learned states are kept there, and
    asked again the next time, so that fingerprints can be compared."""
    states: int = 12
    """Number of probing states."""
    faults: Annotated[DeadCameras, tyro.conf.arg(aliases=["--dead-cameras"])] = "kill1"
    """Cameras dead in each episode, as in train."""
    population: int = 300
    """Noisy relatives of the policies, which the states are learned on."""
    poses: int = 12_000
    """Poses of the nearest-pose copy of the task, in which these relatives search."""
    updates: int = 1500
    """Steps of learning."""
    measure: int = 0
    """Episodes of each policy in the simulation, to set beside the prediction."""
    clones: tuple[int, ...] = ()
    """Also clone the policies from so many states: learned ones, random ones, k-means."""
    seeds: int = 3
    """Repetitions of the cloning."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/learning/fingerprints.json."""
    picture: Path | None = None
    """Copy of the picture book, for example results/learning/picture_book.png."""

    def run(self) -> int:
        """Make fingerprints, print them, write and draw.

        Returns:
            The exit code.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are small
        options = with_command_range(TargetFindingOptions(faults=self.faults))  # type: ignore[arg-type]
        saved = study.load_policies(self.policies, options)
        layers = [
            PolicyLayers.of(policy, name) for name, policy in zip(self.policies, saved, strict=True)
        ]
        with progress_bars(unit="") as progress:
            stages = Stages(progress)
            copy = study.copy_of_the_task(self.out, options, self._about, stages)
            made, population = study.fingerprints(
                self.out, self.policies, layers, copy, self._about, stages
            )
            measured = self._measured(saved, options, stages)
            cloned = []
            if self.clones:
                teachers = PolicyGroup(layers)
                cloned = compare_states(
                    teachers, population, copy, self.clones, self.seeds, self.updates
                )
        told = {**_told(made, measured), "clones": cloned}
        write_json(self.out / FINGERPRINTS, {**provenance(self.seed), **told})
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **told})
        book = picture_book.draw_book(made.pages(), options)
        for path in filter(None, (self.out / BOOK, self.picture)):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.cvtColor(book, cv2.COLOR_RGB2BGR))
        _print(told)
        Console().print(f"Fingerprints and picture book: {self.out}")
        return 0

    @property
    def _about(self) -> study.FingerprintOptions:
        return study.FingerprintOptions(
            states=self.states,
            population=self.population,
            poses=self.poses,
            updates=self.updates,
            faults=self.faults,
            seed=self.seed,
        )

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        if not self.policies:
            raise UserError("Name one policy or more, such as ppo_kill1 or runs/pgpe.")
        if len(set(self.policies)) != len(self.policies):
            raise UserError("A policy is named twice; name each once.")
        check_seed(self.seed)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        least = {"states": 1, "population": 10, "poses": 100, "updates": 1, "seeds": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise UserError(f"--{name} must be {value} or more.")
        if self.measure < 0 or any(count < 1 for count in self.clones):
            raise UserError("--measure must be 0 or more, --clones 1 or more each.")

    def _measured(
        self, saved: list[Any], options: TargetFindingOptions, on_progress: OnProgress
    ) -> list[float] | None:
        if not self.measure:
            return None
        return study.measured_steps(saved, options, self.measure, on_progress)


def _told(made: study.Fingerprints, measured: list[float] | None) -> dict[str, Any]:
    policies = [
        {
            "policy": name,
            "predicted_steps": round(float(made.predicted[i]), 3),
            **({"measured_steps": measured[i]} if measured else {}),
            "answers": np.round(made.answers[i], 3).tolist(),
        }
        for i, name in enumerate(made.names)
    ]
    told: dict[str, Any] = {
        "states": np.round(made.states, 4).tolist(),
        "matters_steps": np.round(made.matters, 4).tolist(),
        "held_out": made.held_out,
        "policies": policies,
        "distances": np.round(made.distances(), 4).tolist(),
        "alike": [list(pair) for pair in made.alike()],
    }
    if measured and len(measured) > 2:
        correlation = rank_correlation(made.predicted, np.array(measured))
        told["rank_correlation"] = round(correlation, 3)
    return told


def _print(told: dict[str, Any]) -> None:
    table = Table(title="Fingerprints")
    for heading in ("policy", "predicted steps", "measured", "nearest other policy", "distance"):
        table.add_column(heading)
    names = [row["policy"] for row in told["policies"]]
    for i, row in enumerate(told["policies"]):
        others = [(apart, names[j]) for j, apart in enumerate(told["distances"][i]) if j != i]
        nearest = min(others, default=(0.0, ""))
        table.add_row(
            row["policy"],
            f"{row['predicted_steps']:.2f}",
            f"{row['measured_steps']:.2f}" if "measured_steps" in row else "",
            nearest[1],
            f"{nearest[0]:.3f}" if others else "",
        )
    console = Console()
    console.print(table)
    for one, other, apart in told["alike"]:
        console.print(
            f"{one} and {other} do nearly the same: {apart:.3f} of the largest increment."
        )
    held = told["held_out"]
    console.print(
        f"Of {held['policies']} policies held out: rank correlation {held['rank_correlation']}, "
        f"mean error {held['mean_error_steps']} steps."
    )
    for row in told["clones"]:
        console.print(
            f"Clones from {row['states']} {row['kind']} states: {row['clone_steps']} steps "
            f"(teachers {row['teacher_steps']})."
        )
