"""Policies of strangers, wrong or damaged, are refused at loading in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from asterias.errors import UserError
from learning.target_finding.algorithms.self_supervised import find_encoder
from learning.target_finding.policies.policy_files import TRAINED, find_policy, load_policy
from learning.target_finding.policies.registry import make_searcher

Tensors = dict[str, Any]
Change = Callable[[Tensors, dict[str, Any]], object]


def copy_with(folder: Path, name: str, change: Change) -> Path:
    """Write a copy of one of our policies with a change."""
    tensors = dict(load_file(TRAINED / f"{name}.safetensors"))
    card = json.loads((TRAINED / f"{name}.json").read_text(encoding="utf-8"))
    change(tensors, card)
    save_file(tensors, folder / "policy.safetensors")
    (folder / "policy.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def scaled(tensors: Tensors, name: str, value: float) -> None:
    tensors[name] = tensors[name].copy()
    tensors[name].flat[0] = value


@pytest.mark.parametrize("policy", ["ppo_kill0", "ppo_mlp_kill1", "images"])
def test_an_unchanged_copy_loads(policy: str, tmp_path: Path) -> None:
    load_policy(copy_with(tmp_path, policy, lambda tensors, card: None))


@pytest.mark.parametrize(
    ("policy", "change", "words"),
    [
        ("ppo_kill0", lambda t, c: t.update(weight=t["weight"][:, :3].copy()), "weight has the"),
        ("ppo_kill0", lambda t, c: t.update(bias=np.zeros(5, np.float32)), "bias has the shape"),
        ("ppo_kill0", lambda t, c: t.pop("log_std"), "log_std is missing"),
        ("ppo_kill0", lambda t, c: scaled(t, "weight", np.nan), "no finite numbers"),
        ("ppo_kill0", lambda t, c: scaled(t, "bias", np.inf), "no finite numbers"),
        ("ppo_kill0", lambda t, c: c.update(kind="oracle"), "kind 'oracle' is unknown"),
        ("ppo_kill0", lambda t, c: c.pop("kind"), "'kind' is missing"),
        ("ppo_kill0", lambda t, c: c.pop("options"), "'options' is missing"),
        ("ppo_kill0", lambda t, c: c.update(options=[]), "do not fit together"),
        ("ppo_kill0", lambda t, c: c.update(cameras="four"), "do not fit together"),
        ("ppo_kill0", lambda t, c: c["options"].update(increment=float("nan")), "above 0"),
        ("ppo_kill0", lambda t, c: c["options"].update(command_range=[]), "no joints"),
        ("ppo_kill0", lambda t, c: c["options"].update(command_range=["a"] * 4), "positive"),
        ("ppo_kill0", lambda t, c: c["options"].update(faults="kill9"), "faults must be"),
        ("ppo_mlp_kill1", lambda t, c: t.pop("layer_1.bias"), "layer_1.bias"),
        ("ppo_mlp_kill1", lambda t, c: c.update(activation="cubic"), "activation 'cubic'"),
        (
            "ppo_mlp_kill1",
            lambda t, c: t.update({"layer_1.weight": np.zeros((64, 63), np.float32)}),
            "layer_1.weight has the shape",
        ),
        ("images", lambda t, c: t.update({"encoder.shape": np.array([10**9, 4])}), "encoder"),
        ("images", lambda t, c: t.pop("encoder.shape"), "encoder"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_at_loading(
    policy: str, change: Change, words: str, tmp_path: Path
) -> None:
    folder = copy_with(tmp_path, policy, change)
    with pytest.raises(UserError, match=words) as caught:
        load_policy(folder)
    assert str(folder) in str(caught.value) or "must be" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"<!doctype html>", b"version https://git-lfs.github.com/spec/v1\n", b"\xff" * 64],
    ids=["empty", "html", "git-lfs", "bytes"],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_foreign_file_in_its_place_is_named(content: bytes, suffix: str, tmp_path: Path) -> None:
    folder = copy_with(tmp_path, "ppo_kill0", lambda tensors, card: None)
    (folder / f"policy{suffix}").write_bytes(content)
    with pytest.raises(UserError, match=f"policy{suffix}"):
        load_policy(folder)


@pytest.mark.parametrize("card", ["[]", "3", "null", '{"kind": 1}', "[" * 100_000])
def test_a_card_of_another_form_is_refused(card: str, tmp_path: Path) -> None:
    folder = copy_with(tmp_path, "ppo_kill0", lambda tensors, card: None)
    (folder / "policy.json").write_text(card, encoding="utf-8")
    with pytest.raises(UserError):
        load_policy(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "../" * 2000 + "x", "/dev/null/x"])
def test_a_name_that_no_file_can_have_is_one_short_sentence(name: str) -> None:
    limits = -np.ones(4), np.ones(4)
    for find in (
        find_policy,
        find_encoder,
        lambda n: make_searcher(n, *limits, np.random.default_rng(0), cameras=4),
    ):
        with pytest.raises(UserError) as caught:
            find(name)
        assert len(str(caught.value)) < 400
