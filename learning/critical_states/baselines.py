"""What a learned mask is compared with: as many frames, chosen in other ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from asterias.arrays import ImageArray
from asterias.errors import UserError
from asterias.registry import Registry
from learning.critical_states.identifier import CriticalStates, as_tensor
from learning.critical_states.scores import Marks

Counts = npt.NDArray[np.int64]
Chooser = Callable[[CriticalStates, ImageArray, Counts, int], Marks]
# Ways to choose as many frames of each clip: (model, clips, counts, seed) to marks (N, T).
CHOOSERS: Registry[Chooser] = Registry("choice of frames")

_AT_ONCE = 8
_PATH_STEPS = 16


@CHOOSERS.register("random")
def random_frames(model: CriticalStates, clips: ImageArray, counts: Counts, seed: int) -> Marks:
    """Return random frames."""
    return highest(np.random.default_rng(seed).random(clips.shape[:2]), counts)


@CHOOSERS.register("uniform")
def uniform_frames(model: CriticalStates, clips: ImageArray, counts: Counts, seed: int) -> Marks:
    """Return frames evenly far apart."""
    marks = np.zeros(clips.shape[:2], np.bool_)
    for row, count in enumerate(counts):
        places = (np.arange(count) + 0.5) * clips.shape[1] / max(count, 1)
        marks[row, places.astype(int)] = True
    return marks


@CHOOSERS.register("gradient saliency")
def gradient_saliency(model: CriticalStates, clips: ImageArray, counts: Counts, seed: int) -> Marks:
    """Return frames by the size of the predictor's gradient with respect to their pixels."""
    rows = []
    for first in range(0, len(clips), _AT_ONCE):
        frames = as_tensor(clips[first : first + _AT_ONCE]).requires_grad_()
        (gradient,) = torch.autograd.grad(_told(model, frames).sum(), frames)
        rows.append(gradient.abs().sum((2, 3, 4)))
    return highest(torch.cat(rows).numpy(), counts)


@CHOOSERS.register("integrated gradients")
def integrated_gradients(
    model: CriticalStates, clips: ImageArray, counts: Counts, seed: int
) -> Marks:
    """Return frames by integrated gradients from a black clip, as captum computes them.

    Raises:
        UserError: captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise UserError(
            "Integrated gradients need captum, which is not installed: `pip install captum`, "
            "or leave them out with --no-captum."
        ) from error
    method = IntegratedGradients(lambda frames: _told(model, frames))
    rows = []
    for first in range(0, len(clips), _AT_ONCE):
        frames = as_tensor(clips[first : first + _AT_ONCE])
        given = method.attribute(frames, n_steps=_PATH_STEPS, internal_batch_size=_AT_ONCE)
        rows.append(given.detach().abs().sum((2, 3, 4)).float())
    return highest(torch.cat(rows).numpy(), counts)


def highest(values: npt.NDArray[np.floating], counts: Counts) -> Marks:
    """Return ``(N, T)`` True for the ``counts`` ``(N,)`` highest of values ``(N, T)``."""
    ranks = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1)
    marks: Marks = ranks < counts[:, None]
    return marks


def _told(model: CriticalStates, frames: torch.Tensor) -> torch.Tensor:
    """Return ``(B,)`` the predictor's logit of its own answer, or its return."""
    out: torch.Tensor = model.predictor(model.predictor.encoder(frames))
    return out.amax(1)
