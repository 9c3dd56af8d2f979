"""Encoders of limb policies as files: weights as safetensors, and a card; nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from asterias.errors import UserError
from asterias.files import write_bytes, write_text
from learning.policy_search.common.pose_map import PoseMap
from learning.target_finding.policies.weight_files import (
    find_weights,
    read_card,
    read_tensors,
    shortened,
)
from learning.weight_space.archive.limb_encoder import LimbPolicyEncoder, LimbQuestions

KIND = "limb_policy_encoder"
SHIPPED = "limb_p1"
_FOLDER = Path(__file__).parents[1] / "weights"
_FILE = "encoder.safetensors"
_SIZES = ("embedding", "rounds", "parallel", "width")
# Sizes that a card can name: far above ours, far below what would hurt a machine.
_LARGEST = 4096


@dataclass(frozen=True)
class SavedEncoder:
    """An encoder with its card.

    Attributes:
        encoder: of limb policies.
        card: what it was made for and how: ``robot``, ``limb``, ``command_range``, ``cameras``,
            ``increment``, ``cap``, its sizes, and how well it predicts.
    """

    encoder: LimbPolicyEncoder
    card: Mapping[str, Any]

    @property
    def observation(self) -> int:
        """Numbers of an observation: commands and camera flags."""
        return len(self.card["command_range"]) + int(self.card["cameras"])


def encoder_card(encoder: LimbPolicyEncoder, copy: PoseMap) -> dict[str, Any]:
    """Return what a file must say of an encoder so that it can be read back."""
    about, probing = copy.options, encoder.probing
    return {
        "kind": KIND,
        "robot": about.robot,
        "limb": about.limb,
        "command_range": list(about.command_range),
        "cameras": copy.cameras,
        "increment": about.increment,
        "cap": about.cap,
        "interactive": probing.interactive,
        "embedding": probing.embedding,
        "rounds": probing.rounds,
        "parallel": probing.parallel,
        "width": probing.width,
    }


def save_encoder(path: Path, encoder: LimbPolicyEncoder, card: Mapping[str, Any]) -> None:
    """Write ``path`` (safetensors) and its card, each whole or not at all."""
    write_text(path.with_suffix(".json"), json.dumps(card, indent=1) + "\n")
    tensors = {name: part.contiguous() for name, part in encoder.state_dict().items()}
    write_bytes(path, save(tensors))


def find_encoder(name: str) -> SavedEncoder:
    """Return an encoder by its path, or by its name among those that come with Asterias.

    Raises:
        UserError: there is none, it is damaged, or file and card do not fit.
    """
    path = find_weights(name, _FILE, _FOLDER)
    if path is None:
        raise UserError(
            f"There is no encoder '{shortened(name)}': give the path of its .safetensors file, or "
            f"{SHIPPED}, which comes with Asterias."
        )
    card, tensors = read_card(path.with_suffix(".json")), read_tensors(path)
    try:
        encoder = _made(card)
        encoder.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()})
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".:")
        raise UserError(f"{path} and its card do not fit together: {reason}.") from error
    encoder.eval()
    return SavedEncoder(encoder, card)


def _made(card: Mapping[str, Any]) -> LimbPolicyEncoder:
    """Return a fresh encoder of a card's sizes.

    Raises:
        ValueError: it is another kind of card, or a size makes no sense.
    """
    if card.get("kind") != KIND:
        raise ValueError(f"it is of kind {card.get('kind')!r}, not {KIND!r}")
    sizes = {name: int(card[name]) for name in _SIZES}
    whole = [*sizes.values(), int(card["cap"]), int(card["cameras"])]
    reach = [float(one) for one in card["command_range"]]
    if not all(1 <= size <= _LARGEST for size in whole) or not 1 <= len(reach) <= _LARGEST:
        raise ValueError("a size is out of range")
    questions = LimbQuestions(reach, int(card["cameras"]), float(card["increment"]))
    interactive = bool(card["interactive"])
    return LimbPolicyEncoder(questions, int(card["cap"]), interactive=interactive, **sizes)
