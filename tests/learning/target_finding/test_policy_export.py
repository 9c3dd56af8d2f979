"""Our policies as ONNX, for stable-baselines3 and for the hub: each acts as ours does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stable_baselines3 as sb3
import yaml
from sb3_contrib import RecurrentPPO

from learning.__main__ import main
from learning.target_finding.env.options import TargetFindingOptions, options_from_card
from learning.target_finding.exchange import sb3_export
from learning.target_finding.exchange.formats import POLICY_FORMATS
from learning.target_finding.exchange.sb3_import import import_sb3
from learning.target_finding.exchange.vec_normalize import find_statistics, read_statistics
from learning.target_finding.policies.linear_policy import SoftmaxPolicy
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import find_policy, trained_policies

WITHOUT_ONNX = "needs onnx and onnxruntime: pip install 'asterias[onnx]'"


def seen_by(policy: Any, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Observations that a policy of commands can have."""
    options = options_from_card(policy.card["options"])
    reach, rng = np.array(options.command_range), np.random.default_rng(seed)
    commands = rng.uniform(-reach, reach, (count, reach.size))
    flags = rng.choice([0.0, 0.25, 0.5], (count, policy.card.get("cameras", 4)))
    return np.hstack([commands, flags]).astype(np.float32)


def normalised() -> NetworkPolicy:
    """A squashed policy with normalised observations."""
    rng = np.random.default_rng(4)
    tensors = {
        "layer_0.weight": rng.normal(0, 0.5, (16, 8)).astype(np.float32),
        "layer_0.bias": rng.normal(0, 0.5, 16).astype(np.float32),
        "layer_1.weight": rng.normal(0, 0.5, (4, 16)).astype(np.float32),
        "layer_1.bias": np.zeros(4, np.float32),
        "std.weight": rng.normal(0, 0.5, (4, 16)).astype(np.float32),
        "std.bias": np.zeros(4, np.float32),
        "normalise.mean": rng.normal(0, 0.2, 8),
        "normalise.std": rng.uniform(0.05, 1.0, 8),
    }
    card = {
        "options": {"command_range": [1.0, 1.0, 0.75, 1.0]},
        "cameras": 4,
        "algorithm": "sac",
        "activation": "relu",
        "squashed": True,
        "observation_clip": 2.0,
    }
    full = {**vars(TargetFindingOptions()), "command_range": [1.0, 1.0, 0.75, 1.0]}
    return NetworkPolicy(
        tensors,
        {**card, "options": {k: list(v) if isinstance(v, tuple) else v for k, v in full.items()}},
    )


def softmax() -> SoftmaxPolicy:
    options = {"command_range": [1.0, 1.0, 0.75, 1.0], "actions": "moves", "move": 0.25}
    weight = np.random.default_rng(5).normal(0, 1, (8, 8)).astype(np.float32)
    return SoftmaxPolicy(weight, {"options": options, "cameras": 4, "algorithm": "ac"})


# A diffusion policy is a loop of its network with noise; it has no form in ONNX.
IN_ONNX = [name for name in trained_policies() if not name.startswith("diffusion")]


@pytest.mark.parametrize("name", [*IN_ONNX, "normalised", "softmax"])
def test_onnx_gives_the_same_actions(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason=WITHOUT_ONNX)
    from learning.target_finding.exchange.onnx_export import TOLERANCE, OnnxPolicy, difference

    own = {"normalised": normalised, "softmax": softmax}
    policy = own[name]() if name in own else find_policy(name)
    told = POLICY_FORMATS.get("onnx").write(policy, tmp_path / "policy.onnx")
    assert "the same actions at 256 observations" in told
    content = (tmp_path / "policy.onnx").read_bytes()
    assert difference(policy, content, seed=9) <= TOLERANCE
    assert OnnxPolicy(tmp_path / "policy.onnx").inputs


def test_what_has_no_form_in_onnx_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason=WITHOUT_ONNX)
    command = ["export", "diffusion_images", "--to", "onnx", "--out", str(tmp_path / "p.onnx")]
    assert main(command) == 2
    assert "has no form in ONNX" in capsys.readouterr().err


def test_a_wrong_graph_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason=WITHOUT_ONNX)
    from learning.target_finding.exchange import onnx_export

    policy, other = normalised(), normalised()
    other.tensors["layer_1.bias"][0] = 0.01  # type: ignore[index]
    graph = onnx_export.policy_graph
    monkeypatch.setattr(onnx_export, "policy_graph", lambda _: graph(other))
    with pytest.raises(ValueError, match="acts otherwise"):
        onnx_export.write(policy, tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()


@pytest.mark.parametrize("name", ["ppo_kill0", "ppo_kill1", "stuck_servo"])
def test_stable_baselines3_loads_it_and_goes_on(name: str, tmp_path: Path) -> None:
    policy = find_policy(name)
    told = sb3_export.write(policy, tmp_path / "policy.zip")
    kind: Any = RecurrentPPO if "RecurrentPPO" in told else sb3.PPO
    model = kind.load(tmp_path / "policy.zip", device="cpu")
    policy.start()
    memory: Any = None
    for number, seen in enumerate(seen_by(policy, 20)):
        start = np.array([number == 0])
        action, memory = model.predict(seen, memory, start, deterministic=True)
        np.testing.assert_allclose(policy.act(seen, None), action, atol=1e-5)


def test_a_normalised_policy_survives_the_way_out_and_in(tmp_path: Path) -> None:
    policy = normalised()
    told = sb3_export.write(policy, tmp_path / "policy.zip")
    place = find_statistics(tmp_path / "policy.zip")
    assert place is not None and str(place) in told
    again = import_sb3(tmp_path / "policy.zip", TargetFindingOptions(), read_statistics(place))
    for seen in seen_by(policy, 20):
        np.testing.assert_allclose(again.act(seen, None), policy.act(seen, None), atol=1e-6)


def test_a_policy_of_pictures_is_sent_to_onnx(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "images", "--to", "sb3", "--out", str(tmp_path / "p.zip")]) == 2
    assert "--to onnx" in capsys.readouterr().err


def test_the_hub_gets_card_config_and_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "finder"
    assert main(["export", "ppo_kill0", "--to", "huggingface", "--out", str(folder)]) == 0
    assert "hf upload OWNER/finder" in capsys.readouterr().out
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    head = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert head["library_name"] == "asterias" and "robotics" in head["tags"]
    policy, again = find_policy("ppo_kill0"), find_policy(str(folder))
    for seen in seen_by(policy, 5):
        np.testing.assert_array_equal(again.act(seen, None), policy.act(seen, None))


def test_a_folder_that_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "ppo_kill0", "--to", "huggingface", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
