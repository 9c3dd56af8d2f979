"""What is trained for the tables: networks, starts and curricula, size by size."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from planners.mazes.action_sets import MoveName

_PLAIN = json.dumps({"init": "random"})


@dataclass(frozen=True)
class Case:
    """One row of a table: a preset with changes, by name."""

    name: str
    about: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the preset that differ."""
    init_case: str = ""
    """The case, as size/name, whose weights of the same seed are its initial weights."""
    weights: str = ""
    """Name of its published weights, before the size; empty for the network's own, if the case is
    named as the network."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study trains and how it tests; its name begins with a preset's."""

    cases: tuple[Case, ...]
    bins: str
    plain: int
    """Test mazes drawn as in the paper."""
    stratified: int
    """Test mazes whose longest path lies in each bin."""
    moves: MoveName = "news"
    """Move set of all cases."""


_VIN = {"model": "vin", "depth": 100, "learning_rate": 1e-2, "epochs": 16}
_LONGER = {**_VIN, "learning_rate": 5e-3, "epochs": 4}
_HIGHWAY = {"chains": 1, "epsilon": 0.02}


def _ablation(name: str, about: str, **changes: Any) -> Case:
    return Case(name, about, {"epochs": 4, **changes})


def _variant(name: str, about: str, **options: Any) -> Case:
    return _ablation(name, about, options=json.dumps(options))


# What the papers leave open or reject, one change at a time; the results are read in
# docs/results/planning.md.
_ABLATIONS = (
    _ablation("dt_vin", "as in study 15, half as long"),
    _variant("state_dynamic", "kernel by cell alone", kernel_type="state_dynamic", map_size=15),
    _variant("observation_dynamic", "one kernel a maze", kernel_type="observation_dynamic"),
    _variant("invariant", "one kernel for all", kernel_type="invariant"),
    _variant("no_softmax", "kernels are any numbers", softmax=False),
    _variant("softmax_over_all", "softmax over actions too", softmax_over="actions_and_neighbours"),
    _variant("sees_goal", "f^T sees the goal map too", transition_sees_goal=True),
    _variant("reads_patch", "f^pi reads the patch of V", policy_input="patch"),
    _variant("skip", "inter-highway connections over 10 layers", skip=10),
    _ablation("full_loss", "loss at all layers", loss="full"),
    _ablation("single_loss", "loss at the first layer deep enough", loss="single"),
    _ablation("last_loss", "loss at the last layer", loss="last"),
    _ablation("one_expert", "one optimal action is right", target="one_expert"),
    _ablation("policy_gradient", "policy gradient", target="policy_gradient"),
    _ablation("plain_mazes", "mazes as they come", stratify=""),
    _ablation("adam_1e-3", "Adam at 1e-3", learning_rate=1e-3),
    _ablation(
        "rmsprop", "RMSprop at 1e-3, as in the paper", optimiser="rmsprop", learning_rate=1e-3
    ),
    _ablation("stride_1", "loss at every layer (J = 1)", stride=1),
    _ablation("stride_50", "loss at every 50th layer", stride=50),
)

# 250 updates instead of 2000 are enough: below 10 s of processor time.
_SHORT: dict[str, Any] = {"model": "sparse_dt_vin", "epochs": 1, "validate_every": 50}
_SOFT: dict[str, Any] = {"normalisation": "softmax", "lean": 3.0}


def _sparse(name: str, about: str, **options: Any) -> Case:
    return Case(name, about, {**_SHORT, "options": json.dumps(options)})


def _few(mazes: int) -> Case:
    """Return a training on few mazes, without a choice by validation mazes."""
    changes: dict[str, Any] = {
        "mazes": mazes,
        "batch": min(mazes, 32),
        "validation": 4,
        "validate_every": 1000,
    }
    changes |= {"epochs": 250 // max(1, mazes // 32)}
    return Case(f"mazes_{mazes}", f"trained on {mazes} mazes", {**_SHORT, **changes})


# Each ingredient of the sparse DT-VIN left out or exchanged; read in docs/results/planning.md.
_SPARSE = (
    Case("sparse_dt_vin", "1.5-entmax, one-hot, bounded readout, ring of walls", _SHORT),
    _sparse("sparsemax", "sparsemax for 1.5-entmax", normalisation="sparsemax", lean=0.5),
    _sparse("threshold", "trained threshold for 1.5-entmax", normalisation="threshold", lean=3.0),
    _sparse("softmax_one_hot", "trained as softmax, one-hot in evaluation", **_SOFT),
    _sparse("not_one_hot", "1.5-entmax in evaluation too", one_hot=False),
    _sparse("softmax", "softmax in training and evaluation", **_SOFT, one_hot=False),
    _sparse("centred", "readout of Q less their mean", readout="centred"),
    _sparse("zeros", "no ring of walls", border="zeros"),
    Case("dt_vin", "DT-VIN, trained as long", {**_SHORT, "model": "dt_vin"}),
    _sparse("init_lean", "only latent actions lean at first", init="lean"),
    _sparse("init_goal", "only the goal is worth going to at first", init="goal"),
    _sparse("init_random", "random start", init="random"),
    Case("plain_mazes", "mazes as they come", {**_SHORT, "stratify": ""}),
    *(_few(mazes) for mazes in (4, 16, 64, 256, 1024)),
)

# Eight moves and a differential drive: bins that hold the longest paths of 15 x 15 there.
_MOORE_BINS, _DRIVE_BINS = "0,12,20,35,55", "0,28,45,75,115"
_MOORE: dict[str, Any] = {**_SHORT, "moves": "moore", "stratify": _MOORE_BINS}
_MOORE |= {"bins": _MOORE_BINS.replace("0", "1", 1)}
_DRIVE: dict[str, Any] = {**_SHORT, "moves": "diff_drive", "stratify": _DRIVE_BINS}
_DRIVE |= {"bins": _DRIVE_BINS.replace("0", "1", 1), "model": "drive_dt_vin"}
_DRIVE |= {"mazes": 4000, "batch": 16, "depth": 150, "validation": 200}

# Highway VIN where its paper claims most: loss at the last layer alone, from random or leaning
# kernels; beside it what has no gates, and the gates over the kernels of DT-VIN.
_LAST: dict[str, Any] = {"model": "vin", "loss": "last", "depth": 100, "learning_rate": 1e-2}
_LAST |= {"epochs": 1, "validate_every": 125}


# Gates that are nearly maxima: with an inverse temperature of 1 a block of ten layers gives a mean
# of them, which has gone fewer steps than its last.
_SHARP: dict[str, Any] = {"layer_temperature": 10.0, "chain_temperature": 10.0}
# One chain that follows the kernels, as in evaluation: no layers of random moves in a loss.
_STILL: dict[str, Any] = {**_SHARP, "exploration": False}
_HARD: dict[str, Any] = {**_STILL, "layer_temperature": 1e4}


def _last(name: str, about: str, model: str = "highway_vin", **options: Any) -> Case:
    changes = {**_LAST, "model": model, "options": json.dumps(options)}
    if "dt_vin" in model:
        changes |= {"learning_rate": 2e-2, "depth": 200}
    if options.get("init") == "stochastic":
        changes |= {"depth": 60}
    return Case(name, about, changes)


_HIGHWAY_PLAN = StudyPlan(
    (
        Case(
            "highway_vin",
            "goes on from vin, adaptive loss",
            {**_LONGER, "model": "highway_vin", "epochs": 1, "options": json.dumps(_HIGHWAY)},
            "15/vin",
        ),
        _last("vin_last", "VIN, moves given, 100 layers", "vin"),
        _last("highway_last", "Highway VIN, moves given, 100 layers"),
        _last("highway_last_no_filter", "without filter gate", filter_gate=False),
        _last("highway_last_no_exploration", "without exploration", exploration=False),
        _last("vin_random", "VIN, random kernels, 60 layers", "vin", init="stochastic"),
        _last("highway_random", "Highway VIN, random kernels, 60 layers", init="stochastic"),
        _last("dt_vin_last", "DT-VIN, 200 layers", "dt_vin"),
        _last("highway_dt_vin_last", "Highway blocks over DT-VIN, 200 layers", "highway_dt_vin"),
        _last("highway_dt_vin_sharp", "the same, sharp gates", "highway_dt_vin", **_SHARP),
        _last("highway_dt_vin_still", "the same, no exploration", "highway_dt_vin", **_STILL),
        _last("highway_dt_vin_hard", "the same, gates almost maxima", "highway_dt_vin", **_HARD),
    ),
    "1,15,30,60,90",
    50,
    50,
)

# The paper's start and loss for longer than above, at a size that a processor can do.
_LONG: dict[str, Any] = {**_LAST, "epochs": 10, "depth": 60, "validate_every": 500}


def _random(
    name: str, about: str, model: str = "highway_vin", depth: int = 60, **options: Any
) -> Case:
    held = json.dumps({"init": "stochastic", **options})
    changes = {**_LONG, "model": model, "depth": depth, "options": held}
    return Case(name, f"{about}, {depth} layers", changes)


_RANDOM_PLAN = StudyPlan(
    (
        _random("vin_random", "VIN", "vin"),
        _random("highway_random", "Highway VIN"),
        _random("highway_random_no_filter", "Highway VIN without filter gate", filter_gate=False),
        _random(
            "highway_random_no_exploration", "Highway VIN without exploration", exploration=False
        ),
        _random(
            "highway_random_neither",
            "Highway VIN without both",
            exploration=False,
            filter_gate=False,
        ),
        _random("vin_random_120", "VIN", "vin", 120),
        _random(
            "highway_random_no_exploration_120",
            "Highway VIN without exploration",
            depth=120,
            exploration=False,
        ),
    ),
    "1,15,30,60,90",
    50,
    50,
)

# DT-VIN with and without highway blocks, the loss of the last layer alone, on from 15 x 15.
_LAST_35: dict[str, Any] = {"loss": "last", "epochs": 1, "validate_every": 50}


def _on_from_15(name: str, about: str, model: str = "highway_dt_vin", **options: Any) -> Case:
    changes = {**_LAST_35, "model": model, "options": json.dumps(options)}
    return Case(name, about, changes, f"15-highway/{name}")


_HIGHWAY_35_PLAN = StudyPlan(
    (
        _on_from_15("dt_vin_last", "DT-VIN", "dt_vin"),
        _on_from_15("highway_dt_vin_sharp", "Highway blocks over DT-VIN, sharp gates", **_SHARP),
        _on_from_15("highway_dt_vin_still", "the same, no exploration in training", **_STILL),
        _on_from_15("highway_dt_vin_hard", "the same, gates almost maxima", **_HARD),
    ),
    "1,100,200,300",
    50,
    20,
)

# The regime of Highway VIN's paper: 25 x 25, loss at the last layer alone, kernels that start as a
# softmax of noise, thousands of updates. Hours on a GPU; not for a processor.
_PAPER: dict[str, Any] = {"loss": "last", "learning_rate": 1e-2, "epochs": 20}
_DEPTHS = (30, 60, 120, 180, 300)


def _paper(model: str, title: str, depth: int, **options: Any) -> Case:
    changes = {**_PAPER, "model": model, "depth": depth}
    changes |= {"options": json.dumps({"init": "stochastic", **options})}
    left_out = "".join(f"_no_{option.removesuffix('_gate')}" for option in options)
    return Case(f"{model}_{depth}{left_out}", f"{title}, {depth} layers", changes)


_PAPER_PLAN = StudyPlan(
    (
        *(_paper("vin", "VIN", depth) for depth in _DEPTHS),
        *(_paper("highway_vin", "Highway VIN", depth) for depth in _DEPTHS),
        _paper("highway_vin", "without filter gate", 300, filter_gate=False),
        _paper("highway_vin", "without exploration", 300, exploration=False),
    ),
    "1,50,100,150,200",
    200,
    50,
)

# Noisy mazes: soft kernels, and a CNN that cleans the map before they are made.
_NOISY = {**_SHORT, "epochs": 2, "depth": 120, "validate_every": 125}
_CLEANED = json.dumps({"one_hot": False, "cleaner": 8})

_NOISE_PLAN = StudyPlan(
    (
        Case("noise_0.01", "variance 0.01", {**_NOISY, "noise": 0.01, "options": _CLEANED}),
        Case(
            "noise_0.04",
            "variance 0.04",
            {**_NOISY, "noise": 0.04, "options": _CLEANED},
            weights="sparse_dt_vin_noisy",
        ),
        Case(
            "noise_0.04_uncleaned",
            "variance 0.04, without a cleaner",
            {**_NOISY, "noise": 0.04, "options": json.dumps({"one_hot": False})},
        ),
    ),
    "1,15,30,60,90",
    500,
    100,
)

# Doubt kept and planned with; a training takes seconds, for it runs no layers.
_DOUBT: dict[str, Any] = {"model": "doubt_dt_vin", "loss": "map", "learning_rate": 1e-2}
_DOUBT |= {"depth": 100_000, "epochs": 4, "validate_every": 600}  # the last, 600 updates

# Chosen on 600 mazes of seed 6,000,000; the last of 12,000 updates.
_FOLDED: dict[str, Any] = {"learning_rate": 4e-3, "epochs": 12, "mazes": 16_000}
_FOLDED |= {"validate_every": 12_000}
_FOLDED |= {"options": json.dumps({"channels": 32, "folded": 4, "views": True})}

_DOUBT_PLAN = StudyPlan(
    (
        Case("doubt_0.01", "variance 0.01", {**_DOUBT, "noise": 0.01}),
        Case(
            "doubt_0.04",
            "variance 0.04",
            {**_DOUBT, "noise": 0.04},
            weights="doubt_dt_vin_noisy",
        ),
        Case(
            "doubt_folded_0.04",
            "variance 0.04, CNN that sees the whole map",
            {**_DOUBT, **_FOLDED, "noise": 0.04},
            weights="doubt_dt_vin_folded",
        ),
    ),
    "1,100,200,300",
    500,
    20,
)


# Octile lengths from examples of shortest ways: one number is learned, what a diagonal move costs.
_OCTILE: dict[str, Any] = {"model": "doubt_dt_vin", "loss": "limit", "moves": "octile"}
_OCTILE |= {"mazes": 1600, "stratify": "", "epochs": 8, "validate_every": 800, "depth": 100_000}
_OCTILE_OPTIONS = {"actions": 8, "channels": 0, "octile": True, "learns_diagonal": True}

_MOVE_PLANS = {
    "35-octile": StudyPlan(
        (
            Case(
                "octile",
                "what a diagonal move costs learned, moves told apart by 0.006 steps",
                {**_OCTILE, "options": json.dumps({**_OCTILE_OPTIONS, "softness": 0.03})},
                weights="doubt_dt_vin_octile",
            ),
            Case(
                "octile_soft",
                "moves told apart by 2 steps",
                {**_OCTILE, "options": json.dumps(_OCTILE_OPTIONS)},
            ),
        ),
        "1,100,200,300",
        500,
        20,
        "octile",
    ),
    "15-moore": StudyPlan(
        (
            Case("moore", "eight moves and staying", _MOORE, weights="sparse_dt_vin_moore"),
            Case(
                "moore_without_staying",
                "eight latent actions, none of which leans to staying",
                {**_MOORE, "options": json.dumps({"latent_actions": 8})},
            ),
        ),
        _MOORE["bins"],
        500,
        100,
        "moore",
    ),
    "15-drive": StudyPlan(
        (Case("drive_dt_vin", "a differential drive", _DRIVE),),
        _DRIVE["bins"],
        500,
        100,
        "diff_drive",
    ),
}

PLANS: dict[str, StudyPlan] = {
    **_MOVE_PLANS,
    "15-noise": _NOISE_PLAN,
    "35-noise": _DOUBT_PLAN,
    "15-highway": _HIGHWAY_PLAN,
    "15-highway-random": _RANDOM_PLAN,
    "25-highway": _PAPER_PLAN,
    "35-highway": _HIGHWAY_35_PLAN,
    "15-sparse": StudyPlan(_SPARSE, "1,15,30,60,90", 500, 200),
    "15": StudyPlan(
        (
            Case("dt_vin", "structured start"),
            Case("dt_vin_lean", "latent actions lean", {"options": '{"init": "lean"}'}),
            Case("dt_vin_goal", "goal worth going to", {"options": '{"init": "goal"}'}),
            Case("dt_vin_plain", "random start", {"options": _PLAIN}),
            Case("vin", "structured start", _VIN),
            Case("vin_longer", "goes on from vin", _LONGER, "15/vin"),
            Case(
                "highway_vin",
                "goes on from vin: the same weights and a gate",
                {**_LONGER, "model": "highway_vin", "options": json.dumps(_HIGHWAY)},
                "15/vin",
            ),
            Case(
                "gppn",
                "random start",
                {"model": "gppn", "depth": 30, "learning_rate": 3e-3, "epochs": 6, "stratify": ""},
            ),
            Case("vin_plain", "random start", {**_VIN, "epochs": 4, "options": _PLAIN}),
            Case(
                "highway_vin_plain",
                "random start",
                {
                    **_VIN,
                    "model": "highway_vin",
                    "epochs": 4,
                    "options": json.dumps({**_HIGHWAY, "init": "random"}),
                },
            ),
        ),
        "1,15,30,60,90",
        500,
        200,
    ),
    "15-ablations": StudyPlan(_ABLATIONS, "1,15,30,60,90", 1000, 100),
    "35": StudyPlan(
        (
            Case("dt_vin", "goes on from 15", {}, "15/dt_vin"),
            Case(
                "dt_vin_plain",
                "random start at 15 x 15, then for as long as the time allows",
                {"options": _PLAIN, "time_limit_s": 1200.0, "epochs": 400},
                "15/dt_vin_plain",
            ),
        ),
        "1,100,200,300",
        2000,
        60,
    ),
    "61": StudyPlan(
        (Case("dt_vin", "goes on from 35", {}, "35/dt_vin"),), "1,350,650,1000", 200, 20
    ),
    "100": StudyPlan(
        (Case("dt_vin", "goes on from 61", {}, "61/dt_vin"),), "1,600,1200,1800", 200, 60
    ),
}
