"""What a person sees of a training: a bar with mazes/s and time left, and curves."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from planners.training.train_config import TrainConfig, check_config
from planners.training.trainer import PlannerTrainer, train


class TrainingDisplay:
    """A context in which ``report(trainer, numbers)`` shows a training."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task: Any = None
        self._curves: Any = None
        self._validations = 0

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        self._task = self._bar.add_task(f"{self.config.model} {self.config.size}", total=1)
        if self.config.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._curves = SummaryWriter(str(self.config.out))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._curves is not None:
            self._curves.close()

    def report(self, trainer: PlannerTrainer, numbers: dict[str, float]) -> None:
        """Show one update."""
        update, history = trainer.progress.update, trainer.progress.history
        mean = f"val {history[-1]['mean']:.2f} %" if history else ""
        text = f"loss {numbers['loss']:.4f} {numbers['mazes_per_s']:.0f} mazes/s {mean}"
        self._bar.update(self._task, completed=update, total=trainer.updates, description=text)
        if self._curves is None:
            return
        for name, value in numbers.items():
            self._curves.add_scalar(name, value, update)
        for row in history[self._validations :]:
            for name, value in row.items():
                self._curves.add_scalar(f"validation/{name}", value, int(row["update"]))
        self._validations = len(history)


def train_with_display(config: TrainConfig) -> PlannerTrainer:
    """Run a training to its end; the first of several processes shows its bar and curves.

    Returns:
        The trainer.
    """
    check_config(config)
    if os.environ.get("RANK", "0") != "0":
        return train(config)
    with TrainingDisplay(config) as display:
        return train(config, display.report)
