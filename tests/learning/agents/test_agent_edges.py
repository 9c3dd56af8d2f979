"""Edge optimisation: acyclic draws, gradients, baselines, and whether it finds the liar."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.agents.graph.decisions import vote
from learning.agents.graph.edge_optimisation import (
    BASELINES,
    EdgeDistribution,
    EdgeOptions,
    advantages,
    optimise,
)
from learning.agents.graph.executor import run
from learning.agents.graph.graph import Graph, Node
from learning.agents.graph.swarm import Swarm, single
from learning.agents.messages import Answer, Message, Task
from learning.agents.tasks.camera_dataset import break_picture
from learning.agents.tasks.target_location import (
    NOWHERE,
    QUESTION,
    RULES,
    CameraReport,
    camera_swarm,
)


async def says_left(task: Task, inputs: Sequence[Message]) -> Answer:
    return Answer("left", {"answer": "left"})


async def says_what_is_true(task: Task, inputs: Sequence[Message]) -> Answer:
    return Answer("", {"answer": task.text})


def swarm_of(count: int) -> Swarm:
    """Agents of two nodes each, so that there are inner edges."""
    agents = {}
    for i in range(count):
        nodes = (Node("a", says_left), Node("b", says_left))
        agents[f"agent_{i}"] = Graph(nodes, frozenset({("a", "b")}), "b")
    return Swarm(agents, vote())


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 4),
    initial=st.floats(0.05, 0.95),
    learned_order=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_every_drawn_graph_is_acyclic(
    count: int, initial: float, learned_order: bool, seed: int
) -> None:
    swarm = swarm_of(count)
    distribution = EdgeDistribution(swarm, initial, learned_order)
    drawn = distribution.draw(5, np.random.default_rng(seed))
    for edges in drawn.edges:
        swarm.graph(edges)  # raises for a circle
    assert ((drawn.taken == 0) | (drawn.visited == 1)).all()
    realised = swarm.graph(distribution.realise(threshold=initial / 2))
    assert all(target in realised.needed for _, target in realised.edges - swarm.inner_edges)


def test_the_likelihood_is_that_of_the_decisions_that_chance_made() -> None:
    swarm = Swarm({"x": single(Node("x", says_left)), "y": single(Node("y", says_left))}, vote())
    distribution = EdgeDistribution(swarm, initial=0.25)
    assert distribution.potential == (("x", "y"), ("y", "x"), ("x", "decision"), ("y", "decision"))
    drawn = distribution.draw(500, np.random.default_rng(0))
    likelihood = distribution.log_likelihood(drawn).detach().numpy()
    for edges, visited, value in zip(drawn.edges, drawn.visited, likelihood, strict=True):
        # After x -> y, the edge y -> x would close a circle: it is skipped, and adds nothing.
        assert visited.tolist() == [1, float(("x", "y") not in edges), 1, 1]
        skipped = int(("x", "y") in edges)
        expected = len(edges) * np.log(0.25) + (4 - skipped - len(edges)) * np.log(0.75)
        assert value == pytest.approx(expected, rel=1e-5)
    share = np.mean([("x", "y") in edges for edges in drawn.edges])
    assert share == pytest.approx(0.25, abs=0.06)


def test_learned_orders_are_drawn_from_the_softmax_of_those_that_can_come_next() -> None:
    swarm = Swarm({n: single(Node(n, says_left)) for n in "xyz"}, vote())
    distribution = EdgeDistribution(swarm, learned_order=True)
    with torch.no_grad():
        distribution.order_logits[0] = np.log(2.0)
    drawn = distribution.draw(2000, np.random.default_rng(1))
    assert drawn.orders is not None
    assert (drawn.orders[:, 3] == 3).all(), "the decision comes last"
    assert (drawn.orders[:, 0] == 0).mean() == pytest.approx(0.5, abs=0.04)
    assert ((drawn.orders[:, 0] == 1) & (drawn.orders[:, 1] == 0)).mean() == pytest.approx(
        0.25 * 2 / 3, abs=0.04
    )


def test_baselines() -> None:
    utilities = torch.tensor([1.0, 0.0, 0.0, 3.0])
    expected = {
        "none": [1, 0, 0, 3],
        "constant": [0.5, -0.5, -0.5, 2.5],
        "batch_mean": [0, -1, -1, 2],
        "leave_one_out": [1 - 1, 0 - 4 / 3, 0 - 4 / 3, 3 - 1 / 3],
    }
    for baseline in BASELINES:
        values = advantages(utilities, EdgeOptions(baseline=baseline))
        assert values.tolist() == pytest.approx(expected[baseline], abs=1e-6)


@pytest.mark.parametrize("learned_order", [False, True])
def test_it_cuts_the_edges_of_those_who_are_wrong(learned_order: bool) -> None:
    """Two that are right, three that always say left; nobody tells which."""
    agents = {f"honest_{i}": single(Node(f"honest_{i}", says_what_is_true)) for i in range(2)}
    agents |= {f"liar_{i}": single(Node(f"liar_{i}", says_left)) for i in range(3)}
    swarm = Swarm(agents, vote())

    async def utility(graph: Graph, word: str) -> float:
        result = (await run(graph, Task(word))).result
        return float(isinstance(result, Answer) and result.data["answer"] == word)

    options = EdgeOptions(iterations=70, tasks=2, learned_order=learned_order)
    words = ["left", "right", "ahead"]
    learned = asyncio.run(optimise(swarm, words, utility, options))
    inputs = {source for source, target in learned.edges if target == "decision"}
    assert inputs and inputs <= {"honest_0", "honest_1"}, learned.edges
    scores = [asyncio.run(utility(swarm.graph(learned.edges), word)) for word in words]
    assert scores == [1.0, 1.0, 1.0]
    if not learned_order:
        again = asyncio.run(optimise(swarm, words, utility, options))
        assert again.edges == learned.edges and again.utilities == learned.utilities


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"baseline": "mean"}, "choose one of none, constant"),
        ({"initial": 1.0}, "between 0 and 1"),
        ({"graphs": 1}, "needs 2 graphs"),
        ({"tasks": 0}, "1 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EdgeOptions(**options)  # type: ignore[arg-type]


def test_the_same_density_control_has_as_many_edges() -> None:
    distribution = EdgeDistribution(swarm_of(3))
    rng = np.random.default_rng(0)
    for count in (0, 3, 9):
        assert len(distribution.random(count, rng)) == count


# -- camera members -------------------------------------------------------------------------------


def test_camera_members_say_what_they_saw_and_whether_others_agree() -> None:
    swarm = camera_swarm(["a", "b", "c", "d"])
    seen = {
        "a": CameraReport("left low", 2, 21.0),
        "b": CameraReport("left low", 1, 15.0),
        "c": CameraReport(None),
        "d": CameraReport(None, blank=True),
    }
    graph = swarm.graph([*swarm.vote_edges, ("b", "a"), ("c", "a")])
    record = asyncio.run(run(graph, Task(QUESTION, {**seen, "look": 1})))
    text = record.step("a").outcome.text
    assert text.endswith("I see the tag left low, 21 px; 1 of those I hear agree, 0 do not.")
    assert "saw no tag" in record.step("c").outcome.text
    assert record.step("d").outcome.text.startswith("[scripted, rule nonsense]")
    assert isinstance(record.result, Answer) and record.result.data["answer"] == "left low"
    assert record.backends == ("scripted", "vote")


def test_when_all_cameras_saw_nothing_the_target_is_nowhere() -> None:
    swarm = camera_swarm(["a", "b"])
    seen = {"a": CameraReport(None), "b": CameraReport(None)}
    result = asyncio.run(run(swarm.graph(swarm.vote_edges), Task(QUESTION, seen))).result
    assert isinstance(result, Answer) and result.data["answer"] == NOWHERE
    deaf = asyncio.run(run(swarm.graph(swarm.vote_edges), Task(QUESTION))).result
    assert not isinstance(deaf, Answer), "no pictures is something else than nothing seen"


def test_members_are_not_told_the_truth() -> None:
    """What a rule can read is a report: what one camera saw."""
    assert {rule.name for rule in RULES} == {"sighting", "nonsense", "nothing seen"}
    assert set(vars(CameraReport(None))) == {"place", "sightings", "side_px", "blank"}


def test_pictures_break_in_four_ways() -> None:
    image = np.arange(96 * 96 * 3, dtype=np.uint32).reshape(96, 96, 3).astype(np.uint8)
    frozen = np.full_like(image, 7)
    assert break_picture(image, "black", frozen).max() == 0
    assert (break_picture(image, "frozen", frozen) == 7).all()
    assert (break_picture(image, "mirrored", frozen)[:, 0] == image[:, 95]).all()
    assert (break_picture(image, "shuffled", frozen)[:48, :48] == image[48:, 48:]).all()
