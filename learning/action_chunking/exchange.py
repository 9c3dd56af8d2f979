"""Policies that LeRobot has trained, as ours; and ours in a folder that LeRobot loads."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from asterias.errors import UserError
from asterias.provenance import provenance
from learning.action_chunking.lerobot_folder import (
    LeRobotPolicy,
    read_lerobot,
    write_lerobot,
)
from learning.action_chunking.limb_policy import LimbActPolicy, check_fits, unit_of
from learning.recordings.lerobot import layout
from learning.target_finding.env.options import (
    Observed,
    TargetFindingOptions,
    camera_count,
    with_command_range,
)
from learning.target_finding.policies.policy_files import Policy


def import_lerobot(
    folder: Path, options: TargetFindingOptions, *, fps: float, step_s: float
) -> LimbActPolicy:
    """Return an ACT policy of LeRobot's as a policy of ours.

    Args:
        folder: with ``config.json``, ``model.safetensors`` and the files of the processors.
        options: of the task; what is observed follows from the policy.
        fps: frames a second of the data set that it was trained on.
        step_s: s between two decisions in that data set.

    Returns:
        The policy; its card says where it is from.

    Raises:
        UserError: it is no such folder, or it does not fit the limb.
    """
    if not (fps > 0 and step_s > 0):
        raise UserError("--fps and --step must be above 0.")
    read = read_lerobot(folder)
    observed: Observed = "both" if read.pictures else "commands"
    options = with_command_range(replace(options, observe=observed))
    cameras = camera_count(options)
    try:
        check_fits(read.model, options, cameras)
    except ValueError as error:
        raise UserError(f"{folder} cannot run on this limb: {error}.") from error
    card = {
        **provenance(None),
        "algorithm": "act",
        "imported_from": f"{folder.name} (LeRobot)",
        "cameras": cameras,
        "options": json.loads(json.dumps(asdict(options))),
        "fps": fps,
        "step_s": step_s,
        "pictures": list(read.pictures),
    }
    return LimbActPolicy(read.model, unit_of(options), card)


def export_lerobot(policy: Policy, path: Path) -> str:
    """Write a folder that LeRobot loads.

    Args:
        policy: of the kind ``act``.
        path: folder to make.

    Returns:
        A sentence on what it is.

    Raises:
        UserError: LeRobot has no such network.
    """
    if not isinstance(policy, LimbActPolicy):
        raise UserError(
            "LeRobot has networks of its own, and none like this policy's; train one that both "
            "know: --algo act."
        )
    cameras = range(len(policy.model.shape.pictures))
    limb = policy.card["options"]["limb"]
    names = [f"{layout.IMAGES}limb_{limb}_camera_{j}" for j in cameras]
    pictures = tuple(policy.card.get("pictures") or names)
    write_lerobot(LeRobotPolicy(policy.model, pictures), path, policy.ahead + 1)
    read_lerobot(path)
    return "it loads again; in LeRobot: ACTPolicy.from_pretrained(FOLDER)"
