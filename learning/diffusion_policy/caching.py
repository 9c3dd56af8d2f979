"""Which blocks of a transformer run in which step of denoising, and what the others repeat.

Training-free. A plan says for each step, layer and kind of block whether it runs; where it does
not, its last output is added again. Exact keys and values change no number: each token of the
memory passes layers of its own, so that those of the observation are made once for a chunk, and
those of the noise levels once for a policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asterias.errors import UserError
from asterias.registry import Registry
from learning.diffusion_policy.similarity import Similarity, scheduled_steps
from learning.diffusion_policy.transformer import BLOCKS, DenoiserShape, KeysValues

# (steps, layers, kinds of block): True where the block runs.
Plan = npt.NDArray[np.bool_]

SELF, CROSS, FEED = range(len(BLOCKS))
# TGATE computes all of the first steps (its code's warm-up).
WARM_UP = 2


@dataclass(frozen=True)
class CacheSettings:
    """How denoising repeats what it has computed.

    Attributes:
        name: of the cache.
        gate: TGATE: share of the steps after which cross-attention repeats.
        before: TGATE: before the gate, self-attention runs every so many steps.
        after: TGATE: from the gate on, self-attention runs every so many steps.
        budget: schedule: share of the steps in which each block runs.
        unite: schedule: feed-forward blocks above one that runs are united with it.
    """

    name: str = "exact"
    gate: float = 0.5
    before: int = 1
    after: int = 1
    budget: float = 0.4
    unite: bool = True

    def __post_init__(self) -> None:
        CACHES.get(self.name)
        if not (0 < self.gate <= 1 and 0 < self.budget <= 1):
            raise UserError("gate and budget of a cache are shares of the steps, above 0 to 1.")
        if self.before < 1 or self.after < 1:
            raise UserError("before and after of a cache are whole numbers, 1 or more.")


@dataclass(frozen=True)
class Cache:
    """One way to cache.

    Attributes:
        summary: one line for people.
        plan: returns the plan for settings, layers and steps; it may need the measured similarity.
        exact: keys and values are made once.
        measured: it needs a similarity of block outputs, measured on the policy.
    """

    summary: str
    plan: Callable[[CacheSettings, int, int, Similarity | None], Plan]
    exact: bool = True
    measured: bool = False


CACHES: Registry[Cache] = Registry("cache", "asterias.diffusion_caches")


def all_blocks(
    settings: CacheSettings, layers: int, steps: int, similarity: Similarity | None
) -> Plan:
    """Return a plan in which everything runs."""
    return np.ones((steps, layers, len(BLOCKS)), np.bool_)


def tgate(settings: CacheSettings, layers: int, steps: int, similarity: Similarity | None) -> Plan:
    """Return TGATE's plan (arXiv 2404.02747; schedule of its code).

    Cross-attention runs until the gate m and repeats from there; self-attention runs every
    ``before`` steps after the warm-up, at m - 1, and every ``after`` steps from m on. Without
    guidance there is no half of a batch to drop.
    """
    plan: Plan = all_blocks(settings, layers, steps, similarity)
    gate = max(round(settings.gate * steps), 1)
    for step in range(steps):
        if step >= gate:
            plan[step, :, CROSS] = False
            plan[step, :, SELF] = (step - gate) % settings.after == 0
        elif WARM_UP <= step < gate - 1:
            plan[step, :, SELF] = (step - WARM_UP) % settings.before == 0
    return plan


def scheduled(
    settings: CacheSettings, layers: int, steps: int, similarity: Similarity | None
) -> Plan:
    """Return the plan that repeats where outputs were measured to be most alike.

    For each block the steps in which it runs maximise the summed cosine similarity between what is
    repeated and what would have been computed (block-wise adaptive caching, arXiv 2506.13456).

    Raises:
        UserError: no similarity was measured for that many steps.
    """
    if similarity is None or similarity.values.shape[2] != steps:
        raise UserError(
            f"The cache 'schedule' needs a similarity that was measured with {steps} steps."
        )
    runs = max(round(settings.budget * steps), 1)
    plan = np.zeros((steps, layers, len(BLOCKS)), np.bool_)
    for layer in range(layers):
        for kind in range(len(BLOCKS)):
            plan[scheduled_steps(similarity.values[layer, kind], runs), layer, kind] = True
    if settings.unite:
        plan = _united(plan, similarity)
    return plan


def _united(plan: Plan, similarity: Similarity) -> Plan:
    """Let feed-forward blocks run where a later one does, if they change more than the median.

    A block that runs on inputs that are out of date stores their error in its own output; the
    paper calls the cure bubbling union.

    Returns:
        The plan with the added runs.
    """
    united: Plan = plan.copy()
    change = [1 - similarity.between_steps(layer, FEED).mean() for layer in range(plan.shape[1])]
    for layer, size in enumerate(change[:-1]):
        if size >= np.median(change):
            united[:, layer, FEED] |= plan[:, layer + 1 :, FEED].any(axis=1)
    return united


CACHES.register("none", Cache("everything is computed in each step", all_blocks, exact=False))
CACHES.register("exact", Cache("keys and values of the condition are computed once", all_blocks))
CACHES.register("tgate", Cache("exact, and TGATE's gate on attention", tgate))
CACHES.register(
    "schedule",
    Cache("exact, and each block runs when its output changes most", scheduled, measured=True),
)


@dataclass
class StepMemory:
    """Runs blocks by a plan, and keeps their outputs.

    Attributes:
        plan: which block runs in which step.
        keys_values: made before denoising began; None where each step makes them.
        watch: called with step, layer, kind and output of each block that runs.
    """

    plan: Plan
    keys_values: KeysValues | None = None
    watch: Callable[[int, int, int, torch.Tensor], None] | None = None
    _step: int = 0
    _kept: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)

    def begin(self, step: int, level: int) -> None:
        """Begin a step of denoising at a level of noise."""
        self._step = step
        if self.keys_values is not None:
            self.keys_values.set_level(level)

    def run(
        self, layer: int, kind: int, block: nn.Module, *inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return what ``block`` gives, or what it gave when it ran last."""
        place = (layer, kind)
        if place in self._kept and not self.plan[self._step, layer, kind]:
            return self._kept[place]
        given: torch.Tensor = block(*inputs)
        self._kept[place] = given
        if self.watch is not None:
            self.watch(self._step, layer, kind, given)
        return given


def multiply_adds(shape: DenoiserShape, plan: Plan, *, exact: bool) -> dict[str, Any]:
    """Return the multiply-adds of a chunk by kind of block, and in all.

    Norms, softmax and the layers before and after the blocks are not counted.

    Args:
        shape: of the transformer.
        plan: which block runs in which step.
        exact: keys and values of the condition are made once.
    """
    tokens, memory, width = shape.horizon, 1 + len(shape.groups), shape.width
    runs = plan.sum(axis=(0, 1))
    own = 4 * tokens * width**2 + 2 * tokens**2 * width
    cross = 2 * tokens * width**2 + 2 * tokens * memory * width
    key_value = 2 * memory * width**2
    # The level's token is from a table; the observation's are made once in each layer.
    made = shape.layers * (memory - 1) / memory if exact else float(runs[CROSS])
    counts = {
        "self_attention": int(runs[SELF] * own),
        "cross_attention": int(runs[CROSS] * cross + made * key_value),
        "feed_forward": int(runs[FEED] * 8 * tokens * width**2),
    }
    return counts | {"all": sum(counts.values())}
