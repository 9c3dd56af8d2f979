"""Networks in ONNX Runtime, one thread (extra ``onnx``)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from learning.target_finding.exchange.onnx_graph import require_onnx

_OPSET = 17


def onnx_session(net: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Callable[..., torch.Tensor]:
    """Return what answers as the network does, for any number of rows.

    Args:
        net: the network; its weights are copied.
        inputs: an example of what it takes.

    Passes on the ``UserError`` of packages that are missing.
    """
    require_onnx()
    import onnxruntime

    names = [f"input_{number}" for number in range(len(inputs))]
    rows = {name: {0: "batch"} for name in [*names, "output"]}
    graph: Any = io.BytesIO()
    with warnings.catch_warnings():  # PyTorch would rather export through onnxscript
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            inputs,
            graph,
            dynamo=False,
            input_names=names,
            output_names=["output"],
            dynamic_axes=rows,
            opset_version=_OPSET,
        )
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(
        graph.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    known = [one.name for one in session.get_inputs()]

    def run(*given: torch.Tensor) -> torch.Tensor:
        values = dict(zip(names, given, strict=True))
        fed = {name: values[name].numpy() for name in known}
        return torch.from_numpy(session.run(None, fed)[0])

    return run
