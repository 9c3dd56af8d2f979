"""Train a planning network by imitation of exact search, from all cells of every maze at once.

Checkpoints are single files that appear whole or not at all; after a kill at any moment
``--resume`` goes on as if nothing had happened, to the last bit with the same number of threads.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asterias.errors import UserError
from asterias.provenance import Clock
from planners.mazes.action_sets import MOVES, NEWS, Moves
from planners.mazes.datasets import MazeRule, MazeSet, generate_splits, generate_stratified
from planners.mazes.distances import distances, optimal_actions
from planners.networks.base import PlanningNetwork, choose_device, observation
from planners.networks.headings import interleave
from planners.networks.registry import NETWORKS, build
from planners.networks.weights import load_weights, save_weights
from planners.training.checkpoints import CHECKPOINT, below, load_checkpoint, save_checkpoint
from planners.training.evaluation import greedy_actions, parse_bins, score
from planners.training.losses import Labels, backward, layers_for
from planners.training.train_config import TrainConfig, check_config

WEIGHTS = "weights.safetensors"
MAZES = "mazes.npz"


@dataclass
class TrainingState:
    """Where a training is; part of every checkpoint."""

    update: int = 0
    best_score: float = -1.0
    seconds: float = 0.0
    """Wall time of updates and validations."""
    cpu_seconds: float = 0.0
    """Processor time of all threads in them; unlike the above it does not grow on a busy machine.
    """
    history: list[dict[str, float]] = field(default_factory=list)


class PlannerTrainer:
    """A training run: ``run()`` yields after every update, so that a caller can show or stop it."""

    def __init__(self, config: TrainConfig) -> None:
        check_config(config)
        self.config = config
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.device = choose_device(config.device)
        self.network = self._network().to(self.device)
        self.optimiser = self._optimiser()
        self.progress = TrainingState()
        self.best: dict[str, Tensor] = {}
        self.rank, self.world = _join_processes()
        self.train, self.validation = draw_mazes(config)
        self.moves = MOVES[config.moves]
        self.updates = config.epochs * (len(self.train) // config.batch)
        if self.updates == 0:
            raise UserError(
                f"batch {config.batch} is larger than the {len(self.train)} mazes there are."
            )
        if config.resume:
            self.load()

    def _network(self) -> PlanningNetwork:
        try:
            options = json.loads(self.config.options)
        except json.JSONDecodeError as error:
            raise UserError(f"options {self.config.options!r} are no JSON: {error}.") from error
        if self.config.moves == "moore":  # eight moves, and staying where it is an action to learn
            known = {field.name for field in fields(NETWORKS.get(self.config.model).config_type)}
            given = {"actions": 8, "latent_actions": 9}
            options = {name: n for name, n in given.items() if name in known} | options
        network = build(self.config.model, options)
        wanted = len(MOVES[self.config.moves].actions)
        if network.config.actions != wanted:
            raise UserError(
                f"{self.config.model} chooses among {network.config.actions} actions, and the moves"
                f" {self.config.moves} are {wanted}: drive_dt_vin is for diff_drive, and it alone."
            )
        if self.config.init_weights:
            _load_init_weights(network, self.config.init_weights)
        return network

    def _optimiser(self) -> torch.optim.Optimizer:
        parameters = self.network.parameters()
        if self.config.optimiser == "adam":
            return torch.optim.Adam(parameters, lr=self.config.learning_rate)
        return torch.optim.RMSprop(parameters, lr=self.config.learning_rate, eps=1e-6)

    def batch(self, update: int) -> MazeSet:
        """Return this process's part of the mazes of an update.

        The order depends on seed and epoch only.
        """
        config = self.config
        per_epoch = len(self.train) // config.batch
        epoch, place = divmod(update, per_epoch)
        order = np.random.default_rng([config.seed, epoch]).permutation(len(self.train))
        chosen = order[place * config.batch : (place + 1) * config.batch]
        return self.train[chosen[self.rank :: self.world]]

    def labels(self, mazes: MazeSet) -> Labels:
        """Return path lengths and optimal actions of all cells, by exact search."""
        found = expert_labels(mazes, self.moves)
        free = torch.from_numpy(mazes.mazes).float().to(self.device)
        return Labels(found.lengths.to(self.device), found.optimal.to(self.device), free)

    def run(self) -> Iterator[dict[str, float]]:
        """Train to the end; yield loss and speed after every update.

        Yields:
            Loss, speed and norm of the gradient.
        """
        self.save_mazes()
        saved = time.monotonic()
        try:
            while self._fraction_done() < 1.0:
                yield self._update()
                if self.progress.update % self.config.validate_every == 0:
                    self.validate()
                if time.monotonic() - saved > self.config.save_every_s:
                    self.save()
                    saved = time.monotonic()
            self.validate()
        finally:
            self.save()

    def _update(self) -> dict[str, float]:
        config, clock = self.config, Clock()
        mazes = self.batch(self.progress.update)
        seen = observation(mazes.mazes, mazes.goals, config.noise)
        maze, goal = (tensor.to(self.device) for tensor in seen)
        self.network.train()
        self.optimiser.zero_grad()
        layers = layers_for(config.loss, config.depth, config.stride)
        loss = backward(
            self.network,
            maze,
            goal,
            self.labels(mazes),
            config.depth,
            layers,
            config.loss,
            config.target,
        )
        _average_gradients(self.network, self.world)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        if math.isfinite(float(norm)):  # a single bad step must not corrupt the run
            self._set_learning_rate()
            self.optimiser.step()
        self.progress.update += 1
        seconds = self._count(clock)
        numbers = {"loss": loss, "mazes_per_s": config.batch / seconds, "grad_norm": float(norm)}
        return numbers | self.network.diagnostics()

    def _count(self, clock: Clock) -> float:
        """Add what has passed on a clock to the progress; return its wall time.

        Returns:
            Wall time in s.
        """
        wall, cpu = clock.elapsed()
        self.progress.seconds += wall
        self.progress.cpu_seconds += cpu
        return wall

    def _fraction_done(self) -> float:
        """Return the fraction of the training that is done, by updates or by time."""
        fraction = self.progress.update / self.updates
        if self.config.time_limit_s:
            fraction = max(fraction, self.progress.seconds / self.config.time_limit_s)
            if self.world > 1:  # clocks differ, and all must stop at the same update
                latest = torch.tensor(fraction, device=self.device)
                torch.distributed.all_reduce(latest, torch.distributed.ReduceOp.MAX)
                fraction = float(latest)
        return min(1.0, fraction)

    def _set_learning_rate(self) -> None:
        fraction = self._fraction_done()
        factor = 0.5 * (1 + math.cos(math.pi * fraction)) if self.config.decay else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * factor

    def save_mazes(self) -> None:
        """Write the mazes that were seen, so that tests can leave them out (mazes --exclude)."""
        if self.rank == 0:
            parts = (self.train, self.validation)
            mazes = np.concatenate([part.mazes for part in parts])
            goals = np.concatenate([part.goals for part in parts])
            MazeSet(mazes, goals).save(self.config.out / MAZES)

    def validate(self) -> None:
        """Score on the validation mazes; keep the weights if they are the best so far."""
        clock = Clock()
        self.network.eval()
        batch, depth = self.config.batch, self.config.depth
        noise = (self.config.noise, self.config.seed)
        actions = greedy_actions(
            self.network, self.validation, depth, batch, self.device, noise=noise
        )
        rows = score(actions, self.validation, parse_bins(self.config.bins), self.moves)
        filled = [row for row in rows if row.starts]
        mean = sum(row.success for row in filled) / max(1, len(filled))
        optimal = sum(row.optimal for row in filled) / max(1, len(filled))
        self._count(clock)
        self.progress.history.append(
            {
                "update": self.progress.update,
                "seconds": round(self.progress.seconds, 1),
                "mean": mean,
                "optimal": optimal,
            }
            | {f"{row.lo}-{row.hi}": row.success for row in rows}
        )
        if mean + optimal >= self.progress.best_score:  # of equal success, the shorter ways
            self.progress.best_score = mean + optimal
            state = self.network.state_dict().items()
            self.best = {name: tensor.detach().clone() for name, tensor in state}
            self._publish()

    def _publish(self) -> None:
        if self.rank != 0:
            return
        config = self.config
        settings = {
            f.name: str(v) if isinstance(v := getattr(config, f.name), Path) else v
            for f in fields(config)
            if f.name not in ("out", "resume", "init_weights")
        }
        card = {
            "depth": config.depth,
            "size": config.size,
            "moves": config.moves,
            "curriculum": config.init_weights.name if config.init_weights else None,
            "training": settings,
            "seconds": round(self.progress.seconds, 1),
            "cpu_seconds": round(self.progress.cpu_seconds, 1),
            "threads": torch.get_num_threads(),
            "validation": self.progress.history[-1],
        }
        save_weights(self.network, config.model, config.out / WEIGHTS, card)

    def save(self) -> None:
        """Write everything that a resumed training needs into one file, at once or not at all."""
        if self.rank != 0:
            return
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        tensors["random"] = torch.get_rng_state()
        save_checkpoint(self.config.out / CHECKPOINT, tensors, self.optimiser, self.progress)

    def load(self) -> None:
        """Go on from the checkpoint in the run's folder; raises ``ValueError`` if there is none."""
        tensors, progress = load_checkpoint(self.config.out / CHECKPOINT, self.optimiser)
        self.progress = TrainingState(**progress)
        self.network.load_state_dict(below("network.", tensors))
        self.best = below("best.", tensors)
        torch.set_rng_state(tensors["random"])


def expert_labels(mazes: MazeSet, moves: Moves = NEWS) -> Labels:
    """Return path lengths and optimal actions of all cells, or of a drive's states as a map."""
    lengths = distances(mazes.mazes, mazes.goals, moves)
    bits = optimal_actions(lengths, moves)
    if moves.is_drive:
        lengths, bits = interleave(lengths), interleave(bits)
    actions = np.arange(len(moves.actions), dtype=np.uint8).reshape(-1, 1, 1)
    optimal = bits[:, None] >> actions & 1
    return Labels(torch.from_numpy(lengths), torch.from_numpy(optimal.astype(np.float32)))


def draw_mazes(config: TrainConfig) -> tuple[MazeSet, MazeSet]:
    """Return training and validation mazes without a common layout."""
    rule = MazeRule(config.size)
    if not config.stratify:
        counts = (config.mazes, config.validation, 0)
        return generate_splits(rule, counts, config.seed)[:2]
    edges = parse_bins(config.stratify)
    parts = len(edges) - 1
    each, moves = max(1, config.validation // parts), MOVES[config.moves]
    validation = generate_stratified(rule, edges, each, config.seed, moves)
    each, seed = config.mazes // parts, config.seed + 1
    train = generate_stratified(rule, edges, each, seed, moves, exclude=[validation])
    return train, validation


def _load_init_weights(network: PlanningNetwork, path: Path) -> None:
    """Begin with the weights of a file.

    What only the new network has keeps its start, as the gate of a Highway VIN that begins with a
    VIN.

    Raises:
        UserError: the file holds another network.
    """
    earlier, card = load_weights(path)
    try:
        foreign = network.load_state_dict(earlier.state_dict(), strict=False).unexpected_keys
    except RuntimeError as error:
        raise UserError(f"{path} does not fit the network to train: {error}.") from error
    if foreign:
        raise UserError(
            f"{path} holds a {card['model']}, whose {foreign[0]} the network to train lacks."
        )


def _join_processes() -> tuple[int, int]:
    """Return rank and number of processes; joins them if torchrun started several."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return torch.distributed.get_rank(), world


def _average_gradients(network: PlanningNetwork, world: int) -> None:
    if world == 1:
        return
    for parameter in network.parameters():
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= world


def train(config: TrainConfig, report: Any = None) -> PlannerTrainer:
    """Run a training to its end; ``report(trainer, numbers)`` is called after every update.

    Returns:
        The trainer.
    """
    trainer = PlannerTrainer(config)
    for numbers in trainer.run():
        if report is not None:
            report(trainer, numbers)
    return trainer


def with_defaults(config: TrainConfig, **changes: Any) -> TrainConfig:
    """Return a copy with some fields changed."""
    return replace(config, **changes)
