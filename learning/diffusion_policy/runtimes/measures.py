"""Whether another runtime pays: PyTorch as it is, traced, ``torch.compile``, ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.runtimes.onnx_runtime import onnx_session
from learning.diffusion_policy.two_ways.measures import TIMED
from learning.recordings.episode_data import Floats
from learning.target_finding.policies.encoder import TILE_PX, TileEncoder

# Steps of denoising in a timed chunk.
STEPS = 16

DenoisingStep = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def runtime_rows(
    model: DiffusionModel, observations: Floats, first: int | None = None
) -> list[dict[str, Any]]:
    """Return ms of processor time for a chunk's denoising, without caches, by runtime.

    Args:
        model: of a transformer.
        observations: ``(N, F)`` of demonstrations; one of them is taken.
        first: how many runtimes to try beside PyTorch itself; None tries all.
    """
    torch.set_num_threads(1)
    net, shape = model.denoiser, model.denoiser.shape
    draws = torch.Generator().manual_seed(0)
    noisy = torch.randn((1, shape.horizon, shape.actions), generator=draws)
    with torch.inference_mode():
        memory = net.encode(model.scales.observation(observations[:1]))
    inputs = noisy, torch.tensor([50]), memory
    rows = []
    for name, make in list(RUNTIMES.items())[: None if first is None else first + 1]:
        began = time.monotonic()
        step = make(net, inputs)
        with torch.no_grad():
            given = step(*inputs)
            ready_s = time.monotonic() - began
            plain = net(*inputs)
            spent = _chunk_ms(step, inputs)
        rows.append(
            {
                "runtime": name,
                "chunk_ms": round(spent, 3),
                "difference": float(f"{float((given - plain).abs().max()):.1e}"),
                "ready_s": round(ready_s, 1),
            }
        )
    return rows


def encoder_rows(encoder: TileEncoder) -> list[dict[str, Any]]:
    """Return ms of processor time for one look of a camera encoder, by runtime."""
    tiles = torch.randint(0, 255, (1, encoder.cameras, TILE_PX, TILE_PX), dtype=torch.uint8)
    rows = []
    with torch.no_grad():
        plain = encoder(tiles)
        for name, step in (("PyTorch", encoder), ("ONNX Runtime", onnx_session(encoder, (tiles,)))):
            apart = float((step(tiles) - plain).abs().max())
            spent = _chunk_ms(step, (tiles,), 1)
            rows.append(
                {
                    "runtime": name,
                    "look_ms": round(spent, 3),
                    "difference": float(f"{apart:.1e}"),
                }
            )
    return rows


def _chunk_ms(
    step: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...], steps: int = STEPS
) -> float:
    spent = []
    for _ in range(TIMED):
        began = time.thread_time()
        for _ in range(steps):
            step(*inputs)
        spent.append(time.thread_time() - began)
    return 1e3 * float(np.median(spent))


def _as_it_is(net: nn.Module, inputs: tuple[torch.Tensor, ...]) -> DenoisingStep:
    return net


def _traced(net: nn.Module, inputs: tuple[torch.Tensor, ...]) -> DenoisingStep:
    traced: Any = torch.jit.trace(net, inputs)  # type: ignore[no-untyped-call]
    step: DenoisingStep = torch.jit.freeze(traced)
    return step


def _compiled(net: nn.Module, inputs: tuple[torch.Tensor, ...]) -> DenoisingStep:
    compiled: DenoisingStep = torch.compile(net)
    return compiled


RUNTIMES: dict[str, Callable[[nn.Module, tuple[torch.Tensor, ...]], DenoisingStep]] = {
    "PyTorch": _as_it_is,
    "traced and frozen": _traced,
    "ONNX Runtime": onnx_session,
    "torch.compile": _compiled,
}
