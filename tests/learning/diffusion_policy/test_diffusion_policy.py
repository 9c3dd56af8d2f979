"""Diffusion policies: denoising, caching, schedules, training, and the task with two ways."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run_here

from asterias.errors import UserError
from learning.diffusion_policy.caching import (
    CACHES,
    CROSS,
    FEED,
    SELF,
    CacheSettings,
    StepMemory,
    multiply_adds,
    scheduled,
    tgate,
)
from learning.diffusion_policy.chunks_ahead import ChunksAhead
from learning.diffusion_policy.denoisers import DENOISERS, Denoiser
from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.noise import SAMPLERS, NoiseSchedule
from learning.diffusion_policy.runtimes.measures import runtime_rows
from learning.diffusion_policy.sampling import ChunkSampler, SamplingSettings, measured_similarity
from learning.diffusion_policy.similarity import Similarity, scheduled_steps
from learning.diffusion_policy.training import ChunkData, DenoiserTraining, Scales, fit_denoiser
from learning.diffusion_policy.transformer import DenoiserShape, KeysValues
from learning.diffusion_policy.two_ways.clones import (
    STYLE,
    ChunkingTransformer,
    CloneTraining,
    fit_clone,
)
from learning.diffusion_policy.two_ways.demonstrators import chunk_data, demonstrate
from learning.diffusion_policy.two_ways.learners import chunk_maker, shipped_model
from learning.diffusion_policy.two_ways.measures import HeldMemory, run_in_real_time
from learning.diffusion_policy.two_ways.rollout import roll_out
from learning.diffusion_policy.two_ways.task import (
    LARGEST_STEP_RAD,
    TASKS,
    PostEpisodes,
    tip_table,
)
from learning.training.replay_options import ReplayOptions

SHAPE = DenoiserShape((2, 3), actions=2, horizon=8, width=16, layers=2)


def denoiser(name: str = "transformer", shape: DenoiserShape = SHAPE) -> Denoiser:
    torch.manual_seed(0)
    return DENOISERS.get(name)(shape).eval()


@pytest.fixture(scope="module", params=[False, True], ids=["memory", "tokens"])
def trained(request: pytest.FixtureRequest) -> Denoiser:
    """A transformer that has learned a little, with the noise level in tokens or not."""
    rng = np.random.default_rng(0)
    seen = rng.standard_normal((200, 5)).astype(np.float32)
    ends = np.tanh(seen @ rng.standard_normal((5, 2)).astype(np.float32))
    data = ChunkData(seen, ends[:, None] * np.linspace(0.1, 1, 8, dtype=np.float32)[:, None])
    settings = DenoiserTraining(
        width=16, layers=2, updates=100, batch=32, level_in_tokens=request.param
    )
    return fit_denoiser(data, (2, 3), settings)[0]


def sample(net: Denoiser, settings: SamplingSettings, batch: int = 3) -> torch.Tensor:
    seen = torch.randn(batch, 5, generator=torch.Generator().manual_seed(1))
    similarity = None
    if CACHES.get(settings.cache.name).measured:
        similarity = measured_similarity(net, settings, seen.numpy())
    sampler = ChunkSampler(net, settings, similarity)
    return sampler.sample(seen, torch.Generator().manual_seed(2))


# -- samplers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "steps"), [("ddpm", 100), ("ddim", 100), ("ddim", 7), ("consistency", 3)]
)
def test_a_sampler_finds_the_chunk_where_the_noise_is_known(name: str, steps: int) -> None:
    schedule, sampler = NoiseSchedule.squared_cosine(), SAMPLERS.get(name)
    clean = torch.tensor([[[0.3, -0.8]]]).expand(500, 4, 2)
    draws = torch.Generator().manual_seed(0)
    noisy = torch.randn(clean.shape, generator=draws)
    levels = [*schedule.spread(steps), -1]
    for level, following in itertools.pairwise(levels):
        kept = float(schedule.kept[level])
        noise = (noisy - kept**0.5 * clean) / (1 - kept) ** 0.5
        fresh = torch.randn(clean.shape, generator=draws) if sampler.fresh else None
        noisy = sampler.step(schedule, (level, following), noisy, noise, fresh)
        if following >= 0:  # as noisy as training made it
            kept = float(schedule.kept[following])
            assert torch.allclose(noisy.mean(dim=0), kept**0.5 * clean[0], atol=0.2)
            assert float(noisy.std(dim=0).mean()) == pytest.approx((1 - kept) ** 0.5, rel=0.1)
    assert torch.allclose(noisy, clean, atol=1e-4)


def test_a_step_of_ddpm_is_the_posterior_of_its_paper() -> None:
    # Ho et al., arXiv 2006.11239, eq. 7.
    schedule, level = NoiseSchedule.squared_cosine(), 40
    kept, before = schedule.kept[level], schedule.kept[level - 1]
    alpha = kept / before
    noisy, noise = torch.full((1, 1, 1), 0.4), torch.full((1, 1, 1), 0.3)
    clean = (noisy - (1 - kept) ** 0.5 * noise) / kept**0.5
    mean = before**0.5 * (1 - alpha) / (1 - kept) * clean
    mean += alpha**0.5 * (1 - before) / (1 - kept) * noisy
    step = SAMPLERS.get("ddpm").step
    given = step(schedule, (level, level - 1), noisy, noise, torch.zeros(1, 1, 1))
    assert float(given) == pytest.approx(float(mean), abs=1e-6)
    spread = step(schedule, (level, level - 1), noisy, noise, torch.ones(1, 1, 1)) - given
    assert float(spread) ** 2 == pytest.approx((1 - before) / (1 - kept) * (1 - alpha), rel=1e-4)


# -- caching --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [("ddpm", 100), ("ddim", 10)])
def test_exact_keys_and_values_change_nothing(sampler: tuple[str, int], trained: Denoiser) -> None:
    plain = sample(trained, SamplingSettings(*sampler, CacheSettings("none")))
    exact = sample(trained, SamplingSettings(*sampler, CacheSettings("exact")))
    assert plain.shape == (3, 8, 2) and (plain.abs() < 0.99).any()
    torch.testing.assert_close(exact, plain, atol=2e-5, rtol=0)


def test_a_gate_at_the_end_and_a_full_schedule_change_nothing(trained: Denoiser) -> None:
    net = trained
    exact = sample(net, SamplingSettings("ddim", 8))
    for cache in (CacheSettings("tgate", gate=1.0), CacheSettings("schedule", budget=1.0)):
        torch.testing.assert_close(sample(net, SamplingSettings("ddim", 8, cache)), exact)
    gated = sample(net, SamplingSettings("ddim", 8, CacheSettings("tgate", gate=0.25)))
    assert not torch.allclose(gated, exact, atol=1e-3)


@pytest.mark.parametrize("held", ["level", "queries"])
def test_a_part_of_what_the_gate_holds_is_held_alone(held: str) -> None:
    """All blocks run; from the step on, one input of cross-attention is that of the step before."""
    taken: list[tuple[float, float]] = []

    def cross(queries: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        taken.append((float(queries), float(levels)))
        return queries

    memory = HeldMemory(np.ones((4, 1, 3), bool), KeysValues(LEVELS, NOTHING), held=held, since=2)
    block = torch.nn.Module()
    block.forward = cross
    for step in range(4):
        memory.begin(step, 9 - step)
        assert memory.keys_values is not None
        memory.run(0, CROSS, block, torch.tensor(float(step)), memory.keys_values.layer(0)[0].sum())
    queries, levels = zip(*taken, strict=True)
    assert queries == ((0, 1, 1, 1) if held == "queries" else (0, 1, 2, 3))
    assert levels == ((9, 8, 8, 8) if held == "level" else (9, 8, 7, 6))


# Keys of one layer and head that are their level's number, and an observation without tokens.
LEVELS = torch.arange(10.0).reshape(10, 1, 1, 1, 1).expand(10, 1, 2, 1, 1)
NOTHING = torch.zeros(1, 2, 1, 1, 0, 1)


def test_the_gate_follows_the_paper_table() -> None:
    plan = tgate(CacheSettings("tgate", gate=0.5, before=3, after=2), 1, 12, None)[:, 0]
    runs = ["".join("x" if ran else "." for ran in plan[:, kind]) for kind in (SELF, CROSS, FEED)]
    #        warm-up, every third, m - 1, every second
    assert runs == ["xxx..xx.x.x.", "xxxxxx......", "xxxxxxxxxxxx"]


def test_what_does_not_run_is_repeated() -> None:
    plan = np.ones((2, 1, 3), bool)
    plan[1, 0, FEED] = False
    memory, block = StepMemory(plan), torch.nn.Identity()
    first = memory.run(0, FEED, block, torch.zeros(1))
    memory.begin(1, 0)
    assert memory.run(0, FEED, block, torch.ones(1)) is first
    assert float(memory.run(0, SELF, block, torch.ones(1))) == 1.0


def test_the_schedule_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    for steps, runs in ((6, 3), (7, 1), (7, 7), (8, 4)):
        alike = rng.random((steps, steps)).astype(np.float32)

        def worth(chosen: tuple[int, ...], alike: np.ndarray = alike) -> float:
            last = [max(c for c in chosen if c <= step) for step in range(len(alike))]
            return sum(float(alike[c, s]) for s, c in enumerate(last) if c != s)

        every = [(0, *rest) for rest in itertools.combinations(range(1, steps), runs - 1)]
        found = tuple(scheduled_steps(alike, runs))
        assert worth(found) == pytest.approx(max(map(worth, every)))


def test_blocks_that_change_run_more_often_and_unions_reach_down() -> None:
    steps = 6
    alike = np.ones((2, 3, steps, steps), np.float32)
    alike[0, FEED] = 0.1  # the first feed-forward changes most
    alike[1, FEED, 3:, :3] = alike[1, FEED, :3, 3:] = 0.0  # the second changes at step 3
    settings = CacheSettings("schedule", budget=1 / 3)
    alone = scheduled(replace(settings, unite=False), 2, steps, Similarity(alike))
    assert alone[:, 1, FEED].nonzero()[0].tolist() == [0, 3] and alone.sum(axis=0).max() == 2
    united = scheduled(settings, 2, steps, Similarity(alike))
    assert united[3, 0, FEED] and united[:, 1].tolist() == alone[:, 1].tolist()


def test_multiply_adds_say_what_each_cache_saves() -> None:
    def count(cache: CacheSettings) -> dict[str, int]:
        plan = CACHES.get(cache.name).plan(cache, 2, 10, None)
        return multiply_adds(SHAPE, plan, exact=CACHES.get(cache.name).exact)

    none, exact = count(CacheSettings("none")), count(CacheSettings("exact"))
    gated = count(CacheSettings("tgate"))
    assert none["feed_forward"] == 10 * 2 * 8 * 8 * 16**2 == gated["feed_forward"]
    # Keys and values of two observation tokens in 9 of 10 steps, of the level's token in all.
    assert none["all"] - exact["all"] == 2 * 2 * 16**2 * (3 * 10 - 2)
    assert exact["all"] - gated["all"] == 5 * 2 * (2 * 8 * 16**2 + 2 * 8 * 3 * 16)


def test_what_cannot_be_is_one_sentence() -> None:
    net = denoiser()
    for settings, words in (
        (SamplingSettings("ddpm", 10), "ddpm takes 100 steps"),
        (SamplingSettings("ddim", 0), "from 1 to 100, not 0"),
        (SamplingSettings("ddim", 10, CacheSettings("schedule")), "measured with 10 steps"),
    ):
        with pytest.raises(UserError, match=words):
            ChunkSampler(net, settings)
    with pytest.raises(UserError, match="needs a transformer"):
        ChunkSampler(denoiser("unet"), SamplingSettings("ddim", 10, CacheSettings("tgate")))
    with pytest.raises(UserError, match="shares of the steps"):
        CacheSettings("tgate", gate=1.5)
    with pytest.raises(UserError, match="2 steps in all"):
        ChunkData(np.zeros((2, 5), np.float32), np.zeros((2, 8, 2), np.float32))


def test_a_traced_denoiser_gives_the_same() -> None:
    rows = {
        row["runtime"]: row for row in runtime_rows(shipped_model(), np.zeros((1, 12), "f4"), 1)
    }
    assert rows["traced and frozen"]["difference"] < 1e-4 and len(rows) == 2


@pytest.mark.parametrize("name", DENOISERS.names())
def test_onnx_runtime_makes_the_same_chunks(name: str) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    net = denoiser(name)
    seen = torch.randn((3, sum(net.shape.groups)), generator=torch.Generator().manual_seed(1))
    for cache in ("none", "exact"):
        chunks = [
            ChunkSampler(net, SamplingSettings("ddim", 4, CacheSettings(cache), runtime)).sample(
                seen, torch.Generator().manual_seed(0)
            )
            for runtime in ("pytorch", "onnx")
        ]
        torch.testing.assert_close(chunks[0], chunks[1], atol=1e-4, rtol=0)
    with pytest.raises(UserError, match=r"computes all blocks|needs a transformer"):
        ChunkSampler(net, SamplingSettings("ddim", 4, CacheSettings("tgate"), "onnx"))
    with pytest.raises(UserError, match="runtime"):
        ChunkSampler(net, SamplingSettings("ddim", 4, runtime="abacus"))


# -- training -------------------------------------------------------------------------------------


def two_answers() -> ChunkData:
    """One question, two answers in equal parts."""
    rng = np.random.default_rng(0)
    side = np.where(rng.random(400) < 0.5, 1.0, -1.0)[:, None, None]
    chunks = side * np.linspace(0.2, 1, 4)[None, :, None] + 0.01 * rng.standard_normal((400, 4, 1))
    return ChunkData(np.zeros((400, 2), np.float32), chunks.astype(np.float32))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "unet" else ())
        for name in DENOISERS.names()
    ],
)
def test_a_denoiser_learns_both_answers_where_cloning_averages(name: str) -> None:
    settings = DenoiserTraining(
        name, width=16, layers=2, updates=250, batch=32, learning_rate=4e-3, ema=0.98
    )
    net, scales, losses = fit_denoiser(two_answers(), (2,), settings)
    model = DiffusionModel(name, net, scales, SamplingSettings("ddim", 10))
    seen = torch.zeros(200, 2)
    ends = scales.actions(model.sampler().sample(seen, torch.Generator().manual_seed(0)))[:, -1, 0]
    assert losses[-1] < losses[0]
    assert np.abs(np.abs(ends) - 1).mean() < 0.3 and 0.25 < (ends > 0).mean() < 0.75


def test_chunks_in_the_manner_of_act_answer_with_their_style_at_rest() -> None:
    rng = np.random.default_rng(1)
    seen = rng.standard_normal((400, 2)).astype(np.float32)
    ramps = seen[:, :1, None] * np.linspace(0.25, 1, 4, dtype=np.float32)[None, :, None]
    torch.manual_seed(0)
    net = ChunkingTransformer((2,), 1, 4, width=16)
    make = fit_clone(net, ChunkData(seen, ramps), CloneTraining(250, 32, 4e-3))
    made = make(seen[:50])
    assert made.shape == (50, 4, 1) and np.abs(made - ramps[:50]).mean() < 0.15
    assert (make(seen[:50]) == made).all()  # nothing is drawn when it runs
    style = torch.randn(1, STYLE)
    with torch.inference_mode():
        question = torch.zeros(1, 2)
        assert torch.equal(net(question), net._decode(question, torch.zeros(1, STYLE)))
        assert not torch.equal(net(question), net._decode(question, style))


def test_an_interrupted_training_goes_on_as_the_whole_one(tmp_path: Path) -> None:
    data, settings = two_answers(), DenoiserTraining(width=16, layers=1, updates=40, batch=8)

    def stop(done: int, total: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_denoiser(data, (2,), settings, folder=tmp_path, every=20, on_updates=stop)
    half, _, losses = fit_denoiser(data, (2,), settings, folder=tmp_path, resume=True)
    whole, _, others = fit_denoiser(data, (2,), settings)
    assert losses == others
    for mine, other in zip(half.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)
    with pytest.raises(UserError, match="was made with batch 8"):
        fit_denoiser(data, (2,), replace(settings, batch=9), folder=tmp_path, resume=True)


@pytest.mark.parametrize("correction", [0.0, 1.0])
def test_a_priority_draws_the_chunks_that_decided_and_is_resumed_exactly(
    tmp_path: Path, correction: float
) -> None:
    plain, settings = two_answers(), DenoiserTraining(width=16, layers=1, updates=40, batch=8)
    count = len(plain.chunks)
    data = replace(plain, criticality=np.eye(count)[0])
    replay = ReplayOptions("criticality", 0.9, correction)
    drawn = replace(settings, replay=replay)

    def stop(done: int, total: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_denoiser(data, (2,), drawn, folder=tmp_path, every=20, on_updates=stop)
    _, _, losses = fit_denoiser(data, (2,), drawn, folder=tmp_path, resume=True)
    _, _, others = fit_denoiser(data, (2,), drawn)
    _, _, even = fit_denoiser(data, (2,), settings)
    assert losses == others != even
    with pytest.raises(UserError, match="was made with replay"):
        fit_denoiser(data, (2,), settings, folder=tmp_path, resume=True)


def test_a_model_is_the_same_after_a_file() -> None:
    scales = Scales(*(np.full(size, 0.5, np.float32) for size in (5, 5, 2, 2)))
    model = DiffusionModel("transformer", denoiser(), scales)
    again = DiffusionModel.from_tensors(model.tensors, model.card)
    seen = torch.zeros(1, 5)
    chunks = [m.sampler().sample(seen, torch.Generator().manual_seed(3)) for m in (model, again)]
    assert torch.equal(*chunks)
    for change, words in (
        ({"width": 24}, "weights are not those"),
        ({"width": 12}, "no multiple of 8"),
        ({"horizon": 10**9}, "no number from 1"),
        ({"groups": []}, "groups must hold"),
    ):
        card = {**model.card, "shape": {**model.card["shape"], **change}}
        with pytest.raises(ValueError, match=words):
            DiffusionModel.from_tensors(model.tensors, card)


# -- the task with two ways -----------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS.names())
def test_both_demonstrators_reach_the_goal_and_the_straight_way_does_not(task: str) -> None:
    shown = demonstrate(20, np.random.default_rng(3), task)
    assert shown.reached.all() and shown.sides.sum() == 0 and shown.lengths.max() < 30
    assert np.abs(np.diff(shown.servos, axis=1)).max() <= LARGEST_STEP_RAD + 1e-9
    data = chunk_data(shown, 16)
    assert len(data.chunks) == shown.lengths.sum()
    down = np.array([[[0.0, 0.12 * (k + 1), 0.0] for k in range(16)]])
    straight = roll_out(lambda seen: np.repeat(down, len(seen), axis=0), 20, 0, task=task)
    assert straight.hit.all() and not straight.reached.any()


def test_the_tip_of_the_table_is_that_of_the_soft_limb() -> None:
    from hardware.description.robot import load_robot
    from sim.physics.kinematics import SoftLimb

    limb = SoftLimb.of(load_robot("limb_p1"), 0)
    for yaw, pitch, finger in ((0.7, 0.4, 0.3), (-1.1, -0.6, 0.1)):
        tip = tip_table().tip(np.array([yaw, pitch, finger]))
        assert np.abs(tip - limb.tip([yaw, pitch, 0.0, finger])).max() < 1e-3


def test_the_shipped_policy_goes_both_ways_and_touches_nothing() -> None:
    rolled = roll_out(chunk_maker(shipped_model(), 0), 40, 11)
    assert rolled.success >= 0.9 and 0.1 < rolled.left.mean() < 0.9


# -- chunks made ahead ----------------------------------------------------------------------------


def test_the_loop_never_waits_and_late_chunks_are_dropped() -> None:
    now, gate, started = [0.0], threading.Event(), threading.Event()

    def make(seen: float) -> np.ndarray:
        started.set()
        assert gate.wait(20)
        return seen + np.arange(4.0)[:, None]

    ahead = ChunksAhead(make, 0.1, refill=1, now_s=lambda: now[0])
    began = time.monotonic()
    assert ahead.action(0.0) is None and ahead.show(10.0, 0.0)
    assert started.wait(20)
    assert not ahead.show(11.0, 0.1)  # one at a time
    assert ahead.action(0.1) is None and ahead.counts.held == 2
    assert time.monotonic() - began < 10  # nothing has waited for the chunk
    now[0] = 0.2
    gate.set()
    while not ahead.counts.made:
        time.sleep(0.001)
    due = ahead.action(0.2)
    assert due is not None and due[0] == 11.0  # the first action's time is over
    assert ahead.action(0.5) is None  # and so is the whole chunk's
    gate.clear()
    started.clear()
    assert ahead.show(20.0, 0.5) and started.wait(20)
    now[0] = 2.0
    gate.set()
    while not ahead.counts.late:
        time.sleep(0.001)
    assert ahead.action(2.0) is None
    ahead.close()


def test_what_was_cleared_never_moves_the_limb_and_a_failure_holds() -> None:
    gate = threading.Event()

    def make(seen: float) -> np.ndarray:
        assert gate.wait(20)
        if seen < 0:
            raise ValueError("no chunk")
        return np.ones((4, 1))

    ahead = ChunksAhead(make, 0.1, refill=1, now_s=lambda: 0.0)
    ahead.show(1.0, 0.0)
    while ahead._asked is not None:
        time.sleep(0.001)
    ahead.clear()  # an emergency stop
    gate.set()
    while not ahead.counts.late:
        time.sleep(0.001)
    assert ahead.action(0.1) is None
    ahead.show(-1.0, 0.0)
    while not ahead.counts.failed:
        time.sleep(0.001)
    assert ahead.action(0.1) is None and ahead.show(1.0, 0.0)
    ahead.close()


def test_an_episode_runs_in_real_time() -> None:
    shape = DenoiserShape((3, 3, 3, 3), 3, 16, 16, 1)
    sizes = {"mean": 12, "std": 12, "middle": 3, "half": 3}
    scales = Scales(**{k: np.full(n, k in ("std", "half"), np.float32) for k, n in sizes.items()})
    model = DiffusionModel(
        "transformer", denoiser(shape=shape), scales, SamplingSettings("ddim", 2)
    )
    row = run_in_real_time(model, 1, 0)
    assert row["chunks"]["made"] >= 1 and row["chunks"]["failed"] == 0


def test_episodes_that_are_over_stay_where_they_are() -> None:
    episodes = PostEpisodes.draw(3, np.random.default_rng(0))
    episodes.hit[0] = True
    before = episodes.servos.copy()
    episodes.step(before + 0.1)
    assert (episodes.servos[0] == before[0]).all() and (episodes.servos[1] != before[1]).any()
    same = PostEpisodes.draw(2, np.random.default_rng(0))
    assert (same.post == episodes.post[:2]).all()


# -- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("two-ways", "--seeds", "0"), "--seeds must be 1"),
        (("two-ways", "--no-train"), "leave out --no-train"),
        (("two-ways", "--task", "nowhere"), "nowhere"),
        (("two-ways", "--learners", "nobody"), "nobody"),
        (("diffusion-find", "--demonstrations", "2"), "--demonstrations 5 or more"),
        (("diffusion-find", "--observe", "both"), "images"),
    ],
)
def test_commands_refuse_in_a_sentence(
    words: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = run_here("learning", *words, "--out", str(tmp_path / "out"))
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr
