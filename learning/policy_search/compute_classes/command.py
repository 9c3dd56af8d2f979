"""``python -m learning compute-class``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.jobs import JobOptions
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.policy_search.compute_classes import picture, runs
from learning.policy_search.compute_classes.budget import PUBLISHED, largest_deviation
from learning.policy_search.compute_classes.methods import METHODS
from learning.policy_search.compute_classes.tasks import TASKS


@dataclass(frozen=True)
class ComputeClass:
    """Compare learners at equal computing time: a class is so many seconds of one core."""

    out: Path
    """Folder for the trainings; what is finished there is not done again."""
    task: Annotated[str, tyro.conf.arg(help=f"One of {', '.join(TASKS.names())}.")] = "cartpole"
    methods: Annotated[
        tuple[str, ...],
        tyro.conf.arg(help=f"Of {', '.join(METHODS.names())}; with spaces or commas between."),
    ] = ("ppo", "ppois", "pgpe", "cem", "pssvf", "random_search")
    seconds: tuple[str, ...] = ("15", "30", "60", "120")
    """Classes, two or more; with spaces or commas between."""
    seeds: int = 4
    """Trainings of each method; an interquartile mean leaves nothing out of fewer than 4."""
    nested: bool = True
    """One training goes through all classes; --no-nested trains each class from the beginning,
    which is the same for a learner without a schedule, and costs the sum of the classes."""
    stop_solved: bool = True
    """A training ends at the first class where all episodes of its evaluation have the highest
    score there is; it stands for the larger classes, and the result file counts such trainings."""
    train: bool = True
    """Train what is missing; --no-train reports what is finished."""
    json: Path | None = None
    """Result file, for example results/learning/compute_classes.json; other tasks in it stay."""
    picture: Path | None = None
    """Plot of all tasks in the result file, or of this one."""
    jobs: tyro.conf.OmitArgPrefixes[JobOptions] = field(default_factory=JobOptions)
    """Where trainings run; throughput is measured here."""

    def run(self) -> int:
        """Measure, train, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or there is nothing to report.
        """
        study = self._study()
        with progress_bars(unit="trainings") as progress:
            stages = Stages(progress)
            pace = runs.throughputs(study, stages)
            if self.train:
                with self.jobs.open() as runner:
                    runs.complete_runs(study, pace, runner, stages)
        rows = runs.rows_of(study, pace)
        if not rows:
            raise UserError(f"{self.out} holds no finished training yet; leave out --no-train.")
        made = self._told(study, rows)
        _print(made)
        whole = self._merged(made)
        if self.json is not None:
            write_json(self.json, whole)
        if self.picture is not None:
            picture.draw(whole["studies"], self.picture)
        return 0

    def _study(self) -> runs.ClassStudy:
        """Return what is asked for.

        Raises:
            UserError: an option cannot be used.
        """
        methods = tuple(dict.fromkeys(_words(self.methods)))
        TASKS.get(self.task)
        for method in methods:
            METHODS.get(method)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        if self.seeds < 1:
            raise UserError("--seeds must be 1 or more.")
        self.jobs.check()
        return runs.ClassStudy(
            self.out,
            self.task,
            methods,
            _classes(self.seconds),
            self.seeds,
            nested=self.nested,
            stop_solved=self.stop_solved,
        )

    def _told(self, study: runs.ClassStudy, rows: list[dict[str, Any]]) -> dict[str, Any]:
        about = TASKS.get(study.task)
        seconds = ",".join(f"{second:g}" for second in study.seconds)
        command = (
            f"python -m learning compute-class --out runs/compute_classes --task {study.task} "
            f"--methods {','.join(study.methods)} --seconds {seconds} --seeds {study.seeds}"
            f"{'' if study.nested else ' --no-nested'}"
            f"{'' if study.stop_solved else ' --no-stop-solved'}"
        )
        return {
            "task": study.task,
            "title": about.title,
            "score": about.score,
            "fewer_is_better": about.is_length,
            "evaluation_episodes": about.episodes,
            **provenance(0, command),
            "rows": rows,
            "crossings": runs.crossings(rows, study.seconds),
        }

    def _merged(self, made: dict[str, Any]) -> dict[str, Any]:
        """Return this task's study beside the other tasks' that the result file holds.

        Raises:
            UserError: the file is of another kind.
        """
        others: list[dict[str, Any]] = []
        if self.json is not None and self.json.exists():
            held = read_json(self.json)
            if not isinstance(held, dict) or not isinstance(held.get("studies"), list):
                raise UserError(f"{self.json} holds no compute classes; choose another file.")
            others = [study for study in held["studies"] if study["task"] != made["task"]]
        studies = sorted([*others, made], key=lambda study: TASKS.names().index(study["task"]))
        formula = {
            "largest_deviation": largest_deviation(),
            "rows": [{**vars(row), "formula_steps": row.formula_steps} for row in PUBLISHED],
        }
        return {**provenance(0, made["command"]), "formula": formula, "studies": studies}


def _words(given: tuple[str, ...]) -> list[str]:
    return [word for text in given for word in text.split(",") if word]


def _classes(given: tuple[str, ...]) -> tuple[float, ...]:
    """Return the classes in rising order.

    Raises:
        UserError: they are no numbers above 0, or fewer than two.
    """
    try:
        seconds = sorted({float(word) for word in _words(given)})
    except ValueError as error:
        raise UserError(f"--seconds takes numbers such as 15,30,60, not {given[0]!r}.") from error
    if len(seconds) < 2 or not 0 < seconds[0] <= seconds[-1] < 1e6:
        raise UserError("--seconds takes two or more different classes above 0 s.")
    return tuple(seconds)


def _print(study: dict[str, Any]) -> None:
    table = Table(title=f"{study['title']}: {study['score']}, interquartile mean [95 %]")
    for heading in (
        "method",
        "steps/s",
        *(f"{at['seconds']:g} s" for at in study["rows"][0]["classes"]),
    ):
        table.add_column(heading)
    for row in study["rows"]:
        cells = [f"{at['iqm']:.2f} [{at['low']:.2f}, {at['high']:.2f}]" for at in row["classes"]]
        table.add_row(row["method"], f"{row['steps_per_s']:,.0f}", *cells)
    Console().print(table)
    Console().print(f"Machine: {study['machine']['processor']}, one core.")
    for met in study["crossings"]:
        Console().print(
            f"Trends of {met['one']} and {met['other']} meet at {met['seconds']:g} s "
            f"[{met['low']}, {met['high']}]."
        )
