"""``python -m learning clone-study``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.policy_search.algorithms.pssvf import PSSVF
from learning.policy_search.fingerprints.cloning import STATES
from learning.policy_search.studies import runs
from learning.policy_search.studies.benchmarks import BENCHMARKS
from learning.policy_search.studies.cloning import CloneOptions, clone

CLONES = "clones.json"
_COLOURS = dict(zip(STATES, ("C0", "C1", "C2"), strict=True))


@dataclass(frozen=True)
class CloneStudy:
    """Clone trained policies from a few learned states, beside random ones and k-means."""

    out: Path
    """Folder for the runs, such as that of policy-search-study, whose teachers are then taken."""
    benchmarks: tuple[str, ...] = ("swimmer_pssvf_rebased", "swimmer_pssvf_probes", "hopper_pssvf")
    """Whose policies; those of PSSVF."""
    states: tuple[int, ...] = (3, 5, 10)
    """Numbers of states."""
    seeds: int = 3
    """Teachers of each benchmark, with the seeds from 0 on."""
    clones: int = 3
    """Networks that are fitted to the answers of each teacher in each kind of states."""
    episodes: int = 1
    """Of each clone."""
    updates: int = 800
    """Steps of learning, of states and of clones."""
    json: Path | None = None
    """Result file to write, for example results/learning/clones.json."""
    picture: Path | None = None
    """Shares of the teachers' returns to draw, for example results/learning/clones.png."""

    def run(self) -> int:
        """Train teachers where they are missing, clone them, print the table, write and draw.

        Returns:
            The exit code.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are small
        todo = runs.benchmark_runs(self.out, self.benchmarks, self.seeds)
        with progress_bars(24, unit="") as progress:
            stages = Stages(progress)
            for number, run in enumerate(todo):
                name = f"{run.benchmark} {run.seed}"
                runs.complete_run(run, lambda done, total, name=name: stages(name, done, total))  # type: ignore[misc]
                self._clone(run)
                stages("cloned teachers", number + 1, len(todo))
        rows = [row for name in self.benchmarks for row in self._rows(name, todo)]
        Console().print(_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(0, self._command), "rows": rows})
        if self.picture is not None:
            draw(rows, self.picture)
        return 0

    @property
    def _command(self) -> str:
        return (
            f"python -m learning clone-study --out runs/policy_search --benchmarks "
            f"{' '.join(self.benchmarks)} --states {' '.join(map(str, self.states))} --seeds "
            f"{self.seeds} --clones {self.clones} --episodes {self.episodes} --updates "
            f"{self.updates}"
        )

    @property
    def _about(self) -> CloneOptions:
        return CloneOptions(self.states, self.clones, self.episodes, self.updates)

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        for name in self.benchmarks:
            if BENCHMARKS.get(name).learner != "pssvf":
                raise UserError(f"{name} is not of PSSVF; only its policies are cloned.")
        if min(self.seeds, self.clones, self.episodes, self.updates, *self.states) < 1:
            raise UserError("--states, --seeds, --clones, --episodes and --updates are 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)

    def _clone(self, run: runs.BenchmarkRun) -> None:
        """Clone a teacher, unless it was done before with the same options."""
        path = run.folder / CLONES
        if path.exists():
            self._held(path)
            return
        learner = PSSVF.load(run.folder / runs.LEARNER)
        made = clone(learner, self._about)
        learner.close()
        write_json(path, {"about": asdict(self._about), **made})

    def _held(self, path: Path) -> dict[str, Any]:
        """Return what was written of a teacher.

        Raises:
            UserError: it was made with other options.
        """
        held = read_json(path)
        about = {**asdict(self._about), "states": list(self.states)}
        if not isinstance(held, dict) or held.get("about") != about:
            raise UserError(f"{path} was made with other options; choose another folder.")
        return held

    def _rows(self, name: str, todo: list[runs.BenchmarkRun]) -> list[dict[str, Any]]:
        own = [run for run in todo if run.benchmark == name]
        told = [self._held(run.folder / CLONES) for run in own]
        made = []
        for parts in zip(*(one["rows"] for one in told), strict=True):
            means = [float(np.mean(part["returns"])) for part in parts]
            shares = [mean / one["teacher"] for mean, one in zip(means, told, strict=True)]
            bests = [max(part["returns"]) for part in parts]
            made.append(
                {
                    "benchmark": name,
                    "title": BENCHMARKS.get(name).title,
                    "states": parts[0]["states"],
                    "kind": parts[0]["kind"],
                    "seeds": [run.seed for run in own],
                    "teachers": [one["teacher"] for one in told],
                    "clones": [round(mean, 1) for mean in means],
                    "best_clones": bests,
                    "share": round(float(np.mean(shares)), 4),
                    "share_std": round(float(np.std(shares)), 4),
                }
            )
        return made


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the clones' share of their teachers' returns over the number of states."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["benchmark"] for row in rows))
    figure, axes = pyplot.subplots(
        1, len(names), figsize=(5.2 * len(names), 4), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        own = [row for row in rows if row["benchmark"] == name]
        for kind in STATES:
            line = [row for row in own if row["kind"] == kind]
            axis.errorbar(
                [row["states"] for row in line],
                [100 * row["share"] for row in line],
                [100 * row["share_std"] for row in line],
                fmt="o-",
                capsize=3,
                color=_COLOURS[kind],
                label=f"{kind} states",
            )
        axis.axhline(90, color="0.6", linewidth=1, linestyle="--", label="90 %")
        axis.set(title=own[0]["title"], xlabel="states", ylabel="per cent of the teacher's return")
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Returns of clones")
    for heading in ("teachers", "states", "kind", "teachers' returns", "clones'", "share"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["title"],
            str(row["states"]),
            row["kind"],
            ", ".join(f"{value:.0f}" for value in row["teachers"]),
            ", ".join(f"{value:.0f}" for value in row["clones"]),
            f"{100 * row['share']:.0f} ± {100 * row['share_std']:.0f} %",
        )
    return table
