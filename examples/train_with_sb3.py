"""Train with stable-baselines3 as it is, and take the policy to the robot.

    python examples/train_with_sb3.py --steps 6000 --out runs/by_sb3

The environment is plain Gymnasium. What PPO, A2C or SAC has learned becomes a policy of ours, which
`learning evaluate`, `/find_target` and `examples/policy_on_the_robot.py` take by its path.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium
import stable_baselines3 as sb3

import learning.environments  # noqa: F401 - makes the environments known to Gymnasium
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.exchange.sb3_import import import_sb3
from learning.target_finding.policies.policy_files import POLICY_FILE


def main() -> None:
    """Train, save as stable-baselines3 does, import, and print where the policy is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("runs/by_sb3"))
    options = parser.parse_args()

    environment = gymnasium.make("Asterias/TargetFinding-v0")
    model = sb3.PPO(
        "MlpPolicy",
        environment,
        n_steps=min(300, options.steps),
        batch_size=75,
        gamma=0.9,
        learning_rate=lambda left: 4e-3 * left,
        policy_kwargs={"log_std_init": -1.0},
        seed=0,
        device="cpu",
    )
    model.learn(options.steps, progress_bar=False)
    model.save(options.out / "ppo.zip")

    policy = import_sb3(options.out / "ppo.zip", TargetFindingOptions())
    policy.save(options.out / POLICY_FILE)
    environment.close()
    print(f"Now: asterias learning evaluate --policy {options.out}")


if __name__ == "__main__":
    main()
