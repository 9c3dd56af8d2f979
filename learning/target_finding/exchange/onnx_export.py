"""``export --to onnx``: write a policy's graph, and run it beside the policy before it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.errors import UserError
from asterias.files import write_bytes
from learning.target_finding.env.options import options_from_card
from learning.target_finding.exchange.onnx_graph import policy_graph, require_onnx
from learning.target_finding.policies.encoder import TILE_PX
from learning.target_finding.policies.linear_policy import SoftmaxPolicy
from learning.target_finding.policies.policy_files import Policy

# Largest difference of an action, in commands of which a joint's range is 2: float32's rounding
# through some layers is a hundred times smaller.
TOLERANCE = 1e-5
CHECKED = 256


def write(policy: Policy, path: Path) -> str:
    """Write the policy as ONNX.

    Args:
        policy: of ours.
        path: file to write.

    Returns:
        A sentence on the comparison.

    Raises:
        UserError: it has no such form, or acts otherwise in the runtime.
    """
    content = policy_graph(policy).SerializeToString()
    apart = difference(policy, content)
    if not apart <= TOLERANCE:
        raise UserError(
            f"{path} was not written: in onnxruntime the policy acts otherwise, by {apart:.1e} "
            f"where {TOLERANCE:g} is allowed."
        )
    write_bytes(path, content)
    return f"onnxruntime gives the same actions at {CHECKED} observations, to {apart:.1e}"


def difference(policy: Policy, content: bytes, seed: int = 0) -> float:
    """Return the largest difference of an action between the policy and its graph.

    Args:
        policy: of ours.
        content: the graph.
        seed: of the observations, which a policy with memory sees as one episode.
    """
    runner = OnnxPolicy(content)
    policy.start()
    rng = np.random.default_rng(seed)
    apart = 0.0
    for _ in range(CHECKED):
        seen = _observation(policy, runner, rng)
        ours = np.asarray(policy.act(seen, None), np.float64)
        apart = max(apart, float(np.abs(ours - runner.act(seen)).max()))
    policy.start()
    return apart


class OnnxPolicy:
    """Runs a policy's graph in onnxruntime, an observation at a time.

    Args:
        source: the graph, or the path of its file.
    """

    def __init__(self, source: bytes | Path) -> None:
        require_onnx()
        import onnxruntime

        model = source if isinstance(source, bytes) else str(source)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {one.name: one.shape[1:] for one in self._session.get_inputs()}
        self._outputs = [one.name for one in self._session.get_outputs()]
        self.start()

    def start(self) -> None:
        """Reset the memory of the last episode."""
        self._memory = {
            name: np.zeros((1, *shape), np.float32)
            for name, shape in self.inputs.items()
            if name in ("hidden", "cell")
        }

    def act(self, observation: Any) -> npt.NDArray[Any]:
        """Return the action, or the number of the move, for one observation."""
        seen = {name: observation[None] for name in ("observation", "tiles") if name in self.inputs}
        values = self._session.run(None, {**seen, **self._memory})
        named = dict(zip(self._outputs, values, strict=True))
        self._memory = {name: named[f"next_{name}"] for name in self._memory}
        return np.asarray(named["action" if "action" in named else "move"][0])


def _observation(policy: Policy, runner: OnnxPolicy, rng: np.random.Generator) -> Any:
    """Return an observation that the policy could see."""
    if "tiles" in runner.inputs:
        shape = (int(runner.inputs["tiles"][0]), TILE_PX, TILE_PX)
        return rng.integers(0, 256, shape, dtype=np.uint8)
    size = int(runner.inputs["observation"][0])
    reach = np.asarray(options_from_card(policy.card["options"]).command_range)
    if isinstance(policy, SoftmaxPolicy) or size >= reach.size:
        flags = rng.choice([0.0, 0.25, 1 / 3, 0.5, 1.0], size - reach.size)
        return np.concatenate([rng.uniform(-reach, reach), flags]).astype(np.float32)
    return rng.uniform(-1, 1, size).astype(np.float32)
