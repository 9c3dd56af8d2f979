"""An archive: saved recurrent policies from folders, asked by an encoder, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.target_finding.policies.network_policy import KIND, NetworkPolicy
from learning.target_finding.policies.policy_files import (
    HUB_CARD,
    HUB_FILE,
    PAPER_CAMERAS,
    load_policy,
)
from learning.target_finding.policies.weight_files import read_card, shortened
from learning.weight_space.archive.encoder_files import SavedEncoder
from learning.weight_space.encoders.probing import Asked

# Policies that are looked at; each is asked some 50 questions, which takes milliseconds.
_MOST = 5000
# Policies below this angle (cosine of representations) are told of as doing nearly the same.
ALIKE = 0.999


@dataclass(frozen=True)
class ArchivedPolicy:
    """A recurrent policy of an archive.

    Attributes:
        name: its path in the folder.
        cell: ``rnn``, ``gru`` or ``lstm``.
        policy: the policy.
    """

    name: str
    cell: str
    policy: NetworkPolicy


@dataclass(frozen=True)
class Collection:
    """Policies and what an encoder tells of them.

    Attributes:
        policies: P of them.
        embeddings: ``(P, k)`` representations of length 1.
        steps: ``(P, 3)`` predicted mean steps with each setting of dead cameras.
        cost: ``(P,)`` predicted steps that one or two dead cameras cost. From the head that learned
            of the nearest-pose copy: of the few episodes in the simulation, that difference was
            mostly chance (``archive-cost``).
    """

    policies: Sequence[ArchivedPolicy]
    embeddings: FloatArray
    steps: FloatArray
    cost: FloatArray

    def likeness(self) -> FloatArray:
        """Return cosines ``(P, P)`` of representations: 1 for policies that answer alike."""
        cosines: FloatArray = self.embeddings @ self.embeddings.T
        return cosines

    def neighbours(self, number: int, count: int) -> list[tuple[int, float]]:
        """Return the policies nearest to one, with their cosines, the nearest first."""
        row = self.likeness()[number].copy()
        row[number] = -np.inf
        nearest = np.argsort(-row, kind="stable")[: min(count, len(row) - 1)]
        return [(int(other), float(row[other])) for other in nearest]


def find_policies(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the files of policies in and below folders, and files that are named, by name.

    A name is the path below the folder; with several folders the folder stands before it. Files
    ``.safetensors`` without a card beside them, such as checkpoints, are no policies.

    Raises:
        UserError: a folder is missing or holds none, or there are too many.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        own = [folder] if folder.is_file() else sorted(folder.rglob("*.safetensors"))
        own = [path for path in own if _card_of(path).is_file() and _is_policy(path)]
        if not own:
            raise UserError(
                f"{shortened(str(folder))} holds no policy: name folders of trainings, or of "
                ".safetensors files with their .json beside them."
            )
        for path in own:
            inside = path.relative_to(folder) if folder.is_dir() else Path(path.name)
            name = inside if len(folders) == 1 else folder / inside
            found[name.with_suffix("").as_posix()] = path
    if len(found) > _MOST:
        raise UserError(f"{len(found)} policies are too many; {_MOST} are asked at most.")
    return found


def _card_of(path: Path) -> Path:
    return path.with_name(HUB_CARD) if path.name == HUB_FILE else path.with_suffix(".json")


def _is_policy(path: Path) -> bool:
    return "options" in read_card(_card_of(path))


def load_collection(paths: Mapping[str, Path], saved: SavedEncoder) -> list[ArchivedPolicy]:
    """Return the policies in files, each checked against what the encoder was made for.

    Args:
        paths: of the files, by name.
        saved: the encoder.
    """
    return [
        ArchivedPolicy(name, str(policy.cell), policy)
        for name, policy in ((name, _checked(path, saved)) for name, path in paths.items())
    ]


def _checked(path: Path, saved: SavedEncoder) -> NetworkPolicy:
    """Return a policy that the encoder can ask.

    Raises:
        UserError: it has no memory, is of another robot, or sees something else.
    """
    policy, name = load_policy(path), path  # whole: its end is what tells
    options = policy.card["options"]
    if policy.card["kind"] != KIND or not isinstance(policy, NetworkPolicy) or not policy.cell:
        raise UserError(f"{name} is not recurrent; the archive takes policies with a memory.")
    own = (options.get("robot", "limb_p1"), int(options.get("limb", 0)))
    made_for = (saved.card["robot"], int(saved.card["limb"]))
    if own != made_for:
        raise UserError(
            f"{name} is of limb {own[1]} of {own[0]}; the encoder asks policies of limb "
            f"{made_for[1]} of {made_for[0]}: leave it out, or name another --encoder."
        )
    if options.get("observe", "commands") != "commands" or options.get("goal"):
        raise UserError(f"{name} sees pictures or a goal; the encoder asks with commands alone.")
    seen = len(options["command_range"]) + int(policy.card.get("cameras", PAPER_CAMERAS))
    if seen != saved.observation:
        raise UserError(
            f"{name} has observations of {seen} numbers; the encoder asks with "
            f"{saved.observation}: leave it out, or name another --encoder."
        )
    if _commands(options) != _commands(saved.card):
        raise UserError(f"{name} was trained for other commands than the encoder's; leave it out.")
    return policy


def _commands(about: Mapping[str, Any]) -> tuple[tuple[float, ...], float]:
    return tuple(float(one) for one in about["command_range"]), float(about["increment"])


def ask_collection(policies: Sequence[ArchivedPolicy], saved: SavedEncoder) -> Collection:
    """Ask policies, by what they do alone: hidden units, cells and sizes do not matter.

    Args:
        policies: of an archive.
        saved: the encoder that asks.

    Returns:
        The policies with what was told of them.
    """
    embeddings, steps, costs = [], [], []
    with torch.no_grad():
        for one in policies:
            told = saved.encoder(answers_of(one.policy, saved.encoder.probing.parallel), 1)
            embeddings.append(told.embedding[0].double().numpy())
            steps.append(told.steps[0].double().numpy())
            costs.append(float(told.copy_steps[0, -1] - told.copy_steps[0, 0]))
    return Collection(policies, np.stack(embeddings), np.stack(steps), np.array(costs))


def answers_of(policy: NetworkPolicy, sequences: int) -> Asked:
    """Return what answers for a saved policy: its mean, in parts of the largest increment.

    Args:
        policy: with a memory, of which each sequence gets its own.
        sequences: S sequences side by side.

    Returns:
        A function from observations ``(1, S, o)`` to shares ``(1, S, n)``, step after step.
    """
    several = [NetworkPolicy(policy.tensors, policy.card) for _ in range(sequences)]

    def answer(x: torch.Tensor) -> torch.Tensor:
        rows = [one.act(seen, None) for one, seen in zip(several, x[0].numpy(), strict=True)]
        return torch.tensor(np.stack(rows) / policy.increment, dtype=torch.float32)[None]

    return answer
