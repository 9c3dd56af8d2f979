"""What trainings of encoders share: AdamW that falls as a cosine, and going on exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from learning.target_finding.algorithms.checkpoint import load_state, save_state
from learning.weight_space.encoders.emulation import Emulator

_SAVE_EVERY = 250


class ResumableTraining(ABC):
    """An encoder and its emulator while they learn.

    Args:
        encoder: of networks.
        emulator: acts as the networks do, from their representations.
        options: dataclass with ``updates``, ``learning_rate``, ``weight_decay`` and ``seed``.
        path: of the training's file, which is read where it is there.

    Attributes:
        done: updates so far.
        losses: of each.
    """

    def __init__(self, encoder: nn.Module, emulator: Emulator, options: Any, path: Path) -> None:
        self.emulator, self.path = emulator, path
        self._parts, self._told = (encoder, emulator), asdict(options)
        self._updates = int(options.updates)
        parts = [*encoder.parameters(), *emulator.parameters()]
        self._adam: Any = torch.optim.AdamW(
            parts, options.learning_rate, weight_decay=options.weight_decay
        )
        self._schedule: Any = torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, self._updates)
        self._generator = torch.Generator().manual_seed(options.seed)
        self.done = 0
        self.losses: list[Any] = []
        if path.exists():
            self._load()

    @abstractmethod
    def update(self) -> None:
        """Take a step with encoder and emulator."""

    def learn(
        self,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Learn to the end, or until it is stopped.

        Args:
            on_progress: told updates and their total.
            should_stop: asked after each update.

        Returns:
            Whether the end was reached.
        """
        while self.done < self._updates:
            self.update()
            stopped, ended = should_stop(), self.done == self._updates
            if stopped or ended or self.done % _SAVE_EVERY == 0:
                self.save()
            on_progress(self.done, self._updates)
            if stopped and not ended:
                return False
        return True

    def save(self) -> None:
        """Keep everything that the rest of the training depends on."""
        encoder, emulator = self._parts
        state = {
            "encoder": encoder.state_dict(),
            "emulator": emulator.state_dict(),
            "adam": self._adam.state_dict(),
            "schedule": self._schedule.state_dict(),
            "generator": self._generator.get_state(),
        }
        save_state(self.path, state, self._told, {"done": self.done, "losses": self.losses})

    def _descend(self, loss: Any, clip: float, told: Any) -> None:
        """Step down a loss, each part's gradient cut to the norm ``clip``; keep what is told."""
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        for part in self._parts:
            torch.nn.utils.clip_grad_norm_(part.parameters(), clip)
        self._adam.step()
        self._schedule.step()
        self.done += 1
        self.losses.append(told)

    def _load(self) -> None:
        state, about = load_state(self.path, self._told)
        encoder, emulator = self._parts
        encoder.load_state_dict(state["encoder"])
        emulator.load_state_dict(state["emulator"])
        self._adam.load_state_dict(state["adam"])
        self._schedule.load_state_dict(state["schedule"])
        self._generator.set_state(state["generator"])
        self.done, self.losses = int(about["done"]), list(about["losses"])
