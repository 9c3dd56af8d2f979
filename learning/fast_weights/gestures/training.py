"""Classifiers of one kind and several seeds, trained at once: each step is one pass for all."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from learning.fast_weights.gestures.networks import MEMORIES, SeriesClassifier
from learning.fast_weights.gestures.series import TOKEN_SIZE, IrregularSeries, token_rows, varied

_SMOOTHING = 0.1
_CLIP = 1.0

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassifierOptions:
    """How classifiers learn.

    Attributes:
        memory: by name.
        updates: steps of AdamW.
        batch: series of a step.
        learning_rate: of AdamW; rises for a tenth of the way, then falls to 0 as a cosine.
        weight_decay: of AdamW.
        seed: of the first network and its batches; the next has the next.
    """

    memory: str
    updates: int = 300
    batch: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    seed: int = 0


@dataclass(frozen=True)
class Fold:
    """What one network learns from, and is asked of."""

    learned: Sequence[IrregularSeries]
    labels: Labels
    asked: Sequence[IrregularSeries]


def classify(
    folds: Sequence[Fold],
    classes: int,
    options: ClassifierOptions,
    on_updates: Callable[[int, int], None] = lambda done, total: None,
) -> list[Labels]:
    """Train a network for each fold, all at once.

    Args:
        folds: what each learns from and is asked.
        classes: number of kinds.
        options: how they learn.
        on_updates: told updates and their total.

    Returns:
        The classes that each network gives its series.
    """
    base, state = _networks(len(folds), classes, options)
    adam = torch.optim.AdamW(
        list(state.values()), options.learning_rate, weight_decay=options.weight_decay
    )
    draws = [np.random.default_rng((options.seed + number, 1)) for number in range(len(folds))]
    for done in range(options.updates):
        for group in adam.param_groups:
            group["lr"] = options.learning_rate * _course(done, options.updates)
        series, labels = [], []
        for fold, rng in zip(folds, draws, strict=True):
            rows = rng.permutation(len(fold.learned))[: options.batch]
            rows = np.resize(rows, options.batch)
            series += [varied(fold.learned[int(row)], rng) for row in rows]
            labels.append(fold.labels[rows])
        logits = _run(base, state, series, len(folds))
        wanted = torch.from_numpy(np.concatenate(labels))
        each = cross_entropy(
            logits.flatten(0, 1), wanted, reduction="none", label_smoothing=_SMOOTHING
        )
        adam.zero_grad(set_to_none=True)
        each.view(len(folds), -1).mean(1).sum().backward()  # type: ignore[no-untyped-call]
        _shorten(state)
        adam.step()
        on_updates(done + 1, options.updates)
    return _told(base, state, folds)


def _networks(
    count: int, classes: int, options: ClassifierOptions
) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return a network without weights, and the weights of ``count``, each drawn by its seed."""
    nets = []
    for number in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed + number)
            memory = MEMORIES.get(options.memory)(TOKEN_SIZE)
            nets.append(SeriesClassifier(memory, classes))
    state, _ = stack_module_state(nets)
    base = copy.deepcopy(nets[0]).to("meta")
    return base, {name: part.detach().requires_grad_() for name, part in state.items()}


def _course(done: int, total: int) -> float:
    rise = min(1.0, (done + 1) / max(0.1 * total, 1.0))
    return rise * 0.5 * (1.0 + math.cos(math.pi * done / total))


def _run(
    base: nn.Module, state: dict[str, torch.Tensor], series: Sequence[IrregularSeries], folds: int
) -> torch.Tensor:
    """Return logits ``(F, B, classes)``; series are those of the folds one after the other."""
    rows, times, last = token_rows(series)
    tokens, stamps, ends = (
        torch.from_numpy(part.reshape(folds, -1, *part.shape[1:]))
        for part in (rows.astype(np.float32), times.astype(np.float32), last)
    )

    def one(own: dict[str, torch.Tensor], *given: torch.Tensor) -> Any:
        return functional_call(base, own, given)

    logits: torch.Tensor = vmap(one)(state, tokens, stamps, ends)
    return logits


def _shorten(state: dict[str, torch.Tensor]) -> None:
    """Cut the gradient of each network to the norm :data:`_CLIP`."""
    grads = [part.grad for part in state.values() if part.grad is not None]
    norm = torch.stack([grad.square().flatten(1).sum(1) for grad in grads]).sum(0).sqrt()
    shorter = (_CLIP / norm.clamp(min=1e-9)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(shorter.view(-1, *[1] * (grad.ndim - 1)))


@torch.no_grad()
def _told(base: nn.Module, state: dict[str, torch.Tensor], folds: Sequence[Fold]) -> list[Labels]:
    found = []
    for number, fold in enumerate(folds):
        own = {name: part[number : number + 1] for name, part in state.items()}
        found.append(_run(base, own, fold.asked, 1)[0].argmax(1).numpy())
    return found
