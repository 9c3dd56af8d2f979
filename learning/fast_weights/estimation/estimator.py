"""Joint states from pictures, online: pictures in as they come, joints out at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from learning.fast_weights.estimation.drives import TileArray, shrunk
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import JointRanges
from learning.fast_weights.estimation.frames import OLDEST_S
from learning.fast_weights.estimation.joint_filter import JointState
from learning.fast_weights.estimation.models import SEQUENCE_MODELS, SequenceModel
from learning.target_finding.policies.linear_policy import save_policy
from learning.target_finding.policies.weight_files import (
    find_weights,
    read_card,
    read_tensors,
    shortened,
)

KIND = "state_estimator"
ESTIMATOR_FILE = "state_estimator.safetensors"
WEIGHTS = Path(str(files("learning.fast_weights") / "weights"))
# A clock that jumps back so far was started anew.
REWOUND_S = 1.0
# Memories count time from so short ago, so that 32 bits tell milliseconds apart.
REBASE_S = 30.0


@dataclass(frozen=True)
class JointEstimate:
    """Joints at a moment.

    Attributes:
        position_rad, std_rad: ``(n,)``: means and standard deviations.
        newest_frame_s: stamp of the newest picture that it rests on.
    """

    position_rad: FloatArray
    std_rad: FloatArray
    newest_frame_s: float


@dataclass(frozen=True)
class TrainedEstimator:
    """The networks of an estimator, and what they are for.

    Attributes:
        encoder: describes pictures.
        model: remembers.
        joints: names, in the order of the outputs.
        ranges: of the joints.
        card: how it was trained.
    """

    encoder: CameraEncoder
    model: SequenceModel
    joints: tuple[str, ...]
    ranges: JointRanges
    card: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Write ``path`` (weights of 16 bits) and its card, each whole or not at all."""
        tensors: dict[str, npt.NDArray[Any]] = {}
        for prefix, net in (("encoder", self.encoder), ("model", self.model)):
            weights = {name for name, _ in net.named_parameters()}
            for name, value in net.state_dict().items():
                array = value.detach().numpy()
                # Variances of what a layer gives may be beyond 16 bits.
                short = array.astype(np.float16) if name in weights else array
                tensors[f"{prefix}.{name}"] = short
        save_policy(path, KIND, tensors, self.card)


def load_estimator(name: str) -> TrainedEstimator:
    """Return an estimator by its name among those that come with Asterias, or by file or folder.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = find_weights(name, ESTIMATOR_FILE, WEIGHTS)
    if path is None:
        raise UserError(
            f"There is no state estimator '{shortened(name)}'; train one with: python -m learning "
            "train --algo state_estimator --out DIR."
        )
    tensors, card = read_tensors(path), read_card(path.with_suffix(".json"))
    try:
        joints = tuple(str(joint) for joint in card["joints"])
        ranges = JointRanges(np.array(card["lower_rad"]), np.array(card["upper_rad"]))
        encoder = CameraEncoder(int(card["cameras"]), len(joints))
        model = SEQUENCE_MODELS.get(str(card["model"]))(len(joints), int(card["cameras"]))
        for prefix, net in (("encoder", encoder), ("model", model)):
            own = {k: torch.as_tensor(v) for k, v in tensors.items() if k.startswith(f"{prefix}.")}
            net.load_state_dict({k.partition(".")[2]: v for k, v in own.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path} is not a state estimator, its card is another's, or it was trained by an "
            "earlier version; train one with: python -m learning train --algo state_estimator."
        ) from error
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TrainedEstimator(encoder.eval(), model.eval(), joints, ranges, card)


class JointStateEstimator:
    """Estimates joints online: :meth:`take` pictures as they come, :meth:`update`, then ask.

    Args:
        trained: the networks.
    """

    def __init__(self, trained: TrainedEstimator) -> None:
        self.trained = trained
        self._forget()

    def _forget(self) -> None:
        cameras = self.trained.encoder.cameras
        self._waiting: dict[int, TileArray] = {}
        self._stamps_s = np.full(cameras, -np.inf)
        self._described = torch.zeros(cameras, self.trained.encoder.tile_features)
        self._memory: Any = None
        self._joints: JointState | None = None
        self._moment_s = self._origin_s = -np.inf

    @property
    def newest_frame_s(self) -> float:
        """Stamp of the newest picture; minus infinity before the first."""
        return float(self._stamps_s.max())

    def take(self, camera: int, stamp_s: float, picture: ImageArray) -> bool:
        """Take a picture; one that is older than another of its camera is left out.

        Returns:
            Whether it counts.
        """
        if stamp_s < self._stamps_s[camera] - REWOUND_S:
            self._forget()
        if stamp_s <= self._stamps_s[camera]:
            return False
        self._waiting[camera] = shrunk(picture)
        self._stamps_s[camera] = stamp_s
        return True

    @torch.no_grad()
    def update(self, now_s: float) -> bool:
        """Learn from the pictures that have come since the last update.

        Returns:
            Whether there were any.
        """
        if not self._waiting:
            return False
        trained, numbers = self.trained, sorted(self._waiting)
        tiles = torch.from_numpy(np.stack([self._waiting[j] for j in numbers]))
        self._described[numbers] = trained.encoder.describe_tiles(tiles, torch.tensor(numbers))
        self._waiting.clear()
        # Stamps of another clock than ours must not lie in the future.
        now_s = max(now_s, self.newest_frame_s, self._moment_s)
        ages = now_s - self._stamps_s
        seen = ages <= OLDEST_S
        fresh = np.isin(np.arange(len(ages)), numbers) & seen
        self._step(now_s, np.where(seen, ages, 0.0), seen, fresh)
        return True

    def _step(
        self,
        now_s: float,
        ages_s: FloatArray,
        seen: npt.NDArray[np.bool_],
        fresh: npt.NDArray[np.bool_],
    ) -> None:
        trained = self.trained
        ages, there, new = (
            torch.from_numpy(part.astype(np.float32))[None] for part in (ages_s, seen, fresh)
        )
        guess, fresh_guess = (
            trained.encoder.guess(self._described[None], ages, which) for which in (there, new)
        )
        sample = trained.model.sample_of(guess, fresh_guess, ages, new)
        if self._memory is None or now_s - self._moment_s > OLDEST_S:
            self._memory, self._joints, self._origin_s = None, None, now_s
        elif now_s - self._origin_s > REBASE_S:
            shift = self._moment_s - self._origin_s
            self._memory = trained.model.shifted(self._memory, shift)
            self._origin_s += shift
        stamp = torch.tensor([now_s - self._origin_s], dtype=torch.float32)
        self._memory, hidden = trained.model.step(self._memory, sample, stamp)
        gap = torch.tensor([now_s - self._moment_s], dtype=torch.float32)
        self._joints = trained.model.filter.update(self._joints, hidden, sample, gap)
        self._moment_s = now_s

    @torch.no_grad()
    def estimate(self, now_s: float) -> JointEstimate | None:
        """Return the joints at ``now_s``; None before the first picture, or long after the last."""
        since_s = max(now_s - self._moment_s, 0.0)
        if self._joints is None or now_s - self.newest_frame_s > OLDEST_S:
            return None
        since = torch.tensor([since_s], dtype=torch.float32)
        guess = self.trained.model.filter.at(self._joints, since)
        ranges = self.trained.ranges
        mean = guess.mean[0].numpy().astype(np.float64) * ranges.half + ranges.middle
        std = np.exp(0.5 * guess.log_var[0].numpy().astype(np.float64)) * ranges.half
        lower, upper = ranges.middle - ranges.half, ranges.middle + ranges.half
        return JointEstimate(np.clip(mean, lower, upper), std, self.newest_frame_s)


def update_ms(trained: TrainedEstimator, rounds: int = 60) -> float:
    """Return the processor time of new pictures of all cameras and the estimate that follows.

    The median of ``rounds``, in ms, on as many threads as PyTorch has.
    """
    online, spent = JointStateEstimator(trained), []
    cameras = trained.encoder.cameras
    pictures = np.random.default_rng(0).integers(0, 256, (cameras, 96, 96, 3), dtype=np.uint8)
    for number in range(rounds):
        at_s, before_s = 0.1 * number, time.process_time()
        for camera, picture in enumerate(pictures):
            online.take(camera, at_s, picture)
        online.update(at_s + 0.01)
        online.estimate(at_s + 0.02)
        spent.append(time.process_time() - before_s)
    return 1e3 * float(np.median(spent))


def check_limb(trained: TrainedEstimator, joints: Sequence[str], cameras: int) -> None:
    """Check that an estimator is one of a limb with these joints and so many cameras.

    Raises:
        UserError: it is another's.
    """
    if tuple(joints) != trained.joints or cameras != trained.encoder.cameras:
        raise UserError(
            f"The state estimator is of a limb with the joints {', '.join(trained.joints)} and "
            f"{trained.encoder.cameras} cameras, not of {', '.join(joints)} and {cameras}; train "
            "one with: python -m learning train --algo state_estimator."
        )
