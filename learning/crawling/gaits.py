"""Gaits: a linear policy of the clock, which is a central pattern generator, and how it is kept.

The action of mode m is ``tanh(w_m . (sin p, cos p) + b_m)``: amplitude and phase of each limb's
press and sweep, and the middle they swing about, 36 numbers for six limbs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_json
from learning.crawling.limb_modes import MODES, mirroring

if TYPE_CHECKING:  # nodes that run a gait need no simulation
    from learning.crawling.environment import StarfishCrawlEnv

# Limbs of a robot that a gap between two of them can lead (:func:`led_by_gap`).
GAP_LIMBS = 6
GAITS = Path(str(files("learning") / "crawling" / "gaits"))


@dataclass(frozen=True)
class Gait:
    """A gait.

    Attributes:
        theta: ``(3 m,)`` of ``m`` modes: weights of sine and cosine ``(m, 2)`` row by row, then
            ``m`` middles, as a linear policy of :mod:`learning.policy_search` has them.
        card: how it was learned.
    """

    theta: FloatArray
    card: dict[str, Any]

    def act(self, observation: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
        """Return the action ``(m,)`` for an observation that begins with sine and cosine."""
        modes = self.theta.size // 3
        weight, middle = self.theta[: 2 * modes].reshape(modes, 2), self.theta[2 * modes :]
        action = np.tanh(weight @ observation[:2].astype(np.float64) + middle)
        return action.astype(np.float32)

    def save(self, path: Path) -> None:
        """Write it as a JSON file of some hundred bytes."""
        write_json(path, {**self.card, "theta": [round(float(x), 6) for x in self.theta]})


def load_gait(name: str) -> Gait:
    """Return a gait by name (``rowing``) or path.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = Path(name) if name.endswith(".json") else GAITS / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in GAITS.glob("*.json")))
        raise UserError(f"There is no gait {name!r}; known are {known}.")
    data = read_json(path)
    try:
        theta = np.array(data.pop("theta"), dtype=np.float64)
        sound = theta.ndim == 1 and theta.size > 0 and theta.size % 3 == 0
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no gait: {error}.") from error
    if not sound or not np.isfinite(theta).all():
        raise UserError(f"{path} holds no gait: theta must be finite numbers, three a mode.")
    return Gait(theta, data)


def walk(environment: StarfishCrawlEnv, theta: FloatArray, seed: int = 0) -> dict[str, float]:
    """Return what came of one episode of a gait.

    Returns:
        ``lengths`` in the heading or towards the target, ``lengths_per_min``, ``sideways`` (along
        y) in lengths, and whether a target was ``reached`` (1 or 0) after ``seconds``.

    Raises:
        UserError: the gait does not fit the robot.
    """
    gait = Gait(theta, {})
    if theta.size != 3 * math.prod(environment.action_space.shape or ()):
        raise UserError(f"A gait of {theta.size} numbers does not fit this robot.")
    observation, _ = environment.reset(seed=seed)
    total, steps, reached, over = 0.0, 0, False, False
    while not over:
        action = gait.act(observation)
        observation, reward, reached, truncated, _ = environment.step(action)
        total, steps, over = total + reward, steps + 1, reached or truncated
    crawler = environment.crawler
    seconds = steps / float(environment.metadata["render_fps"])
    return {
        "lengths": total,
        "lengths_per_min": 60.0 * total / seconds,
        "sideways": float(crawler.position_m[1]) / crawler.length_m,
        "reached": float(reached),
        "seconds": seconds,
    }


def both_sides(theta: FloatArray) -> FloatArray:
    """Return the gait of all limbs ``(6 limbs,)`` from a mirrored one ``(3 limbs,)``."""
    limbs = theta.size // 3
    spread = mirroring(limbs)
    weight, middle = theta[: 2 * limbs].reshape(limbs, 2), theta[2 * limbs :]
    return np.concatenate([(spread @ weight).ravel(), spread @ middle])


def led_by(theta: FloatArray, limb: int) -> FloatArray:
    """Return the gait turned so that ``limb`` does what limb 0 did: the robot has no front."""
    modes = theta.size // 3
    weight = theta[: 2 * modes].reshape(-1, 2 * MODES)
    middle = theta[2 * modes :].reshape(-1, MODES)
    return np.concatenate([np.roll(weight, limb, axis=0).ravel(), np.roll(middle, limb, 0).ravel()])


def led_by_gap(theta: FloatArray, limb: int) -> FloatArray:
    """Return the gait turned so that the gap to the left of ``limb`` leads, of six limbs.

    Limbs 30 and 90 degrees from the way do what those 60 degrees from it did, limbs 150 degrees
    from it what those at 120 degrees did. The limbs that led and followed have no part in it: they
    pushed little, and of two lost ones that are neighbours neither need be on one side alone.

    Raises:
        UserError: the gait is not one of six limbs.
    """
    limbs = theta.size // (3 * MODES)
    if limbs != GAP_LIMBS:
        raise UserError(f"A gap leads a gait of {GAP_LIMBS} limbs, and this one has {limbs}.")
    modes = MODES * limbs
    weight, middle = theta[: 2 * modes].reshape(limbs, -1), theta[2 * modes :].reshape(limbs, -1)
    # Behind the gap's limb, going left from it: what each limb does, by its number in the gait.
    parts = np.array([5, 1, 1, 2, 4, 5])
    turned = [np.roll(part[parts], limb, axis=0).ravel() for part in (weight, middle)]
    return np.concatenate(turned)
