"""Run in an environment with LeRobot: its ACT's answers, for policies of its own and of ours.

``make FOLDER pictures|flags`` keeps an untrained policy there; ``ask FOLDER OUT.npz`` loads the
policy in a folder by LeRobot's own ``from_pretrained`` and keeps what it is asked and answers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.policies.factory import make_pre_post_processors

SMALL = {
    "chunk_size": 4,
    "n_action_steps": 2,
    "dim_model": 16,
    "n_heads": 2,
    "dim_feedforward": 32,
    "n_encoder_layers": 2,
    "n_vae_encoder_layers": 1,
    "latent_dim": 4,
    "device": "cpu",
    "pretrained_backbone_weights": None,
}


def make(folder: Path, kind: str) -> None:
    """Keep an untrained policy, with scales and frozen norms that are not trivial."""
    torch.manual_seed(0)
    inputs = {"observation.state": PolicyFeature(FeatureType.STATE, (4,))}
    about = dict(SMALL)
    if kind == "pictures":
        size = PolicyFeature(FeatureType.VISUAL, (3, 64, 96))
        inputs |= {f"observation.images.limb_0_camera_{j}": size for j in range(4)}
        modes = {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"}
        about |= {"pre_norm": True, "feedforward_activation": "gelu", "n_decoder_layers": 2}
        about["normalization_mapping"] = {k: NormalizationMode(v) for k, v in modes.items()}
    else:
        inputs["observation.environment_state"] = PolicyFeature(FeatureType.ENV, (4,))
    outputs = {"action": PolicyFeature(FeatureType.ACTION, (4,))}
    config = ACTConfig(input_features=inputs, output_features=outputs, **about)
    policy = ACTPolicy(config)
    for name, buffer in policy.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    stats = {}
    for key, feature in (inputs | outputs).items():
        size = (3, 1, 1) if feature.type is FeatureType.VISUAL else feature.shape
        low, width = torch.rand(size) - 0.5, torch.rand(size) + 0.1
        stats[key] = {"mean": low, "std": width, "min": low, "max": low + width}
    for part in (policy, *make_act_pre_post_processors(config, stats)):
        part.save_pretrained(folder)


def ask(folder: Path, out: Path) -> None:
    """Ask a policy, and keep questions and answers."""
    policy = ACTPolicy.from_pretrained(folder)
    before, after = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    torch.manual_seed(1)
    asked = {
        key: torch.rand(3, *about.shape) for key, about in policy.config.input_features.items()
    }
    chunk = policy.predict_action_chunk(before(dict(asked)))
    answers = torch.stack([after(chunk[:, k]) for k in range(chunk.shape[1])], dim=1)
    np.savez(out, chunk=answers.numpy(), **{k: v.numpy() for k, v in asked.items()})


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), sys.argv[3])
    else:
        ask(Path(sys.argv[2]), Path(sys.argv[3]))
