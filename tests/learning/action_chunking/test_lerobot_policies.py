"""ACT as LeRobot keeps it: policies that it made run here, ours load there; both answer alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.action_chunking.exchange import export_lerobot, import_lerobot
from learning.action_chunking.lerobot_folder import read_lerobot
from learning.action_chunking.limb_policy import LimbActPolicy
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.policy_files import load_policy
from learning.target_finding.policies.registry import make_searcher

HERE = Path(__file__).parent
# A policy that LeRobot 0.4.4 made, with what it was asked and answered.
KEPT = HERE / "lerobot_act"
STATE, FLAGS, IMAGE = "observation.state", "observation.environment_state", "observation.images."
OPTIONS = TargetFindingOptions()


def answers(folder: Path, asked: Any) -> np.ndarray:
    """What our network answers to the same questions."""
    policy = read_lerobot(folder)
    pictures = (
        np.stack([asked[key] for key in policy.pictures], axis=1) if policy.pictures else None
    )
    around = asked.get(FLAGS)
    return np.asarray(policy.model.chunk(asked[STATE], around, pictures))


def imported(folder: Path = KEPT) -> LimbActPolicy:
    """The policy in a folder, on the limb."""
    return import_lerobot(folder, OPTIONS, fps=2, step_s=1.0)


def test_a_policy_of_lerobot_answers_as_it_did_there() -> None:
    asked = dict(np.load(KEPT / "answers.npz"))
    np.testing.assert_allclose(answers(KEPT, asked), asked["chunk"], atol=1e-5)


def test_it_runs_on_the_limb_and_goes_back_unchanged(tmp_path: Path) -> None:
    policy = imported()
    policy.save(tmp_path / "policy.safetensors")
    again = load_policy(tmp_path)
    assert again.card["kind"] == "limb_act" and "LeRobot" in again.card["imported_from"]
    with TargetFindingEnv(OPTIONS) as environment:
        seen, _ = environment.reset(seed=3)
        action = again.act(seen, None)
        environment.step(action)
    np.testing.assert_array_equal(action, policy.act(seen, None))
    # The second action of a chunk is where the joints are sent, within the largest increment.
    joints = policy.unit.position_rad(seen[:4].astype(float))
    chunk = policy.model.chunk(joints[None], seen[None, 4:])
    wanted = policy.unit.command(chunk[0, 1].astype(float)) - seen[:4]
    np.testing.assert_allclose(action, np.clip(wanted, -0.4, 0.4), atol=1e-6)
    assert export_lerobot(again, tmp_path / "hub").startswith("it loads again")
    asked = dict(np.load(KEPT / "answers.npz"))
    np.testing.assert_array_equal(answers(tmp_path / "hub", asked), answers(KEPT, asked))
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert config["type"] == "act" and config["n_action_steps"] == 2


def test_a_searcher_gives_it_flags_or_pictures(tmp_path: Path) -> None:
    imported().save(tmp_path / "policy.safetensors")
    limb = load_robot("limb_p1").limbs[0]
    lower, upper = np.array([joint.limits_rad for joint in limb.joints]).T
    rng = np.random.default_rng(0)
    searcher = make_searcher(str(tmp_path), lower, upper, rng, cameras=4)
    assert not searcher.wants_images and searcher.thinks_long  # type: ignore[attr-defined]
    goal = searcher.act(0.5 * (lower + upper), (0, 1, 2))
    assert (goal >= lower).all() and (goal <= upper).all()


def damaged(folder: Path, **config: Any) -> Path:
    """A copy with another configuration."""
    shutil.copytree(KEPT, folder)
    told = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"type": "diffusion"}, "of the kind 'diffusion'"),
        ({"dim_model": 20}, "not those of the network"),
        ({"n_heads": 3}, "no multiple"),
        ({"dim_model": 10**9}, "no number from"),
        ({"chunk_size": "many"}, "no number from"),
        ({"feedforward_activation": "glu"}, "'glu' is none of"),
        ({"vision_backbone": "resnet50"}, "'resnet50' is none of"),
        ({"replace_final_stride_with_dilation": True}, "dilated"),
        ({"input_features": {}}, "other names"),
        ({"normalization_mapping": {"STATE": "QUANTILES"}}, "MEAN_STD and MIN_MAX are read"),
        ({"output_features": 3}, "no policy that can be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(
    config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        read_lerobot(damaged(tmp_path / "policy", **config))


def test_a_folder_without_scales_or_of_another_limb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json is missing"):
        read_lerobot(tmp_path)
    folder = damaged(tmp_path / "policy")
    with pytest.raises(UserError, match="above 0"):
        import_lerobot(folder, OPTIONS, fps=0, step_s=1.0)
    with pytest.raises(UserError, match=r"takes 4 joints and gives 4; limb 0 of starfish has 8"):
        import_lerobot(folder, TargetFindingOptions(robot="starfish"), fps=2, step_s=1.0)
    (folder / "policy_preprocessor.json").unlink()
    with pytest.raises(UserError, match="migrate_policy_normalization"):
        read_lerobot(folder)


def test_a_policy_that_lerobot_has_no_network_for_is_refused(tmp_path: Path) -> None:
    from learning.target_finding.policies.policy_files import find_policy

    with pytest.raises(UserError, match="--algo act"):
        export_lerobot(find_policy("ppo_kill0"), tmp_path / "hub")


# -- beside LeRobot itself -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def lerobot() -> Any:
    """Runs ``lerobot_reference.py`` in an environment that has LeRobot."""
    python = os.environ.get("ASTERIAS_LEROBOT_PYTHON", "")
    if not python:
        pytest.skip("ASTERIAS_LEROBOT_PYTHON names no Python of an environment with LeRobot.")
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*words: str | Path) -> None:
        command = [python, str(HERE / "lerobot_reference.py"), *map(str, words)]
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.parametrize("kind", ["flags", "pictures"])
def test_both_answer_alike_in_both_directions(lerobot: Any, kind: str, tmp_path: Path) -> None:
    lerobot("make", tmp_path / "theirs", kind)
    policy = imported(tmp_path / "theirs")
    export_lerobot(policy, tmp_path / "ours")
    for name in ("theirs", "ours"):
        out = tmp_path / f"{name}.npz"
        lerobot("ask", tmp_path / name, out)
        asked = dict(np.load(out))
        np.testing.assert_allclose(answers(tmp_path / name, asked), asked["chunk"], atol=1e-5)
    if kind == "pictures":
        tiles = np.random.default_rng(0).integers(0, 255, (4, 48, 48)).astype(np.uint8)
        seen = {"commands": np.zeros(8, np.float32), "images": tiles}
        assert policy.act(seen, None).shape == (4,)
