"""rl-zoo3 trains the environment unchanged, and what it leaves becomes a policy of ours."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from learning.__main__ import main
from learning.target_finding.policies.policy_files import find_policy

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = "Asterias/TargetFinding-v0"


@pytest.mark.skipif(
    importlib.util.find_spec("rl_zoo3") is None,
    reason="needs the extra 'rl-zoo': pip install 'asterias[rl-zoo]'",
)
@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_what_rl_zoo3_trains_is_imported_with_its_statistics(
    algorithm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--algo", algorithm, "--env", ENVIRONMENT, "--gym-packages", "learning.environments")
    settings = ["--conf-file", str(ROOT / "examples" / "rl_zoo3.yml")]
    if algorithm == "a2c":  # another learner, with its own settings
        own = f"{ENVIRONMENT}:\n  normalize: true\n  n_timesteps: 100\n  policy: MlpPolicy\n"
        (tmp_path / "a2c.yml").write_text(own)
        settings = ["--conf-file", str(tmp_path / "a2c.yml")]
    sizes = ("-n", "300", "--eval-freq", "-1", "--env-kwargs", "wait_s:0.05")
    train = [sys.executable, "-m", "rl_zoo3.train", *words, *settings, *sizes]
    done = subprocess.run(
        [*train, "-f", str(tmp_path)], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / algorithm / "Asterias-TargetFinding-v0_1"
    assert main(["import", str(folder), "--out", str(tmp_path / "ours")]) == 0
    assert "observations normalised by" in capsys.readouterr().out
    policy = find_policy(str(tmp_path / "ours"))
    assert policy.card["algorithm"] == algorithm and policy.card["sb3_steps"] >= 300


def test_the_settings_for_rl_zoo3_name_the_environment() -> None:
    text = (ROOT / "examples" / "rl_zoo3.yml").read_text(encoding="utf-8")
    assert f"\n{ENVIRONMENT}:\n" in text
