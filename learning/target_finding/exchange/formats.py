"""The forms in which a policy leaves, by name; each is written, read back and compared."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asterias.registry import Registry
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.exchange import hugging_face, onnx_export, sb3_export
from learning.target_finding.policies.policy_files import HUB_CARD, Policy


@dataclass(frozen=True)
class PolicyFormat:
    """One form.

    Attributes:
        summary: one line for people.
        write: writes a policy to a path, and returns a sentence on what was checked; or
            ``module:function`` of it.
        suffix: of the file; empty for a folder.
    """

    summary: str
    write: str | Callable[[Policy, Path], str]
    suffix: str = ""

    def run(self, policy: Policy, path: Path) -> str:
        """Write a policy; return what was checked.

        Returns:
            A sentence.
        """
        write: Any = _load(self.write) if isinstance(self.write, str) else self.write
        told: str = write(policy, path)
        return told


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


@dataclass(frozen=True)
class PolicySource:
    """Folders of others that hold a policy.

    Attributes:
        summary: one line for people.
        file: that is in such a folder.
        read: ``module:function`` of what returns a policy for the folder, the options of its task,
            and ``fps`` and ``step_s`` of the data set that it was trained on.
    """

    summary: str
    file: str
    read: str

    def run(
        self, folder: Path, options: TargetFindingOptions, *, fps: float, step_s: float
    ) -> Policy:
        """Return the policy in a folder."""
        policy: Policy = _load(self.read)(folder, options, fps=fps, step_s=step_s)
        return policy


POLICY_SOURCES: Registry[PolicySource] = Registry("source of policies")
POLICY_SOURCES.register(
    "lerobot",
    PolicySource("ACT of LeRobot", HUB_CARD, "learning.action_chunking.exchange:import_lerobot"),
)


def _check(name: str, entry: object) -> None:
    """Refuse what is no format.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(entry, PolicyFormat):
        raise TypeError(f"{name} is no PolicyFormat")


POLICY_FORMATS: Registry[PolicyFormat] = Registry(
    "policy format", "asterias.policy_formats", _check
)
POLICY_FORMATS.register(
    "onnx", PolicyFormat("a graph for ONNX runtimes", onnx_export.write, ".onnx")
)
POLICY_FORMATS.register(
    "sb3", PolicyFormat("a .zip that stable-baselines3 loads", sb3_export.write, ".zip")
)
# It lives in a wing above this one, which is imported when used.
POLICY_FORMATS.register(
    "lerobot",
    PolicyFormat(
        "a folder that LeRobot loads (--algo act)",
        "learning.action_chunking.exchange:export_lerobot",
    ),
)
POLICY_FORMATS.register(
    "huggingface", PolicyFormat("a folder for the Hugging Face hub", hugging_face.write)
)
