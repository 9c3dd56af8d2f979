"""What is learned in the study, with the papers' figures beside it.

Papers' values are final returns and points of learning curves on MuJoCo's version 3 of the tasks
(arXiv 2006.09226 and its poster); ours run on version 5 of Gymnasium.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asterias.registry import Registry


@dataclass(frozen=True)
class Benchmark:
    """One learner on one environment.

    Attributes:
        title: in tables and plots.
        learner: name of a learner of policy search, or ``ars`` for sb3-contrib's.
        environment: its name in Gymnasium.
        steps: of training.
        every: steps between evaluations.
        policy: ``LinearPolicy`` or ``MlpPolicy``.
        settings: of the learner.
        episodes: of an evaluation.
        target: mean return to reach, and by which step.
        paper: points ``(steps, return)`` of the paper's learning curve; empty where there is none.
        source: of the paper's points.
        commands: least and most return that a generator of policies is commanded at the end; None
            where the learner generates none.
    """

    title: str
    learner: str
    environment: str
    steps: int
    every: int
    policy: str = "LinearPolicy"
    settings: Mapping[str, Any] = field(default_factory=dict)
    episodes: int = 10
    target: tuple[float, int] | None = None
    paper: tuple[tuple[int, float], ...] = ()
    source: str = ""
    commands: tuple[float, float] | None = None


BENCHMARKS: Registry[Benchmark] = Registry("benchmark of policy search")
BENCHMARKS.register(
    "cartpole_ppois",
    Benchmark(
        "P-POIS, linear, CartPole-v1",
        "ppois",
        "CartPole-v1",
        # Episodes last longer the better the policy is: some 9 iterations of 100.
        250_000,
        1,
        settings={"normalise": False},
        target=(500.0, 8),
    ),
)
BENCHMARKS.register(
    "swimmer_pssvf",
    Benchmark(
        "PSSVF, linear, Swimmer-v5",
        "pssvf",
        "Swimmer-v5",
        400_000,
        20_000,
        settings={"rebase": False},  # the paper's code, as it stands
        target=(300.0, 400_000),
        # Points beyond the 0.4 M of the study are for longer runs: --steps.
        paper=(
            (160_000, 170.0),
            (250_000, 209.0),
            (400_000, 282.0),
            (500_000, 309.0),
            (750_000, 331.0),
            (1_000_000, 335.0),
        ),
        source="arXiv 2006.09226, poster, Swimmer-v3",
    ),
)
BENCHMARKS.register(
    "swimmer_pssvf_quick",
    Benchmark(
        "PSSVF, linear, both rates doubled, Swimmer-v5",
        "pssvf",
        "Swimmer-v5",
        400_000,
        40_000,
        # The first change that was tried, with another seed than those of reported runs.
        settings={"learning_rate": 2e-3, "critic_learning_rate": 2e-3, "rebase": False},
        target=(300.0, 400_000),
        paper=((160_000, 170.0), (250_000, 209.0), (400_000, 282.0)),
        source="arXiv 2006.09226, poster, Swimmer-v3",
    ),
)
BENCHMARKS.register(
    "swimmer_ars",
    Benchmark(
        "ARS (sb3-contrib), linear, Swimmer-v5",
        "ars",
        "Swimmer-v5",
        400_000,
        20_000,
        # The settings of ARS's paper (arXiv 1803.07055, table 9) for Swimmer.
        settings={"n_delta": 1, "n_top": 1, "delta_std": 0.01, "learning_rate": 0.02},
        paper=((1_000_000, 332.0),),
        source="arXiv 2006.09226, poster, Swimmer-v3",
    ),
)
BENCHMARKS.register(
    "swimmer_pssvf_rebased",
    Benchmark(
        "PSSVF, linear, both rates doubled, rebased, Swimmer-v5",
        "pssvf",
        "Swimmer-v5",
        1_000_000,
        50_000,
        settings={"learning_rate": 2e-3, "critic_learning_rate": 2e-3},
        target=(335.0, 1_000_000),
        paper=((400_000, 282.0), (500_000, 309.0), (750_000, 331.0), (1_000_000, 335.0)),
        source="arXiv 2006.09226, poster, Swimmer-v3",
    ),
)
# Final returns of the paper's poster, linear and deep.
_CAR = {"pssvf": (90.8, 94.0), "psvf": (87.8, 92.0), "pavf": (87.1, 90.1)}
_FORMS = (("LinearPolicy", "linear"), ("MlpPolicy", "deep"))
for _learner, _finals in _CAR.items():
    for (_policy, _short), _final in zip(_FORMS, _finals, strict=True):
        BENCHMARKS.register(
            f"mountain_car_{_learner}_{_short}",
            Benchmark(
                f"{_learner.upper()}, {_short}, MountainCarContinuous-v0",
                _learner,
                "MountainCarContinuous-v0",
                100_000,
                10_000,
                policy=_policy,
                settings={} if _short == "linear" else {"sigma": 0.5},
                target=(90.0 if _learner == "pssvf" else 87.0, 100_000),
                paper=((100_000, _final),),
                source="arXiv 2006.09226, poster",
            ),
        )
# The bonus for not falling is taken off what is learned from, as in the paper's code.
for _learner, _final in (("pssvf", 2129.0), ("psvf", 958.0), ("pavf", 773.0)):
    BENCHMARKS.register(
        f"hopper_{_learner}",
        Benchmark(
            f"{_learner.upper()}, linear, Hopper-v5",
            _learner,
            "Hopper-v5",
            1_000_000,
            100_000,
            settings={"survival_bonus": 1.0},
            target=(_final, 1_000_000),
            paper=((1_000_000, _final),),
            source="arXiv 2006.09226, poster, Hopper-v3",
        ),
    )
for _learner, _title, _paper in (
    ("gogepo", "GoGePo", ((100_000, 93.0),)),
    ("udrlpg", "UDRLPG", ()),
):
    BENCHMARKS.register(
        f"mountain_car_{_learner}",
        Benchmark(
            f"{_title}, deep, MountainCarContinuous-v0",
            _learner,
            "MountainCarContinuous-v0",
            100_000,
            10_000,
            policy="MlpPolicy",
            # GoGePo's rows are of before it kept policies as they act on raw observations.
            settings={
                "hidden": (32, 32),
                "sigma": 0.2,
                **({"rebase": False} if _learner == "gogepo" else {}),
            },
            target=(93.0, 100_000),
            paper=_paper,
            source="arXiv 2207.01570, poster" if _paper else "",
            commands=(-50.0, 95.0),
        ),
    )
for _drive in (0.05, 0.0):
    BENCHMARKS.register(
        "pendulum_gogepo" if _drive else "pendulum_gogepo_no_drive",
        Benchmark(
            f"GoGePo, deep, InvertedPendulum-v5{'' if _drive else ', no drive'}",
            "gogepo",
            "InvertedPendulum-v5",
            100_000,
            10_000,
            policy="MlpPolicy",
            # Chosen on seeds 100 and 101, by the return and by how well commands are followed.
            settings={
                "hidden": (32, 32),
                "generator_hidden": (64, 64),
                "sigma": 0.2,
                "low": 0.0,
                "high": 1000.0,
                "drive": _drive,
                "update_every": 100,  # a fall takes some 10 steps
                "recency": 0.5,
                "even": 0.5,
                "practice": 0.5,
            },
            target=(985.0, 100_000),
            paper=((100_000, 985.0),) if _drive else (),
            source="arXiv 2207.01570, poster, InvertedPendulum-v2",
            commands=(0.0, 1000.0),
        ),
    )
# Deep policies whose critic sees ten answers, the teachers of ``clone-study``, beside the paper's
# with a critic of the numbers themselves.
BENCHMARKS.register(
    "swimmer_pssvf_probes",
    Benchmark(
        "PSSVF, deep, probing states, Swimmer-v5",
        "pssvf",
        "Swimmer-v5",
        300_000,
        100_000,
        policy="MlpPolicy",
        settings={
            "critic": "probes",
            "probes": 10,
            "sigma": 0.1,
            "learning_rate": 1e-4,
            "recency": 1.1,
        },
        paper=((1_000_000, 189.0),),
        source="arXiv 2006.09226, poster, Swimmer-v3",
    ),
)
# The two tasks on which the paper's two forms differ most: P-POIS far ahead where a policy balances
# (4212 against 1418), A-POIS and TRPO where it swings up. The paper's are rllab's; these are the
# nearest of Gymnasium, so that orders can be compared, and not returns.
_LINEAR_ACTOR = {"policy_kwargs": {"net_arch": {"pi": [], "vf": [64, 64]}}}
for _task, _environment, _steps, _every in (
    ("double_pendulum", "InvertedDoublePendulum-v5", 500_000, 50_000),
    ("swing_up", "Pendulum-v1", 800_000, 80_000),
):
    for _learner, _title in (("ppois", "P-POIS"), ("apois", "A-POIS"), ("trpo", "TRPO")):
        BENCHMARKS.register(
            f"{_task}_{_learner}",
            Benchmark(
                f"{_title}, linear, {_environment}",
                _learner,
                _environment,
                _steps,
                _every,
                episodes=20,
                settings=_LINEAR_ACTOR if _learner == "trpo" else {},
            ),
        )
