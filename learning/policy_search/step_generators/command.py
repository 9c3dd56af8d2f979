"""``python -m learning step-generator``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from asterias.cli import check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.step_generators import study
from learning.policy_search.step_generators.generator import (
    SETTINGS,
    StepGenerator,
    StepGeneratorOptions,
)

POSES, CURVES = "poses.safetensors", "curves.json"


@dataclass(frozen=True)
class StepGeneratorCommand:
    """Learn a dial: policies that find the target in a commanded number of steps."""

    out: Path
    """Folder for generators and policies; what is finished there is not done again."""
    commands: tuple[int, ...] = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
    """Steps that are commanded; a policy is written for each, and each setting of dead cameras."""
    iterations: int = StepGeneratorOptions.iterations
    """Iterations of learning."""
    poses: int = 5000
    """Poses of the nearest-pose copy of the task, in which generated policies search."""
    seed: int = 0
    """Seed of the first generator."""
    seeds: int = 1
    """Generators, with one seed after the other; policies are written from the first."""
    measure: int = 0
    """Episodes of each policy in the simulation."""
    json: Path | None = None
    """Result file to write, for example results/learning/step_generator.json."""
    picture: Path | None = None
    """Plot of obtained against commanded steps."""

    def run(self) -> int:
        """Learn, generate, print the curves, write.

        Returns:
            The exit code.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are small
        seeds = range(self.seed, self.seed + self.seeds)
        with progress_bars() as progress:
            stages = Stages(progress)
            copy = self._copy(stages)
            rows = [self._of_seed(seed, copy, stages) for seed in seeds]
        result = {"commands": list(self.commands), "iterations": self.iterations, "seeds": rows}
        write_json(self.out / CURVES, {**provenance(self.seed), **result})
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **result})
        if self.picture is not None:
            study.draw(result, self.picture)
        _print(result)
        Console().print(
            f"Policies: {self.out / 'kill0_05.safetensors'} and so on, for /find_target."
        )
        return 0

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        check_seed(self.seed)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        cap = StepGeneratorOptions.cap
        if len(self.commands) < 2 or not 1 <= min(self.commands) <= max(self.commands) < cap:
            raise UserError(f"--commands takes two or more numbers of steps from 1 to {cap - 1}.")
        least = {"iterations": 1, "poses": 100, "seeds": 1, "measure": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise UserError(f"--{name} must be {value} or more.")

    def _copy(self, stages: Stages) -> PoseMap:
        done = [0]

        def count() -> None:
            done[0] += 1
            stages("poses", done[0], self.poses)

        options = study.protocol(StepGeneratorOptions.cap)
        return PoseMap.kept(self.out / POSES, options, self.poses, count)

    def _of_seed(self, seed: int, copy: PoseMap, stages: Stages) -> dict[str, Any]:
        about = replace(StepGeneratorOptions(), iterations=self.iterations, seed=seed)
        generator = StepGenerator(copy, about)
        path = self.out / f"generator_{seed}.safetensors"
        if path.exists():
            generator.load(path)
        else:
            generator.learn(lambda done: stages(f"learning {seed}", done, self.iterations))
            generator.save(path)
        if seed == self.seed:
            self._write_policies(generator)
        done = [0]

        def count() -> None:
            done[0] += 1
            stages(f"measuring {seed}", done[0], len(self.commands))

        in_simulation = None
        if self.measure:
            in_simulation = study.measured(generator, self.commands, self.measure, count)
        curve = study.curve_in_the_copy(generator, self.commands)
        return {"seed": seed, "copy": curve, "measured": in_simulation}

    def _write_policies(self, generator: StepGenerator) -> None:
        for setting in SETTINGS:
            card = {**provenance(generator.options.seed), **study.card_of(generator, setting)}
            for command in self.commands:
                made = generator.policy(float(command), setting, card)
                made.save(self.out / f"{setting}_{command:02}.safetensors")


def _print(result: dict[str, Any]) -> None:
    console = Console()
    console.print("commanded:", " ".join(f"{command:5d}" for command in result["commands"]))
    for row in result["seeds"]:
        rows = [(f"copy, {about['faults']}", about) for about in row["copy"]]
        if row["measured"]:
            rows.append(("simulation, kill0", row["measured"]))
        for name, about in rows:
            told = " ".join(f"{steps:5.1f}" for steps in about["obtained"])
            console.print(
                f"seed {row['seed']}, {name}: {told}; rank correlation {about['rank_correlation']}"
            )
