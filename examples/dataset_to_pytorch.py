"""Learn from recordings in plain PyTorch: frames of episodes as a Dataset.

    ros2 launch launch/demonstrate.launch.xml episodes:=20 policy:=ppo_kill0 out:=runs/shown
    python examples/dataset_to_pytorch.py runs/shown

Recordings and exported data sets (LeRobot, folders) are read alike; keys are those of LeRobot.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from learning.recordings.datasets import FramesDataset


def main() -> None:
    """Fit a network from joint positions to the commanded ones, and print its error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()

    frames = FramesDataset(options.path, pictures=False)
    first = frames[0]
    joints = first["action"].numel()
    print(f"{len(frames.episodes)} episodes, {len(frames)} frames, {joints} joints.")
    network = nn.Sequential(nn.Linear(joints, 64), nn.Tanh(), nn.Linear(64, joints))
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    loader = DataLoader(frames, batch_size=64, shuffle=True)
    for _ in range(options.epochs):
        errors = []
        for batch in loader:
            error = nn.functional.mse_loss(network(batch["observation.state"]), batch["action"])
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            errors.append(error.item())
    print(f"Error of a commanded position: {(sum(errors) / len(errors)) ** 0.5:.3f} rad.")


if __name__ == "__main__":
    main()
