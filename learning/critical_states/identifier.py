"""The Deep State Identifier (arXiv 2308.07795): which frames of a clip decided what it was worth.

It learns from clips and their returns alone, without actions, rewards on the way, or marks. A
predictor learns the return; a detector learns a mask over time by three losses: the frames that it
keeps suffice to predict the return, those that it leaves say no more than no frames at all, and it
keeps few. Used like a learner of stable-baselines3; what is saved is safetensors with a card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save

from asterias.arrays import ImageArray
from asterias.errors import UserError
from asterias.files import write_bytes, write_json
from learning.critical_states.losses import MaskLosses, mask_losses, return_loss
from learning.critical_states.networks import CriticalStateDetector, ReturnPredictor
from learning.target_finding.algorithms.checkpoint import load_state, save_state
from learning.target_finding.policies.weight_files import read_card, read_tensors

MaskArray = npt.NDArray[np.float32]
# Gets the epochs that are done, and what the last one told, by name.
OnEpoch = Callable[[int, Mapping[str, float]], None]

# Clips that are looked at together where nothing is learned.
_AT_ONCE = 32
_CLIP_NORM = 1.0


@dataclass(frozen=True)
class IdentifierOptions:
    """How is learned.

    The paper's weights are 1, 2 and 5e-3; its compactness is PyTorch's matrix norm of the masks of
    a batch, which is the largest column and not their sum. Here it is the sum over a clip's frames,
    the mean of the batch.

    Attributes:
        warm_up: epochs in which the predictor learns alone, and to see.
        epochs: in which both learn from what it sees.
        batch_size: clips of a step.
        learning_rate: of Adam, for the predictor.
        detector_rate: for the detector.
        weight_decay: likewise.
        sufficiency, necessity, sparsity: weights of the detector's losses.
        spurious: weight of the masks of clips whose class is not explained.
        hidden: share of the clips of which the predictor sees a random part of the frames only.
            With 0, as in the paper, a hidden frame shows it that nothing happens; with more, that
            it is not known.
        explained: classes whose frames are looked for; empty for all. With ``(1,)`` only successes
            must be told from the frames that are kept, and none at all count as a failure: for
            returns where a failure is an omission, which no frame shows.
        falling: the rates rise for a twentieth of each network's steps, then fall as a cosine;
            otherwise they stay.
        flips: clips are mirrored and turned at random; for views from above.
        width, units: of the networks; a quarter of the paper's.
        threshold: of the mask, from which on a frame counts as critical.
        seed: of everything.
    """

    warm_up: int = 8
    epochs: int = 6
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    detector_rate: float = 1.5e-3
    weight_decay: float = 1e-5
    sufficiency: float = 1.0
    necessity: float = 2.0
    sparsity: float = 0.02
    spurious: float = 0.2
    hidden: float = 0.0
    explained: tuple[int, ...] = ()
    falling: bool = False
    flips: bool = False
    width: int = 8
    units: int = 32
    threshold: float = 0.5
    seed: int = 0


class CriticalStates:
    """Learns which frames decided, and says so of new clips.

    Args:
        channels: of the pictures: 3 for RGB, or one for each camera in grey.
        classes: kinds of return, such as 2 for failure and success; 0 for numbers.
        options: how is learned.
        card: what else is to be known of the clips, such as their size; saved with the weights.

    Attributes:
        epochs_done: of learning so far.
        history: what each epoch told.

    Example:
        >>> model = CriticalStates(channels=3)
        >>> model.learn(clips, labels)
        >>> masks = model.predict(clips)
    """

    def __init__(
        self,
        channels: int,
        classes: int = 2,
        options: IdentifierOptions | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.options = options or IdentifierOptions()
        self.channels, self.classes = channels, classes
        self.card = dict(card or {})
        self.epochs_done = 0
        self.history: list[dict[str, float]] = []
        about = self.options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(about.seed)
            size = (channels, about.width, about.units)
            self.predictor = ReturnPredictor(*size, classes or 1)
            self.detector = CriticalStateDetector(self.predictor.encoder.features, about.units)
        self._optimisers = [
            torch.optim.Adam(part.parameters(), rate, weight_decay=about.weight_decay)
            for part, rate in (
                (self.predictor, about.learning_rate),
                (self.detector, about.detector_rate),
            )
        ]
        self._rng = np.random.default_rng(about.seed)
        self._is_begun = False

    # -- learning -------------------------------------------------------------------------------

    def learn(
        self,
        clips: ImageArray,
        returns: npt.NDArray[Any],
        *,
        on_epoch: OnEpoch = lambda done, told: None,
        cancelled: Callable[[], bool] = lambda: False,
        checkpoint: Path | None = None,
    ) -> CriticalStates:
        """Learn; what was learned before is gone on with.

        Args:
            clips: ``(N, T, H, W, C)`` uint8.
            returns: ``(N,)`` numbers of the classes, or the returns themselves.
            on_epoch: told after each epoch.
            cancelled: asked after each epoch; True ends the learning.
            checkpoint: file for the state after each epoch; one that is there is gone on with, and
                leads exactly to what a learning without a break leads to.

        Returns:
            Itself.

        Passes on the UserError of clips that nothing can be learned from, and of a checkpoint of
        other options.
        """
        check_clips(clips, returns, self.channels, self.classes)
        if checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)
        total = self.options.warm_up + self.options.epochs
        while self.epochs_done < total and not cancelled():
            told = self._epoch(clips, returns)
            self.epochs_done += 1
            self.history.append(told)
            if checkpoint is not None:
                self._keep(checkpoint)
            on_epoch(self.epochs_done, told)
        return self

    def _epoch(self, clips: ImageArray, returns: npt.NDArray[Any]) -> dict[str, float]:
        told: list[dict[str, float]] = []
        order = self._rng.permutation(len(clips))
        size = self.options.batch_size
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            self._set_rates(self.epochs_done + first / len(order))
            frames = self._flipped(as_tensor(clips[rows]))
            target = torch.from_numpy(returns[rows])
            told.append(self._step(frames, target.long() if self.classes else target.float()))
        return {key: float(np.mean([one[key] for one in told])) for key in told[0]}

    def _step(self, frames: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
        """Move both networks once: the predictor by whole clips, the detector by its losses.

        Returns:
            The losses by name.
        """
        learns_to_see = self.epochs_done < self.options.warm_up
        with torch.set_grad_enabled(learns_to_see):
            features = self.predictor.encoder(frames)
            nothing = self.predictor.encoder(torch.zeros_like(frames[:1, :1]))
        shown = self._shown(len(frames), frames.shape[1])
        out = self.predictor(shown * features + (1 - shown) * nothing)
        loss = return_loss(out, target, self.classes) + self._of_nothing(nothing, frames.shape[1])
        _move(self._optimisers[0], self.predictor, loss)
        told = {"predictor": loss.item()}
        if self.classes:
            told["accuracy"] = float((out.argmax(1) == target).float().mean())
        if learns_to_see:
            return told
        if not self._is_begun:
            self._begin_detector()
        # The mask blends features, not pixels: for masks of 0 and 1 it is the same, since features
        # are those of single frames; between them, normalised features would not see the dimming.
        parts = mask_losses(
            self.predictor,
            self.detector(features),
            features,
            nothing,
            target,
            self.classes,
            self.options.explained,
        )
        _move(self._optimisers[1], self.detector, self._weighed(parts))
        return told | parts.values()

    def _begin_detector(self) -> None:
        """Let the detector begin with what the predictor knows of the order of frames."""
        self.detector.memory.load_state_dict(self.predictor.memory.state_dict())
        self._is_begun = True

    def _of_nothing(self, nothing: torch.Tensor, frames: int) -> torch.Tensor:
        """Return the loss of a clip without frames, which is of no explained class, as one clip."""
        others = sorted(set(range(self.classes)) - set(self.options.explained))
        if not self.options.explained or not others:
            return torch.zeros(())
        out = self.predictor(nothing.expand(1, frames, -1))
        return return_loss(out, torch.tensor(others[:1]), self.classes) / self.options.batch_size

    def _set_rates(self, epochs: float) -> None:
        """Set the learning rates of a moment of the learning."""
        about = self.options
        if not about.falling:
            return
        begins, total = (0.0, float(about.warm_up)), float(about.warm_up + about.epochs)
        rates = about.learning_rate, about.detector_rate
        for optimiser, begin, rate in zip(self._optimisers, begins, rates, strict=True):
            share = max(epochs - begin, 0.0) / max(total - begin, 1.0)
            rise = min(1.0, 0.05 + 20.0 * share)
            for group in optimiser.param_groups:
                group["lr"] = rate * rise * 0.5 * (1 + math.cos(math.pi * share))

    def _weighed(self, parts: MaskLosses) -> torch.Tensor:
        about = self.options
        return (
            about.sufficiency * parts.sufficiency
            + about.necessity * parts.necessity
            + about.sparsity * parts.sparsity
            + about.spurious * parts.spurious
        )

    def _shown(self, count: int, frames: int) -> torch.Tensor:
        """Return ``(B, T, 1)`` 1 for frames that the predictor sees; drawn without a look at them.

        Learned masks are never learned from: the predictor would read the return off their form.
        """
        hides = self.options.hidden if self.epochs_done >= self.options.warm_up else 0.0
        share = self._rng.random((count, 1)) * (self._rng.random((count, 1)) < hides)
        shown = self._rng.random((count, frames)) >= share
        return torch.from_numpy(shown.astype(np.float32))[..., None]

    def _flipped(self, frames: torch.Tensor) -> torch.Tensor:
        if not self.options.flips:
            return frames
        up, aside, turned = self._rng.random(3) < 0.5
        frames = frames.flip([axis for axis, on in ((3, up), (4, aside)) if on])
        return frames.transpose(3, 4) if turned else frames

    # -- use ------------------------------------------------------------------------------------

    def predict(self, clips: ImageArray) -> MaskArray:
        """Return the masks ``(N, T)`` in [0, 1] of clips ``(N, T, H, W, C)`` uint8."""
        return self._of_each(clips, lambda frames: self.detector(self.predictor.encoder(frames)))

    def predict_return(self, clips: ImageArray) -> MaskArray:
        """Return ``(N, classes)`` probabilities, or ``(N, 1)`` returns, of clips."""

        def expected(frames: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.predictor(self.predictor.encoder(frames))
            return out.softmax(1) if self.classes else out

        return self._of_each(clips, expected)

    def _of_each(
        self, clips: ImageArray, function: Callable[[torch.Tensor], torch.Tensor]
    ) -> MaskArray:
        made = []
        with torch.no_grad():
            for first in range(0, len(clips), _AT_ONCE):
                made.append(function(as_tensor(clips[first : first + _AT_ONCE])))
        found: MaskArray = torch.cat(made).numpy()
        return found

    # -- files ----------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card beside it (JSON)."""
        parts = {"predictor": self.predictor, "detector": self.detector}
        tensors = {
            f"{name}.{key}": value.contiguous()
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        write_bytes(path, save(tensors))
        about = {
            "algorithm": "deep_state_identifier",
            "channels": self.channels,
            "classes": self.classes,
            "options": asdict(self.options),
            "epochs_done": self.epochs_done,
        }
        write_json(path.with_suffix(".json"), {**self.card, **about})

    @classmethod
    def load(cls, path: Path) -> CriticalStates:
        """Return what :meth:`save` wrote, ready to predict.

        Args:
            path: of the ``.safetensors`` file; its card lies beside it.

        Raises:
            UserError: a file is missing, damaged, or none of a Deep State Identifier.
        """
        card = read_card(path.with_suffix(".json"))
        tensors = read_tensors(path)
        own = {"algorithm", "channels", "classes", "options", "epochs_done"}
        try:
            if card["algorithm"] != "deep_state_identifier":
                tensors = {}
            about = {**card["options"]}
            about["explained"] = tuple(about.get("explained", ()))
            options = replace(IdentifierOptions(), **about)
            rest = {key: value for key, value in card.items() if key not in own}
            model = cls(int(card["channels"]), int(card["classes"]), options, rest)
            for name in ("predictor", "detector"):
                state = {
                    key.removeprefix(f"{name}."): torch.from_numpy(value)
                    for key, value in tensors.items()
                    if key.startswith(f"{name}.")
                }
                getattr(model, name).load_state_dict(state)
            model.epochs_done = int(card["epochs_done"])
            model._is_begun = model.epochs_done > options.warm_up
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise UserError(
                f"{path} holds no detector of critical states; make one with "
                "`asterias learning recordings key-frames --train`."
            ) from error
        return model

    def _settings(self) -> dict[str, Any]:
        return {"channels": self.channels, "classes": self.classes, **asdict(self.options)}

    def _keep(self, path: Path) -> None:
        parts = {
            "networks": [self.predictor.state_dict(), self.detector.state_dict()],
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
        }
        about = {
            "epochs_done": self.epochs_done,
            "history": self.history,
            "rng": self._rng.bit_generator.state,
        }
        save_state(path, parts, self._settings(), about)

    def _restore(self, path: Path) -> None:
        parts, about = load_state(path, self._settings())
        for network, state in zip((self.predictor, self.detector), parts["networks"], strict=True):
            network.load_state_dict(state)
        for optimiser, state in zip(self._optimisers, parts["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.epochs_done, self.history = int(about["epochs_done"]), list(about["history"])
        self._is_begun = self.epochs_done > self.options.warm_up
        self._rng.bit_generator.state = about["rng"]


def as_tensor(clips: ImageArray) -> torch.Tensor:
    """Return ``(N, T, C, H, W)`` float32 from 0 to 1 of ``(N, T, H, W, C)`` uint8."""
    return torch.from_numpy(clips).permute(0, 1, 4, 2, 3).float() / 255


def check_clips(clips: ImageArray, returns: npt.NDArray[Any], channels: int, classes: int) -> None:
    """Refuse clips that nothing can be learned from.

    Raises:
        UserError: shape or number is wrong, or all have one label.
    """
    if clips.ndim != 5 or clips.shape[4] != channels or clips.dtype != np.uint8:
        raise UserError(
            f"Clips have the shape (N, T, H, W, {channels}) in uint8, not {clips.shape} in "
            f"{clips.dtype}."
        )
    if len(clips) != len(returns):
        raise UserError(f"There are {len(clips)} clips and {len(returns)} returns; give one each.")
    if not np.isfinite(np.asarray(returns, np.float64)).all():
        raise UserError("A clip's return is no finite number.")
    if len(np.unique(returns)) < 2:
        raise UserError(
            "All clips have the same return, so that nothing tells what decided it; add clips of "
            "the other outcome."
        )
    if classes and not set(np.unique(returns)) <= set(range(classes)):
        raise UserError(f"Labels of {classes} classes are the numbers from 0 to {classes - 1}.")


def _move(optimiser: torch.optim.Optimizer, network: torch.nn.Module, loss: torch.Tensor) -> None:
    """Move one network; the other's gradients are not made."""
    own = list(network.parameters())
    gradients = torch.autograd.grad(loss, own, allow_unused=True)
    for parameter, gradient in zip(own, gradients, strict=True):
        parameter.grad = gradient  # None where the encoder learns no more: it is left as it is
    torch.nn.utils.clip_grad_norm_(own, _CLIP_NORM)
    optimiser.step()
