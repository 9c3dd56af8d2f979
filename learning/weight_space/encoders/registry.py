"""Encoders of recurrent networks by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from asterias.registry import Registry
from learning.weight_space.encoders.mechanistic import (
    EquivariantEncoder,
    FlatEncoder,
    StatisticsEncoder,
)
from learning.weight_space.encoders.probing import ProbingEncoder, TokenQuestions
from learning.weight_space.recurrent_nets import NetForm

# A form of networks and the size of a representation, to an encoder.
MakeEncoder = Callable[[NetForm, int], nn.Module]

ENCODERS: Registry[MakeEncoder] = Registry("encoder", "asterias.weight_encoders")
ENCODERS.register("flat", FlatEncoder)
ENCODERS.register("statistics", StatisticsEncoder)
ENCODERS.register("equivariant", EquivariantEncoder)


@ENCODERS.register("probing")
def probing(form: NetForm, embedding: int) -> nn.Module:
    """Return the non-interactive probing encoder of language models."""
    questions = TokenQuestions(form.inputs)
    return ProbingEncoder(questions, embedding, interactive=False, form=form)


@ENCODERS.register("interactive_probing")
def interactive_probing(form: NetForm, embedding: int) -> nn.Module:
    """Return the interactive probing encoder of language models."""
    questions = TokenQuestions(form.inputs)
    return ProbingEncoder(questions, embedding, interactive=True, form=form)
