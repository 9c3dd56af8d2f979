"""A policy as an ONNX graph, which any ONNX runtime runs without Python or PyTorch.

Inputs and outputs have a batch as their first dimension. ``action`` is what the policy does without
noise; ``log_std`` is the logarithm of its noise's deviation, before a squashed policy's tanh. The
memory of a recurrent policy goes in and out: ``hidden`` and ``cell``, zeros at an episode's start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias import __version__
from asterias.errors import UserError
from learning.target_finding.policies.encoder import TILE_FEATURES, TILE_PX, Tensors
from learning.target_finding.policies.linear_policy import LinearPolicy, SoftmaxPolicy
from learning.target_finding.policies.network_policy import NetworkPolicy

# Of 2024, and known to every runtime of since then.
OPSET, IR_VERSION = 17, 8
# Range of a soft actor-critic's log_std, as stable-baselines3 clips it.
LOG_STD_RANGE = (-20.0, 2.0)
# Rows of numbers in the encoder's nested layers: (name, stride, padding) and linear layers.
_CONVOLUTIONS = (("tile.0", 2, 2), ("tile.2", 2, 1), ("tile.4", 2, 1))
_GUESS = ("guess.0", "guess.2", "guess.4")


def require_onnx() -> Any:
    """Return the package onnx.

    Raises:
        UserError: it is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(
            "ONNX needs the packages onnx and onnxruntime: pip install 'asterias[onnx]'."
        ) from error
    return onnx


class _Graph:
    """Collects nodes, constants, inputs and outputs."""

    def __init__(self) -> None:
        self.onnx = require_onnx()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return the name of numbers, which are added."""
        name = f"c{len(self._constants)}"
        array = np.ascontiguousarray(np.asarray(value), dtype=dtype)
        self._constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def do(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Return the name of the output of a node that is added, or a tuple of them."""
        names = [f"v{len(self._nodes)}_{i}" for i in range(outputs)]
        make = self.onnx.helper.make_node
        self._nodes.append(make(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def layer(self, x: str, weight: npt.NDArray[Any], bias: npt.NDArray[Any]) -> str:
        """Return the name of ``x @ weight.T + bias``."""
        w, b = self.constant(weight), self.constant(bias)
        name: str = self.do("Gemm", x, w, b, transB=1)
        return name

    def input(self, name: str, shape: tuple[int, ...], kind: str = "FLOAT") -> str:
        """Return the name of an input, a batch of this shape."""
        self._inputs.append(self._value(name, shape, kind))
        return name

    def output(self, name: str, value: str, shape: tuple[int, ...], kind: str = "FLOAT") -> None:
        """Add an output."""
        self._nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(self._value(name, shape, kind))

    def model(self, card: Mapping[str, Any]) -> Any:
        """Return the checked model, with the protocol of the card as its metadata."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self._nodes, "policy", self._inputs, self._outputs, self._constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="asterias",
            producer_version=__version__,
        )
        about = {"options": json.dumps(card["options"]), "algorithm": str(card.get("algorithm"))}
        helper.set_model_props(model, about)
        self.onnx.checker.check_model(model, full_check=True)
        return model

    def _value(self, name: str, shape: tuple[int, ...], kind: str) -> Any:
        types = getattr(self.onnx.TensorProto, kind)
        return self.onnx.helper.make_tensor_value_info(name, types, ["batch", *shape])


def policy_graph(policy: Any) -> Any:
    """Return the ONNX model of a policy of ours.

    Args:
        policy: linear, softmax or of layers.

    Raises:
        UserError: it is of another kind, or onnx is not installed.
    """
    if isinstance(policy, LinearPolicy):
        return _linear(policy)
    if isinstance(policy, SoftmaxPolicy):
        return _softmax(policy)
    if isinstance(policy, NetworkPolicy):
        return _network(policy)
    raise UserError(f"A {type(policy).__name__} has no form in ONNX.")


def _linear(policy: LinearPolicy) -> Any:
    graph = _Graph()
    joints, inputs = policy.weight.shape
    mean = graph.layer(graph.input("observation", (inputs,)), policy.weight, policy.bias)
    _actions(graph, mean, graph.constant(policy.log_std), joints, policy.increment, False)
    return graph.model(policy.card)


def _softmax(policy: SoftmaxPolicy) -> Any:
    graph = _Graph()
    moves, inputs = policy.weight.shape
    seen = graph.input("observation", (inputs,))
    preference = graph.layer(seen, policy.weight, np.zeros(moves))
    move = graph.do("ArgMax", preference, axis=1, keepdims=0)
    graph.output("move", move, (), "INT64")
    graph.output("preference", preference, (moves,))
    return graph.model(policy.card)


def _network(policy: NetworkPolicy) -> Any:
    if policy.cell not in (None, "lstm"):  # told first: no package would help
        raise UserError(
            f"A policy with a {policy.cell} memory has no ONNX graph here; only lstm has one."
        )
    graph, part, card = _Graph(), policy.tensors, policy.card
    if "encoder.shape" in part:
        x = _encoded(graph, part)
    else:
        first = "lstm.weight_ih" if "lstm.weight_ih" in part else "layer_0.weight"
        x = graph.input("observation", (int(part[first].shape[1]),))
    if "normalise.mean" in part:
        x = _normalised(graph, x, part, float(card["observation_clip"]))
    if "lstm.weight_hh" in part:
        x = _remembered(graph, x, part)
    count = sum(name.startswith("layer_") and name.endswith(".weight") for name in part)
    for i in range(count - 1):
        x = graph.layer(x, part[f"layer_{i}.weight"], part[f"layer_{i}.bias"])
        x = graph.do("Tanh" if card["activation"] == "tanh" else "Relu", x)
    last = part[f"layer_{count - 1}.weight"]
    mean = graph.layer(x, last, part[f"layer_{count - 1}.bias"])
    if "std.weight" in part:
        spread = graph.layer(x, part["std.weight"], part["std.bias"])
        low, high = map(graph.constant, LOG_STD_RANGE)
        log_std = graph.do("Clip", spread, low, high)
    else:
        log_std = graph.constant(part["log_std"])
    squashed = bool(card.get("squashed"))
    _actions(graph, mean, log_std, int(last.shape[0]), policy.increment, squashed)
    return graph.model(card)


def _actions(
    graph: _Graph, mean: str, log_std: str, joints: int, increment: float, squashed: bool
) -> None:
    """Add what all policies of increments end with."""
    if squashed:
        mean = graph.do("Mul", graph.do("Tanh", mean), graph.constant(increment))
    clipped = graph.do("Clip", mean, graph.constant(-increment), graph.constant(increment))
    graph.output("action", clipped, (joints,))
    spread = graph.do("Expand", log_std, graph.do("Shape", mean))
    graph.output("log_std", spread, (joints,))


def _normalised(graph: _Graph, x: str, part: Tensors, clip: float) -> str:
    """Return ``clip((x - mean) / std)``, in double precision as in training."""
    x = graph.do("Cast", x, to=graph.onnx.TensorProto.DOUBLE)
    x = graph.do("Sub", x, graph.constant(part["normalise.mean"], np.float64))
    x = graph.do("Div", x, graph.constant(part["normalise.std"], np.float64))
    low, high = (graph.constant(end, np.float64) for end in (-clip, clip))
    name: str = graph.do("Cast", graph.do("Clip", x, low, high), to=graph.onnx.TensorProto.FLOAT)
    return name


def _remembered(graph: _Graph, x: str, part: Tensors) -> str:
    """Return the output of a step of PyTorch's LSTM: gates input, forget, cell, output."""
    units = int(part["lstm.weight_hh"].shape[1])
    hidden, cell = graph.input("hidden", (units,)), graph.input("cell", (units,))
    seen = graph.layer(x, part["lstm.weight_ih"], part["lstm.bias_ih"])
    known = graph.layer(hidden, part["lstm.weight_hh"], part["lstm.bias_hh"])
    sizes = graph.constant([units] * 4, np.int64)
    gates = graph.do("Split", graph.do("Add", seen, known), sizes, outputs=4, axis=1)
    take, forget, give = (graph.do("Sigmoid", gates[i]) for i in (0, 1, 3))
    new = graph.do("Mul", take, graph.do("Tanh", gates[2]))
    kept = graph.do("Add", graph.do("Mul", forget, cell), new)
    given: str = graph.do("Mul", give, graph.do("Tanh", kept))
    graph.output("next_hidden", given, (units,))
    graph.output("next_cell", kept, (units,))
    return given


def _encoded(graph: _Graph, part: Tensors) -> str:
    """Return the commands that the encoder estimates from tiles ``(batch, c, 48, 48)`` uint8."""
    cameras = int(part["encoder.shape"][0])
    tiles = graph.input("tiles", (cameras, TILE_PX, TILE_PX), "UINT8")
    x = graph.do("Cast", tiles, to=graph.onnx.TensorProto.FLOAT)
    x = graph.do("Sub", graph.do("Div", x, graph.constant(127.5)), graph.constant(1.0))
    x = graph.do("Reshape", x, graph.constant([-1, 1, TILE_PX, TILE_PX], np.int64))
    for name, stride, pad in _CONVOLUTIONS:
        weight, bias = part[f"encoder.{name}.weight"], part[f"encoder.{name}.bias"]
        w, b = graph.constant(weight), graph.constant(bias)
        x = graph.do("Conv", x, w, b, strides=[stride] * 2, pads=[pad] * 4)
        x = graph.do("Relu", x)
    x = graph.do("Flatten", x)
    x = graph.layer(x, part["encoder.describe.0.weight"], part["encoder.describe.0.bias"])
    x = graph.do("Relu", x)
    x = graph.do("Reshape", x, graph.constant([-1, TILE_FEATURES * cameras], np.int64))
    for name in _GUESS:
        x = graph.layer(x, part[f"encoder.{name}.weight"], part[f"encoder.{name}.bias"])
        x = x if name == _GUESS[-1] else graph.do("Relu", x)
    return str(x)
