"""The forms in which a policy leaves, by name; each is written, read back and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asterias.registry import Registry
from learning.target_finding.exchange import hugging_face, onnx_export, sb3_export
from learning.target_finding.policies.policy_files import Policy


@dataclass(frozen=True)
class PolicyFormat:
    """One form.

    Attributes:
        summary: one line for people.
        write: writes a policy to a path, and returns a sentence on what was checked.
        suffix: of the file; empty for a folder.
    """

    summary: str
    write: Callable[[Policy, Path], str]
    suffix: str = ""


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
POLICY_FORMATS.register(
    "huggingface", PolicyFormat("a folder for the Hugging Face hub", hugging_face.write)
)
