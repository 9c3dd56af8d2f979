"""What the encoder of a state estimator learns from, and how its matrices are turned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.fast_weights.estimation.drives import TILE_PX
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import described_once, stills_loss
from learning.fast_weights.estimation.fitting import FitPlan, Optimizers
from learning.fast_weights.estimation.stills import StillsPlan, taken
from learning.fast_weights.estimation.training import ranges_of

PLAN = StillsPlan(count=6, seed=3)


def test_stills_that_were_stopped_are_those_that_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learning.fast_weights.estimation.stills.PART", 2)
    whole = taken(PLAN, tmp_path / "whole")
    told: list[tuple[int, int]] = []
    asked = iter(range(1, 100))
    with pytest.raises(KeyboardInterrupt):
        taken(PLAN, tmp_path / "parts", should_stop=lambda: next(asked) == 3)
    parts = taken(PLAN, tmp_path / "parts", lambda d, t: told.append((d, t)))
    assert told == [(4, 6), (6, 6)], "the first part is not taken again"
    for name in ("tiles", "joints_rad", "eyes"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.tiles.std() > 1.0 and np.unique(whole.joints_rad, axis=0).shape == (6, 4)
    rows = whole.eyes[..., :6].reshape(6, 4, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1.0, atol=1e-5)
    with pytest.raises(UserError, match="holds other stills"):
        taken(replace(PLAN, seed=4), tmp_path / "whole")
    with pytest.raises(UserError, match="more than is free"):
        taken(StillsPlan(count=10**12), tmp_path / "huge")


def test_a_tile_is_described_by_its_own_camera_in_any_order() -> None:
    torch.manual_seed(0)
    encoder = CameraEncoder(4, 4).eval()
    tiles = torch.randint(0, 256, (8, TILE_PX, TILE_PX, 3), dtype=torch.uint8)
    numbers = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    order = torch.tensor([5, 0, 3, 7, 2, 6, 1, 4])
    with torch.no_grad():
        straight = encoder.describe_tiles(tiles, numbers)
        mixed = encoder.describe_tiles(tiles[order], numbers[order])
        other = encoder.describe_tiles(tiles[:1], torch.tensor([2]))
    torch.testing.assert_close(mixed, straight[order])
    assert (other - straight[:1]).abs().max() > 0.01


def test_muon_turns_kernels_in_place_and_leaves_the_rest_to_adamw() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 2, bias=False))
    plan = FitPlan(10, learning_rate=1e-3, muon_rate=0.1, plain=("2.",))
    kernel, _, read_out = net.parameters()
    before, read_before = kernel.detach().clone(), read_out.detach().clone()
    optimizers = Optimizers(net, plan)
    net(torch.randn(64, 8, 3, 3)).square().mean().backward()
    optimizers.step(0.5)
    turned = (kernel.detach() - before).permute(0, 2, 3, 1).reshape(8, -1) / -0.05
    # Five Newton-Schulz rounds bring singular values near 1, not onto it.
    values = torch.linalg.svdvals(turned)
    assert values.max() < 1.3 and values[:2].min() > 0.3
    moved = (read_out.detach() - read_before).abs()
    assert 0.0 < moved.max() <= 0.51e-3, "one step of AdamW"


def test_stills_teach_joints_and_drives_leave_descriptions_alone(tmp_path: Path) -> None:
    stills = taken(PLAN, tmp_path)
    torch.manual_seed(0)
    encoder = CameraEncoder(4, 4)
    loss_of = stills_loss(encoder, stills, ranges_of(load_robot("limb_p1"), 0))
    optimizers = Optimizers(encoder, FitPlan(20, 2e-3, muon_rate=0.02))
    losses = []
    for step in range(6):
        loss = loss_of(np.random.default_rng(step))
        encoder.zero_grad()
        loss.backward()
        optimizers.step(1.0)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0], "six stills are learned by heart"
    with described_once(encoder):
        left = {name for name, own in encoder.named_parameters() if own.requires_grad}
        assert {name.partition(".")[0] for name in left} == {"fuse", "last"}
    assert all(weight.requires_grad for weight in encoder.parameters())
