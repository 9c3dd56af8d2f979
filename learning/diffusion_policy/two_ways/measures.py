"""What is measured of chunks: success, time on one core, difference to what nothing is cached."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from learning.diffusion_policy.caching import (
    CACHES,
    CROSS,
    CacheSettings,
    StepMemory,
    multiply_adds,
)
from learning.diffusion_policy.chunks_ahead import ChunksAhead
from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.sampling import ChunkSampler, SamplingSettings
from learning.diffusion_policy.two_ways.learners import chunk_maker
from learning.diffusion_policy.two_ways.rollout import roll_out
from learning.diffusion_policy.two_ways.task import RATE_HZ, STEPS, PostEpisodes
from learning.recordings.episode_data import Floats

EPISODES = 200
# Seeds of the starts and of the noise; the same for all.
TRIALS, NOISE = 5, 7
# Observations at which chunks are compared, and chunks that are timed.
COMPARED, TIMED = 64, 15

# Fifty ticks of the control loop between two commands would hide a wait; this shows one.
CONTROL_HZ = 100


@dataclass(frozen=True)
class CacheCell:
    """One cell of the table: how chunks are made.

    Attributes:
        sampler, steps: of denoising.
        cache: what is repeated.
        label: of the cache, as tables name it.
    """

    sampler: str
    steps: int
    cache: CacheSettings
    label: str

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.sampler}_{self.steps}_{self.label}".replace(" ", "_").replace("/", "_")

    @property
    def sampling(self) -> SamplingSettings:
        """How chunks are made."""
        return SamplingSettings(self.sampler, self.steps, self.cache)


SAMPLED = (("ddpm", 100), ("ddim", 50), ("ddim", 16), ("ddim", 10), ("ddim", 4))


def table_cells() -> list[CacheCell]:
    """Return the cells of the table: each sampler with each cache."""
    return [
        CacheCell(sampler, steps, CacheSettings(cache), cache)
        for sampler, steps in SAMPLED
        for cache in CACHES.names()
    ]


# Steps at which TGATE's gate is taken apart.
GATE_STEPS = 16


def gate_cells(steps: int = GATE_STEPS) -> list[CacheCell]:
    """Return TGATE's gate taken apart, and schedules of several budgets, at one number of steps."""
    settings = [
        ("gate 3/4", CacheSettings("tgate", gate=0.75)),
        ("gate 1/4", CacheSettings("tgate", gate=0.25)),
        ("self before 3", CacheSettings("tgate", before=3)),
        ("self after 2", CacheSettings("tgate", after=2)),
        ("schedule 0.8", CacheSettings("schedule", budget=0.8)),
        ("schedule 0.6", CacheSettings("schedule", budget=0.6)),
        ("schedule 0.4 without union", CacheSettings("schedule", unite=False)),
    ]
    return [CacheCell("ddim", steps, cache, label) for label, cache in settings]


@dataclass
class HeldMemory(StepMemory):
    """Computes all blocks, but holds a part of what cross-attention gets from a step on.

    Attributes:
        held: ``level``: keys and values of the noise level; ``queries``: what the queries are
            made of.
        since: first step in which it is held.
    """

    held: str = "level"
    since: int = GATE_STEPS // 2
    _queries: dict[int, torch.Tensor | None] = field(default_factory=dict)
    _level: int = 0

    def begin(self, step: int, level: int) -> None:
        """Begin a step of denoising at a level of noise."""
        if self.held != "level" or step < self.since:
            self._level = level
        super().begin(step, self._level)

    def run(
        self, layer: int, kind: int, block: torch.nn.Module, *inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return what ``block`` gives for what is held."""
        if self.held != "queries" or kind != CROSS:
            return super().run(layer, kind, block, *inputs)
        if self._step < self.since:
            self._queries[layer] = inputs[0]
        return super().run(layer, kind, block, self._queries[layer], *inputs[1:])


class _HeldSampler(ChunkSampler):
    held = "level"

    def _memory(self, observation: torch.Tensor) -> StepMemory:
        made = super()._memory(observation)
        return HeldMemory(made.plan, made.keys_values, held=self.held)


def held_row(model: DiffusionModel, held: str) -> dict[str, Any]:
    """Return success where TGATE's gate holds one half of what it holds, all else computed.

    A gate at half of the steps repeats cross-attention, and so holds both its queries and the
    token of the noise level that it attends to.

    Args:
        model: the transformer; chunks are made by DDIM with :data:`GATE_STEPS` steps, ``exact``.
        held: see :class:`HeldMemory`.
    """
    sampler = _HeldSampler(model.denoiser, SamplingSettings("ddim", GATE_STEPS))
    sampler.held = held
    draws = torch.Generator().manual_seed(NOISE)

    def make(observation: Floats) -> Floats:
        return model.scales.actions(sampler.sample(model.scales.observation(observation), draws))

    rolled = roll_out(make, EPISODES, TRIALS)
    return {
        "held": held,
        "success": round(rolled.success, 4),
        "hit": round(float(rolled.hit.mean()), 4),
    }


class CellMeter:
    """Measures cells of one trained transformer.

    Args:
        model: the transformer.
        observations: ``(N, 12)`` of its demonstrations.
    """

    def __init__(self, model: DiffusionModel, observations: Floats) -> None:
        self._model, self._observations = model, observations
        rng = np.random.default_rng(TRIALS)
        self._compared = observations[rng.choice(len(observations), COMPARED, replace=False)]
        # Chunks of each sampler without a cache.
        self._plain: dict[tuple[str, int], Floats] = {}

    def measure(self, cell: CacheCell) -> dict[str, Any]:
        """Return success, time of a chunk, difference and multiply-adds of one cell."""
        cached = self._model.with_sampling(cell.sampling, self._observations)
        rolled = roll_out(chunk_maker(cached, NOISE), EPISODES, TRIALS)
        apart = np.abs(self._chunks(cached) - self._plain_chunks(cell))
        shape, cache = self._model.denoiser.shape, CACHES.get(cell.cache.name)
        return {
            "sampler": cell.sampler,
            "steps": cell.steps,
            "cache": cell.cache.name,
            "label": cell.label,
            "success": round(rolled.success, 4),
            "left": round(float(rolled.left.mean()), 4),
            "difference_rad": float(f"{apart.max():.3g}"),
            "mean_difference_rad": float(f"{apart.mean():.3g}"),
            "chunk_ms": round(chunk_ms(cached, self._observations[:1]), 3),
            "multiply_adds": multiply_adds(shape, cached.sampler().plan, exact=cache.exact),
        }

    def _chunks(self, model: DiffusionModel) -> Floats:
        return chunk_maker(model, NOISE)(self._compared)

    def _plain_chunks(self, cell: CacheCell) -> Floats:
        key = cell.sampler, cell.steps
        if key not in self._plain:
            sampling = replace(cell.sampling, cache=CacheSettings("none"))
            self._plain[key] = self._chunks(replace(self._model, sampling=sampling))
        return self._plain[key]


def chunk_ms(model: DiffusionModel, observation: Floats) -> float:
    """Return the ms of processor time that one chunk takes in one thread: the median of some."""
    torch.set_num_threads(1)
    make = chunk_maker(model, NOISE)
    make(observation)
    spent = []
    for _ in range(TIMED):
        began = time.thread_time()
        make(observation)
        spent.append(time.thread_time() - began)
    return 1e3 * float(np.median(spent))


def run_in_real_time(model: DiffusionModel, episodes: int, seed: int) -> dict[str, Any]:
    """Return how episodes go when chunks are made ahead while a control loop goes on.

    The loop ticks at :data:`CONTROL_HZ` and commands at the task's rate; it holds where no action
    is due. Its ticks are timed: they would be late if it waited for chunks.
    """
    make = chunk_maker(model, seed)
    ticks: list[float] = []
    reached = 0
    begun = PostEpisodes.draw(episodes, np.random.default_rng(seed))
    counts = {"made": 0, "late": 0, "held": 0, "failed": 0}
    for number in range(episodes):
        one = PostEpisodes(*(getattr(begun, name)[number : number + 1].copy() for name in _PARTS))
        ahead = ChunksAhead(
            lambda seen: seen[0] + make(seen[1])[0].astype(np.float64), 1 / RATE_HZ, refill=4
        )
        _tick_through(one, ahead, ticks)
        ahead.close()
        reached += bool(one.reached[0])
        for name in counts:
            counts[name] += getattr(ahead.counts, name)
    late_ms = 1e3 * (np.array(ticks) - 1 / CONTROL_HZ)
    return {
        "episodes": episodes,
        "success": round(reached / episodes, 4),
        "commands_hz": RATE_HZ,
        "control_hz": CONTROL_HZ,
        "chunks": counts,
        "tick_late_ms": {
            "median": round(float(np.median(late_ms)), 3),
            "p99": round(float(np.percentile(late_ms, 99)), 3),
        },
    }


_PARTS = ("servos", "post", "goal", "hit", "reached")


def _tick_through(one: PostEpisodes, ahead: ChunksAhead, ticks: list[float]) -> None:
    """Run one episode against the clock."""
    pause = threading.Event()  # its wait is as exact as the system's timer
    start_s = time.monotonic()
    every = CONTROL_HZ // RATE_HZ
    before_s = start_s
    for tick in range(1, (2 * STEPS) * every):
        pause.wait(max(start_s + tick / CONTROL_HZ - time.monotonic(), 0.0))
        now_s = time.monotonic()
        ticks.append(now_s - before_s)
        before_s = now_s
        if tick % every:
            continue
        due = ahead.action(now_s)
        if due is not None:
            one.step(due[None])
        if one.over():
            return
        ahead.show((one.servos[0], one.observations), now_s)
