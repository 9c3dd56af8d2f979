"""Train the mapper on views that ViZDoom renders.

Mazes are small, as the mapper looks at a cell's neighbourhood only and serves any size. In every
batch some mazes keep the views of all free cells, others those of a random share of them or of a
walk: a missing view must not mean a wall. Colours are jittered per maze, and cameras stand a little
beside the middle of their cells. A stopped training goes on from its checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from asterias.errors import UserError
from asterias.provenance import Clock, provenance
from learning.doom_maze.augmentation import jitter, strong_jitter, turn_maze
from learning.doom_maze.end_to_end import LAYERS_PER_ROW, ViewPlanner
from learning.doom_maze.mapper_config import MapperTrainConfig
from planners.mapping.mapper import Mapper, card_of, load_mapper, save_mapper, symmetric
from planners.mazes.action_sets import NEWS
from planners.mazes.datasets import MazeRule, MazeSet, generate_splits
from planners.networks.base import PlanningNetwork, observation
from planners.networks.weights import load_weights, save_weights
from planners.planning.factory import find_weights
from planners.training.checkpoints import CHECKPOINT, below, load_checkpoint, save_checkpoint
from planners.training.evaluation import score
from planners.training.losses import layers_for
from planners.training.trainer import expert_labels
from sim.doom.views import survey_mazes

WEIGHTS = "mapper.safetensors"
PLANNER_WEIGHTS = "planner.safetensors"
OFF_CENTRE_UNITS = 6
ALL_VIEWS, SOME_VIEWS = 0.15, 0.25
"""Shares of mazes that keep all views, and a random part of them; the rest keep a walk's."""
_BLOCK = 32
_GOAL = 2  # in a maze of 0 and 1


@dataclass(frozen=True)
class Surveyed:
    """Mazes with the views of their free cells, one row per free cell of all mazes."""

    mazes: NDArray[np.uint8]
    """``(n, M, M)``, 1 = free."""
    goals: NDArray[np.int64]
    """``(n, 2)``, for joint training."""
    views: NDArray[np.uint8]
    """``(cells, 4, 24, 32, 3)`` in the order of the mazes and of their cells."""
    first: NDArray[np.int64]
    """Row of each maze's first cell, and behind the last one the number of cells ``(n + 1,)``."""


def surveyed(
    maze_set: MazeSet, seed: int, textures: str, kept: Path | None = None
) -> Iterator[Surveyed]:
    """Yield the mazes with their views, block by block; ``seed`` and number draw their looks.

    Args:
        maze_set: the mazes.
        seed: of their looks.
        textures: names of texture sets.
        kept: folder where views are kept and looked for; None keeps nothing.

    Yields:
        The blocks.
    """
    for first in range(0, len(maze_set), _BLOCK):
        block, goals = maze_set[first : first + _BLOCK].mazes, maze_set.goals[first:]
        path = kept / f"views_{textures}_{seed}_{first}.npz" if kept else None
        if path and path.is_file():
            with np.load(path) as arrays:
                if np.array_equal(arrays["mazes"], block):
                    yield Surveyed(block, goals[: len(block)], arrays["views"], arrays["first"])
                    continue
        seeds = [seed * 1_000_003 + first + k for k in range(len(block))]
        seen = survey_mazes(block, seeds, textures, off_centre_units=OFF_CENTRE_UNITS)
        parts = [maze.views[maze.given] for maze in seen]
        edges = np.cumsum([0, *map(len, parts)])
        views = np.concatenate(parts)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, mazes=block, views=views, first=edges)
        yield Surveyed(block, goals[: len(block)], views, edges)


def join(parts: list[Surveyed]) -> Surveyed:
    """Return one set of several."""
    counts = [np.diff(part.first) for part in parts]
    edges = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return Surveyed(
        np.concatenate([part.mazes for part in parts]),
        np.concatenate([part.goals for part in parts]),
        np.concatenate([part.views for part in parts]),
        edges,
    )


def draw_given(maze: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which free cells have views: all, a random share, or those of a walk.

    Returns:
        ``(M, M)``, True where a cell has views.
    """
    free = maze > 0
    kind = random.random()
    if kind < ALL_VIEWS:
        return np.asarray(free)
    if kind < ALL_VIEWS + SOME_VIEWS:
        return np.asarray(free & (random.random(free.shape) < random.random()))
    return _walk(free, random)


def _walk(free: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    """Return the cells of a random walk that seldom turns back."""
    given = np.zeros(free.shape, bool)
    cells = np.argwhere(free)
    row, column = cells[random.integers(len(cells))].tolist()
    given[row, column] = True
    heading = int(random.integers(4))
    for _ in range(int(random.integers(0, 2 * free.shape[0]))):
        turns = random.permutation([0, 0, 1, 3])
        for turn in [*turns.tolist(), 2]:
            down, right = NEWS.offsets[(heading + turn) % 4]
            if free[row + down, column + right]:
                heading = (heading + turn) % 4
                row, column = row + down, column + right
                break
        given[row, column] = True
    return given


def emphasis(known: Tensor) -> Tensor:
    """Return the weight of each cell's loss, ``(B, H, W)``, from ``known (B, H, W)``.

    A cell counts fully where it or one beside it has views, little where nothing can be known.
    The weights are ours, chosen: 0.05 anywhere, 0.2 within two cells of a view, 1 beside one.
    """
    cells = known[:, None].float()
    across = functional.max_pool2d(cells, (3, 1), 1, (1, 0))
    beside = torch.maximum(across, functional.max_pool2d(cells, (1, 3), 1, (0, 1)))
    near = functional.max_pool2d(cells, 5, 1, 2)
    return (0.05 + 0.15 * near + 0.8 * beside).squeeze(1)


@dataclass
class MapperProgress:
    """Where a training is; part of every checkpoint."""

    update: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


class MapperTrainer:
    """A training run: ``run()`` yields what it does, so that a caller can show or stop it."""

    def __init__(self, config: MapperTrainConfig) -> None:
        if config.batch > config.mazes:
            raise UserError(f"batch {config.batch} is larger than the {config.mazes} mazes.")
        if not 0 < config.map_sharpness < math.inf:
            raise UserError(f"--map-sharpness takes a number above 0, not {config.map_sharpness}.")
        self.config, self.progress = config, MapperProgress()
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        before = load_mapper(config.init_weights) if config.init_weights else Mapper()
        self._averages = before.config.symmetric or config.augment == "strong"
        self.mapper = symmetric(before, on=False)  # eight ways in each update would take their time
        self._before = card_of(config.init_weights) if config.init_weights else None
        self.whole = _joint(self.mapper, config) if config.joint else None
        trained = self.whole or self.mapper
        self.optimiser = torch.optim.Adam(trained.parameters(), lr=config.learning_rate)
        self.updates = config.epochs * (config.mazes // config.batch)
        if config.resume:
            self.load()

    def mazes(self) -> tuple[MazeSet, MazeSet]:
        """Return training and validation mazes without a common layout."""
        counts = (self.config.mazes, self.config.validation, 0)
        return generate_splits(MazeRule(self.config.size), counts, self.config.seed)[:2]

    def run(self) -> Iterator[tuple[str, int, int, str]]:
        """Render, then train.

        Yields:
            Stage, done, total and a note.
        """
        config, (train, validation) = self.config, self.mazes()
        sets: list[Surveyed] = []
        total = len(train) + len(validation)
        for mazes, seed in ((train, config.seed), (validation, config.seed + 1)):
            parts: list[Surveyed] = []
            kept = config.out if config.keep_views else None
            for part in surveyed(mazes, seed, config.textures, kept):
                parts.append(part)
                done = sum(len(seen.mazes) for seen in (*parts, *sets))
                yield "render", done, total, ""
            sets.append(join(parts))
        per_epoch = config.mazes // config.batch
        try:
            while self.progress.update < self.updates:
                loss = self._update(sets[0])
                if self.progress.update % per_epoch == 0:
                    self._validate(sets[1])
                    self.save()
                yield "train", self.progress.update, self.updates, self._note(loss)
        finally:
            self.save()
        self._publish()

    def _note(self, loss: float) -> str:
        """Return what is shown beside the bar."""
        last = self.progress.history[-1] if self.progress.history else {"wrong": math.nan}
        success = f" success {last['success']:.2f} %" if "success" in last else ""
        return f"loss {loss:.4f} wrong cells {100 * last['wrong']:.3f} %{success}"

    def _draw(self, data: Surveyed) -> tuple[Tensor, Tensor, MazeSet]:
        """Draw the mazes of an update, and what is seen of them.

        Returns:
            Views ``(N, 4, 24, 32, 3)``, which cells have them ``(B, H, W)``, and the mazes.
        """
        config = self.config
        epoch, place = divmod(self.progress.update, config.mazes // config.batch)
        random = np.random.default_rng([config.seed, self.progress.update])
        order = np.random.default_rng([config.seed, 7, epoch]).permutation(config.mazes)
        chosen = order[place * config.batch : (place + 1) * config.batch]
        change = strong_jitter if config.augment == "strong" else jitter
        marked, given, seen = data.mazes[chosen], [], []
        rows, columns = data.goals[chosen].T
        marked[np.arange(len(marked)), rows, columns] = _GOAL  # it turns with its maze
        for number, index in enumerate(chosen.tolist()):
            mask = draw_given(data.mazes[index], random)
            cells = np.flatnonzero(mask[data.mazes[index] > 0]) + data.first[index]
            views = change(torch.from_numpy(data.views[cells]), random)
            if config.augment == "strong":
                marked[number], mask, views = turn_maze(marked[number], mask, views, random)
            seen.append(views)
            given.append(torch.from_numpy(mask))
        mazes = MazeSet((marked > 0).astype(np.uint8), np.argwhere(marked == _GOAL)[:, 1:])
        return torch.cat(seen), torch.stack(given), mazes

    def _update(self, data: Surveyed) -> float:
        config, clock = self.config, Clock()
        views, known, mazes = self._draw(data)
        self.mapper.train()
        self.optimiser.zero_grad()
        logits = self.mapper.walls(self.mapper.spread(self.mapper.describe(views), known))
        target = 1 - torch.from_numpy(mazes.mazes).float()
        weight = emphasis(known)
        loss = functional.binary_cross_entropy_with_logits(logits, target, weight)
        reported = float(loss.detach())
        share = self.progress.update / self.updates
        if self.whole is not None:
            reported = self._actions_loss(self.whole, logits, mazes, known)
            if share < config.planner_frozen:
                self.whole.planner.zero_grad()
        if self.whole is None or config.map_loss > 0:
            scale = config.map_loss if self.whole else 1.0
            (scale * loss).backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        self.optimiser.step()
        self.progress.update += 1
        wall, cpu = clock.elapsed()
        self.progress.seconds += wall
        self.progress.cpu_seconds += cpu
        return reported

    def _actions_loss(
        self, whole: ViewPlanner, walls: Tensor, mazes: MazeSet, known: Tensor
    ) -> float:
        """Add the gradients of the actions' loss; the graph of ``walls`` is kept for the map's.

        Returns:
            The loss.
        """
        depth = LAYERS_PER_ROW * self.config.size
        _, goals = observation(mazes.mazes, mazes.goals)
        labels = expert_labels(mazes)
        if self.config.actions_of == "seen":
            labels = replace(labels, lengths=labels.lengths.where(known, -1))
        layers = layers_for("adaptive", depth, 10)
        leaf = walls.detach().requires_grad_()
        loss = whole.backward_actions(leaf, goals, labels, depth, layers)
        walls.backward(leaf.grad, retain_graph=True)  # type: ignore[no-untyped-call]
        return loss

    @torch.no_grad()
    def _validate(self, data: Surveyed) -> None:
        """Score on all views of the validation mazes, and on half of them."""
        self.mapper.eval()
        random = np.random.default_rng(self.config.seed)
        described = self.mapper.describe(torch.from_numpy(data.views))
        free = torch.from_numpy(data.mazes > 0)
        wrong, success = [], dict[str, float]()
        for share in (1.0, 0.5):
            kept = torch.from_numpy(random.random(len(described)) < share)
            given = free.clone()
            given[free] = kept
            logits = self.mapper.walls(self.mapper.spread(described[kept], given))
            wrong.append(float(((logits > 0) == free).float().mean()))
            if self.whole is not None and not success:
                success = {"success": _success(self.whole, logits, data)}
        progress = self.progress
        progress.history.append(
            {
                "update": progress.update,
                "seconds": round(progress.seconds, 1),
                "wrong": wrong[0],
                "wrong_half_given": wrong[1],
            }
            | success
        )

    def _publish(self) -> None:
        settings = asdict(self.config)
        mapper = _sharpened(self.mapper, self.config.map_sharpness if self.whole else 1.0)
        mapper = symmetric(mapper, on=self._averages)
        save_mapper(
            mapper,
            self.config.out / WEIGHTS,
            {
                "training": {
                    k: v
                    for k, v in settings.items()
                    if k not in ("out", "resume", "init_weights", "keep_views")
                },
                "seconds": round(self.progress.seconds, 1),
                "cpu_seconds": round(self.progress.cpu_seconds, 1),
                "validation": self.progress.history[-1],
                "init_weights": self._before,
                **provenance(self.config.seed),
            },
        )

        if self.whole is not None:
            self._publish_planner(self.whole.planner)

    def _publish_planner(self, planner: PlanningNetwork) -> None:
        """Write the jointly trained planner beside the mapper."""
        _, card = load_weights(find_weights(self.config.joint, self.config.size))
        joint = {**card, "trained_jointly": asdict(self.progress)["history"][-1]}
        path = self.config.out / PLANNER_WEIGHTS
        kept = {k: v for k, v in joint.items() if k not in ("model", "options", "tests")}
        save_weights(planner, str(card["model"]), path, kept)

    def save(self) -> None:
        """Write everything that a resumed training needs into one file."""
        tensors = {f"mapper.{k}": v for k, v in self.mapper.state_dict().items()}
        if self.whole is not None:
            state = self.whole.planner.state_dict()
            tensors |= {f"planner.{k}": v for k, v in state.items()}
        save_checkpoint(self.config.out / CHECKPOINT, tensors, self.optimiser, self.progress)

    def load(self) -> None:
        """Go on from the checkpoint; raises ``ValueError`` if there is none."""
        tensors, progress = load_checkpoint(self.config.out / CHECKPOINT, self.optimiser)
        self.progress = MapperProgress(**progress)
        self.mapper.load_state_dict(below("mapper.", tensors))
        if self.whole is not None:
            self.whole.planner.load_state_dict(below("planner.", tensors))


def _joint(mapper: Mapper, config: MapperTrainConfig) -> ViewPlanner:
    network, _ = load_weights(find_weights(config.joint, 0))
    return ViewPlanner(mapper, network.train(), config.map_sharpness)


def _sharpened(mapper: Mapper, factor: float) -> Mapper:
    """Return a mapper whose logits are larger by a factor."""
    sharp = deepcopy(mapper)
    for parameter in sharp.wall.parameters():
        parameter.data *= factor
    return sharp


def _success(whole: ViewPlanner, walls: Tensor, data: Surveyed) -> float:
    """Return the share of all starts from which the goal is reached, in per cent."""
    mazes = MazeSet(data.mazes, data.goals)
    _, goals = observation(mazes.mazes, mazes.goals)
    actions = whole.best_actions(walls, goals, LAYERS_PER_ROW * mazes.size)
    return score(actions, mazes, (1, mazes.size**2))[0].success


def train_mapper(config: MapperTrainConfig) -> MapperTrainer:
    """Train with a bar on the terminal.

    Returns:
        The trainer.
    """
    from rich.progress import Progress

    trainer = MapperTrainer(replace(config))
    with Progress() as bars:
        tasks: dict[str, Any] = {}
        for stage, done, total, note in trainer.run():
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, description=f"{stage} {note}")
    return trainer
