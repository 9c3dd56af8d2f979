"""Statistics of observations that a training has kept beside its policy (VecNormalize).

Stable-baselines3 and rl-zoo3 pickle them into ``vecnormalize.pkl``. That file is read as plain
values (:mod:`learning.target_finding.exchange.pickle_values`), so that nothing in it is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_bytes, read_json
from learning.target_finding.exchange.pickle_values import Record, read_values, to_array

FILE = "vecnormalize.pkl"
_LIMIT_BYTES = 64 * 1024 * 1024
# What a person who trusts the file can do where it cannot be read.
_CURE = (
    "if you trust it, load it yourself and write its numbers as JSON: "
    '{"mean": v.obs_rms.mean.tolist(), "var": v.obs_rms.var.tolist(), "epsilon": v.epsilon, '
    '"clip_obs": v.clip_obs}; then give --normalise FILE.json'
)


@dataclass(frozen=True)
class ObservationStatistics:
    """How observations are made equal in size: ``clip((x - mean) / std, -clip, clip)``.

    Attributes:
        mean, std: ``(n,)``.
        clip: greatest size of what results.
    """

    mean: FloatArray
    std: FloatArray
    clip: float


def find_statistics(policy: Path) -> Path | None:
    """Return the statistics that belong to a policy's file, where rl-zoo3 or SB3 has left some.

    Args:
        policy: ``.zip`` file.
    """
    folder = policy.parent
    places = [folder / policy.stem / FILE, folder / FILE, *sorted(folder.glob(f"*/{FILE}"))]
    return next((place for place in places if place.is_file()), None)


def read_statistics(path: Path) -> ObservationStatistics | None:
    """Return the statistics in a ``vecnormalize.pkl``, or in a JSON file with their numbers.

    Args:
        path: of the file.

    Returns:
        None where the training did not normalise observations.

    Raises:
        UserError: they cannot be read without running code from the file; the cure is named.
    """
    try:
        if path.suffix == ".json":
            state = read_json(path)
            mean, var = (np.asarray(state[key], np.float64) for key in ("mean", "var"))
        else:
            state = _state(read_values(read_bytes(path, _LIMIT_BYTES)))
            if not state.get("norm_obs", True):
                return None
            numbers = state["obs_rms"].state
            mean, var = to_array(numbers["mean"]), to_array(numbers["var"])
        epsilon, clip = (float(to_array(state[key])) for key in ("epsilon", "clip_obs"))
        return _checked(mean, var, epsilon, clip)
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{path} cannot be read without running code from it ({reason}); {_CURE}."
        ) from error


def _state(value: Any) -> dict[str, Any]:
    """Return the attributes of a pickled VecNormalize.

    Raises:
        ValueError: it is something else, or of observations that are dictionaries.
    """
    if not isinstance(value, Record) or not value.name.endswith(".VecNormalize"):
        raise ValueError("it holds no VecNormalize")
    state = value.state
    if isinstance(state, dict) and isinstance(state.get("obs_rms"), dict):
        raise ValueError("its statistics are those of several observations")
    if not isinstance(state, dict):
        raise ValueError("it has no attributes")
    return state


def _checked(
    mean: FloatArray, var: FloatArray, epsilon: float, clip: float
) -> ObservationStatistics:
    """Return statistics whose numbers make sense.

    Raises:
        ValueError: they do not.
    """
    std = np.sqrt(var + epsilon)
    finite = np.isfinite(mean).all() and np.isfinite(std).all() and np.isfinite(clip)
    if mean.ndim != 1 or mean.shape != std.shape or not finite or not (std > 0).all() or clip <= 0:
        raise ValueError("its numbers are no mean, variance and clip of a row of numbers")
    return ObservationStatistics(mean, std, clip)
