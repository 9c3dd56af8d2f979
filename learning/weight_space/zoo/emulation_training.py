"""An encoder learns by emulation on the zoo, and is asked what it knows of held-out networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import one_hot

from learning.weight_space.encoders.emulation import Emulator, total_variation, unit_length
from learning.weight_space.encoders.registry import ENCODERS
from learning.weight_space.encoders.resumable_training import ResumableTraining
from learning.weight_space.recurrent_nets import run, select
from learning.weight_space.zoo.languages import OFFSETS, TOKENS, draw_words
from learning.weight_space.zoo.linear_probe import explained, probe_accuracy
from learning.weight_space.zoo.training import Zoo

# Share of a language's trainings that are held out.
_HELD_OUT = 0.25
_CHUNK = 256


@dataclass(frozen=True)
class EmulationOptions:
    """How an encoder learns; sizes are those of the paper's code, divided by four or so.

    Attributes:
        encoder: name in the registry.
        seed: of the encoder, of the draws, and of which trainings are held out.
        updates: steps of AdamW.
        nets: networks of an update.
        words: of each network in an update.
        embedding: size of a representation.
        learning_rate: of AdamW, which falls to 0 as a cosine.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
    """

    encoder: str
    seed: int = 0
    updates: int = 800
    nets: int = 64
    words: int = 2
    embedding: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 1.0


def held_out_runs(zoo: Zoo, seed: int) -> torch.Tensor:
    """Return which rows ``(rows,)`` of a zoo are held out.

    Whole trainings are, so that no snapshot of a held-out network was ever seen; a quarter of each
    language's.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    count = int(zoo.runs.max()) + 1
    held = torch.zeros(count, dtype=torch.bool)
    for task in range(len(OFFSETS)):
        own = torch.arange(count)[zoo.tasks[:count] == task]
        some = own[torch.randperm(len(own), generator=generator)]
        held[some[: max(1, round(_HELD_OUT * len(own)))]] = True
    return held[zoo.runs]


def train_encoder(
    path: Path,
    zoo: Zoo,
    options: EmulationOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> EncoderTraining | None:
    """Return a trained encoder; go on where it was stopped.

    Args:
        path: of the training's file.
        zoo: of networks.
        options: of the training.
        on_progress: told updates and their total.
        should_stop: asked after each update.

    Returns:
        The training; None where it was stopped before the end.
    """
    training = EncoderTraining(zoo, options, path)
    return training if training.learn(on_progress, should_stop) else None


class EncoderTraining(ResumableTraining):
    """An encoder and its emulator while they learn.

    Args:
        zoo: of networks.
        options: of the training.
        path: of its file, which is read where it is there.
    """

    def __init__(self, zoo: Zoo, options: EmulationOptions, path: Path) -> None:
        self.zoo, self.options = zoo, options
        self.held = held_out_runs(zoo, options.seed)
        self._taught = torch.arange(len(self.held))[~self.held]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.encoder = ENCODERS.get(options.encoder)(zoo.form, options.embedding)
            emulator = Emulator(TOKENS, TOKENS, options.embedding)
        super().__init__(self.encoder, emulator, options, path)

    def update(self) -> None:
        """Take a step with encoder and emulator."""
        options = self.options
        some = torch.randint(len(self._taught), (options.nets,), generator=self._generator)
        rows = self._taught[some]
        # Drawn from our generator, so that a flat encoder's permutations go on exactly, too.
        seed = int(torch.randint(2**31, (1,), generator=self._generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            loss = self._loss(rows)
        self._descend(loss, options.clip, round(float(loss.detach()), 5))

    def _loss(self, rows: torch.Tensor) -> torch.Tensor:
        nets = select(self.zoo.nets, rows)
        words, mask = draw_words(self.zoo.tasks[rows], self.options.words, self._generator)
        x = one_hot(words[..., :-1], TOKENS).float()
        with torch.no_grad():
            wanted = run(self.zoo.form, nets, x)
        said = self.emulator(x, unit_length(self.encoder(nets)))
        return total_variation(said, wanted, mask)

    def embeddings(self) -> torch.Tensor:
        """Return representations ``(rows, embedding)`` of all networks, of length 1."""
        self.encoder.eval()
        with torch.no_grad():
            parts = [
                unit_length(self.encoder(select(self.zoo.nets, slice(first, first + _CHUNK))))
                for first in range(0, len(self.held), _CHUNK)
            ]
        self.encoder.train()
        return torch.cat(parts)

    def measure(self) -> dict[str, Any]:
        """Return what the representations of held-out networks tell, and how well they emulate."""
        zoo, held, known = self.zoo, self.held, self.embeddings()
        labels = {"task": zoo.tasks, "snapshot": zoo.steps}
        found: dict[str, Any] = {
            f"{name}_accuracy": probe_accuracy(known, label, held) for name, label in labels.items()
        }
        found["accuracy_explained"] = explained(known, zoo.accuracy, held)
        last = held & (zoo.steps == zoo.steps.max())
        found["task_accuracy_last_snapshot"] = probe_accuracy(known, zoo.tasks, last, ~held)
        found["total_variation"] = self._held_out_variation(known)
        return {key: round(value, 4) for key, value in found.items()}

    def _held_out_variation(self, known: torch.Tensor) -> float:
        rows = torch.arange(len(self.held))[self.held]
        generator = torch.Generator().manual_seed(7)
        words, mask = draw_words(self.zoo.tasks[rows], 8, generator)
        x = one_hot(words[..., :-1], TOKENS).float()
        with torch.no_grad():
            wanted = run(self.zoo.form, select(self.zoo.nets, rows), x)
            return float(total_variation(self.emulator(x, known[rows]), wanted, mask))
