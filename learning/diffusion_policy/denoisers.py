"""Denoisers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from asterias.registry import Registry
from learning.diffusion_policy.transformer import DenoiserShape, TransformerDenoiser
from learning.diffusion_policy.unet import UNetDenoiser

Denoiser: TypeAlias = TransformerDenoiser | UNetDenoiser

DENOISERS: Registry[Callable[[DenoiserShape], Denoiser]] = Registry("denoiser")
DENOISERS.register("transformer", TransformerDenoiser)
DENOISERS.register("unet", UNetDenoiser)
