"""Graphs of agents: who hears what, what runs, how failures travel, records and replay."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.agents.graph.decisions import leader, self_consistency, vote
from learning.agents.graph.drawing import draw
from learning.agents.graph.executor import Stop, answer, blocking, run
from learning.agents.graph.graph import Graph, GraphError, Node, Routine
from learning.agents.graph.run_trace import RunRecord, replay
from learning.agents.graph.swarm import Swarm, single
from learning.agents.messages import (
    AgentError,
    Answer,
    Failure,
    FailureKind,
    Message,
    Task,
    answers,
)
from learning.agents.models.model import Request
from learning.agents.models.scripted import Rule, ScriptedModel

TASK = Task("where is the target?")


def says(word: str | None, delay_s: float = 0.0) -> Routine:
    """Answers always the same."""

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        await asyncio.sleep(delay_s)
        return Answer(str(word), {"answer": word})

    return routine


async def listens(task: Task, inputs: Sequence[Message]) -> Answer:
    """Answers with all it was given."""
    return Answer(f"{task.text} {[(who, said.text) for who, said in answers(inputs)]}")


async def fails(task: Task, inputs: Sequence[Message]) -> Answer:
    raise AgentError(FailureKind.ERROR, "the lens is dirty")


def swarm(words: Sequence[str | None]) -> Swarm:
    agents = {f"camera_{i}": single(Node(f"camera_{i}", says(w))) for i, w in enumerate(words)}
    return Swarm(agents, vote())


# -- what a node hears ----------------------------------------------------------------------------


def test_adding_or_removing_an_edge_changes_what_its_target_receives() -> None:
    agents = {name: single(Node(name, listens)) for name in ("a", "b")}
    society = Swarm(agents, Node("decision", listens, "decision"))
    without = society.graph(society.vote_edges)
    with_edge = without.with_edges([("a", "b")])
    deaf, hearing = answer(without, TASK), answer(with_edge, TASK)
    assert deaf.step("b").outcome.text == "where is the target? []"
    assert "('a', 'where is the target? []')" in hearing.step("b").outcome.text
    again = answer(with_edge.without_edges([("a", "b")]), TASK)
    assert again.step("b").outcome == deaf.step("b").outcome


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_node_receives_the_task_and_exactly_its_predecessors(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 7))
    pairs = [(f"n{i}", f"n{j}") for i in range(count) for j in range(i + 1, count)]
    edges = frozenset(data.draw(st.sets(st.sampled_from(pairs))))
    heard_by: dict[str, list[str]] = {}

    def node(name: str) -> Node:
        async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
            assert task is TASK
            heard_by[name] = [message.sender for message in inputs]
            return Answer(name)

        return Node(name, routine)

    graph = Graph(tuple(node(f"n{i}") for i in range(count)), edges, f"n{count - 1}")
    record = answer(graph, TASK)
    assert set(heard_by) == graph.needed == {step.node for step in record.steps}
    assert set(record.skipped) == {node.name for node in graph.nodes} - graph.needed
    for name, inputs in heard_by.items():
        assert sorted(inputs) == sorted(a for a, b in edges if b == name)


def test_nodes_off_every_path_to_the_answer_do_not_run() -> None:
    society = swarm(["left", "right"])
    record = answer(society.graph([("camera_0", "decision")]), TASK)
    assert record.skipped == ("camera_1",)
    assert record.result == record.step("decision").outcome


@pytest.mark.parametrize(
    ("edges", "output", "told"),
    [
        ([("a", "b"), ("b", "a")], "a", "circle: "),
        ([("a", "c")], "a", "no node 'c'"),
        ([], "z", "no node 'z'"),
    ],
)
def test_what_is_no_graph_is_refused(edges: list[tuple[str, str]], output: str, told: str) -> None:
    nodes = (Node("a", listens), Node("b", listens))
    with pytest.raises(GraphError, match=told):
        Graph(nodes, frozenset(edges), output)


def test_potential_edges_are_those_between_different_agents_and_to_the_decision() -> None:
    inner = Graph(
        (Node("look", listens), Node("say", listens)), frozenset({("look", "say")}), "say"
    )
    society = Swarm({"a": inner, "b": single(Node("b", listens))}, vote())
    assert set(society.potential_edges) == {
        ("a/look", "b"),
        ("a/say", "b"),
        ("b", "a/look"),
        ("b", "a/say"),
        ("a/say", "decision"),
        ("b", "decision"),
    }
    assert society.graph([]).edges == {("a/look", "a/say")}


# -- time, failure, cancel ------------------------------------------------------------------------


def test_independent_nodes_run_at_the_same_time() -> None:
    agents = {f"m{i}": single(Node(f"m{i}", says("left", delay_s=0.2))) for i in range(10)}
    society = Swarm(agents, vote())
    record = answer(society.graph(society.vote_edges), TASK)
    assert record.duration_s < 1.0


def test_failures_reach_the_decision_as_what_they_are() -> None:
    agents = {
        "broken": single(Node("broken", fails, "perception")),
        "slow": single(Node("slow", says("right", delay_s=5.0), timeout_s=0.05)),
        "good": single(Node("good", says("left"))),
        "blind": single(Node("blind", says(None))),
    }
    society = Swarm(agents, vote())
    record = answer(society.graph(society.vote_edges), TASK)
    assert isinstance(record.result, Answer)
    assert record.result.data["answer"] == "left"
    assert record.result.data["failed"] == {
        "broken": "the lens is dirty",
        "slow": "'slow' did not answer within 0.05 s.",
    }
    assert record.result.data["abstained"] == ["blind"]


def test_when_nobody_answers_the_result_is_a_failure_and_no_sentence() -> None:
    society = Swarm({"broken": single(Node("broken", fails))}, vote())
    for edges in ([], society.vote_edges):
        result = answer(society.graph(edges), TASK).result
        assert isinstance(result, Failure) and result.kind is FailureKind.NO_INPUT


def test_a_defect_in_a_routine_is_a_failure_with_its_name() -> None:
    async def broken(task: Task, inputs: Sequence[Message]) -> Answer:
        raise ZeroDivisionError("oh")

    result = answer(single(Node("n", broken)), TASK).result
    assert isinstance(result, Failure) and "ZeroDivisionError('oh')" in result.text


def test_the_whole_run_has_a_time_out_even_when_a_routine_blocks() -> None:
    release = threading.Event()

    def block(task: Task, inputs: Sequence[Message]) -> Answer:
        release.wait(30)
        return Answer("late")

    agents = {"a": single(Node("a", blocking(block))), "b": single(Node("b", says("left")))}
    society = Swarm(agents, vote())
    started_s = time.monotonic()
    record = answer(society.graph(society.vote_edges), TASK, timeout_s=0.2)
    release.set()
    assert time.monotonic() - started_s < 10
    assert record.step("a").outcome == record.result
    assert isinstance(record.result, Failure) and record.result.kind is FailureKind.TIMEOUT
    assert record.step("b").outcome == Answer("left", {"answer": "left"})


def test_a_run_is_canceled_from_another_thread_and_its_record_says_so() -> None:
    society = Swarm(
        {"slow": single(Node("slow", says("left", delay_s=20))), "b": single(Node("b", says("a")))},
        vote(),
    )
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    record = answer(society.graph(society.vote_edges), TASK, stop=stop)
    assert record.duration_s < 10
    assert isinstance(record.result, Failure) and record.result.kind is FailureKind.CANCELED
    assert {step.node for step in record.steps} == {"slow", "b", "decision"}


# -- decisions ------------------------------------------------------------------------------------


def test_a_tie_goes_to_who_was_asked_first_and_is_told() -> None:
    society = swarm(["right", "left", "left", "right"])
    result = answer(society.graph(society.vote_edges), TASK).result
    assert isinstance(result, Answer)
    assert (result.data["answer"], result.data["tied"]) == ("right", True)


def test_self_consistency_takes_the_most_frequent_of_one_routines_answers() -> None:
    words = iter(["left", "right", "left", "left", "right"])

    async def moody(task: Task, inputs: Sequence[Message]) -> Answer:
        return Answer("", {"answer": next(words)})

    result = answer(single(self_consistency(moody, samples=5)), TASK).result
    assert isinstance(result, Answer) and result.data["answer"] == "left"


def test_a_leader_whose_decision_is_no_option_fails() -> None:
    def model(word: str) -> ScriptedModel:
        return ScriptedModel([Rule("any", lambda request: True, lambda request: {"answer": word})])

    good = answer(single(leader(model("left"), ["left", "right"])), TASK).result
    assert isinstance(good, Answer) and good.backend == "scripted"
    bad = answer(single(leader(model("LEFT!"), ["left", "right"])), TASK).result
    assert isinstance(bad, Failure) and bad.kind is FailureKind.MALFORMED


# -- records --------------------------------------------------------------------------------------


def test_a_record_survives_the_file_and_is_replayed(tmp_path: Path) -> None:
    society = swarm(["left", "left", None])
    agents = {**society.agents, "broken": single(Node("broken", fails))}
    society = Swarm(agents, vote())
    graph = society.graph([*society.vote_edges, ("camera_0", "camera_1")])
    record = answer(graph, TASK, name="cameras")
    record.save(tmp_path / "run.json")
    loaded = RunRecord.load(tmp_path / "run.json")
    assert loaded == record

    silent = {name: single(Node(name, fails)) for name in agents}
    silenced = Swarm(silent, vote()).graph(graph.edges)
    assert answer(replay(silenced, loaded), TASK).result == record.result
    assert answer(replay(silenced, loaded, live=["decision"]), TASK).result == record.result
    other = replay(silenced.without_edges([("camera_0", "camera_1")]), loaded)
    changed = answer(other, TASK).step("camera_1").outcome
    assert isinstance(changed, Failure) and "run it live" in changed.text


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"graph": "x"}')
    with pytest.raises(ValueError, match=r"run\.json is no record of a run: task"):
        RunRecord.load(path)


def test_a_run_can_be_drawn() -> None:
    society = Swarm({"broken": single(Node("broken", fails)), **swarm(["left"] * 3).agents}, vote())
    graph = society.graph([("broken", "decision"), ("camera_0", "decision")])
    picture = draw(graph, answer(graph, TASK))
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.std() > 5


def test_what_is_broken_is_drawn_red_and_named_in_the_legend() -> None:
    graph = swarm(["left"] * 3).graph([("camera_0", "decision"), ("camera_1", "decision")])
    record = answer(graph, TASK)

    def red(broken: dict[str, str]) -> int:
        picture = draw(graph, record, broken=broken)
        return int((np.abs(picture.astype(int) - (214, 39, 40)).max(axis=2) < 12).sum())

    assert red({}) == 0
    assert red({"camera_0": "stuck"}) > 500
    assert red({"camera_0": "stuck", "camera_1": "dark"}) > 1.5 * red({"camera_0": "stuck"})


def test_129_members_answer_quickly() -> None:
    """The number is measured in results/agents/speed.json; here only that it is no problem."""
    society = swarm(["left"] * 129)
    edges = [(a, b) for a, b in society.potential_edges if b == "decision" or a < b]
    record = asyncio.run(run(society.graph(edges), TASK))
    assert len(record.steps) == 130 and record.duration_s < 10


def test_scripted_errors_depend_on_the_request_alone() -> None:
    rule = Rule("left", lambda request: "where" in request.task, lambda r: {"answer": "left"})
    model = ScriptedModel([rule], error_rate=0.3, seed=1)
    requests = [Request("", f"where {i}", options=("left", "right")) for i in range(300)]
    said = [asyncio.run(model.complete(request)) for request in requests]
    again = [asyncio.run(model.complete(request)) for request in reversed(requests)]
    assert said == again[::-1]
    wrong = sum(reply.data["answer"] == "right" for reply in said)
    assert 60 < wrong < 120
    assert all(reply.text.startswith("[scripted, rule left]") for reply in said)
    with pytest.raises(AgentError, match="No rule of this scripted model covers 'sing'"):
        asyncio.run(model.complete(Request("", "sing")))


def test_a_record_of_an_earlier_version_loads_and_the_key_in_files_stays(tmp_path: Path) -> None:
    step = {
        "node": "decision",
        "kind": "decision",
        "heard": ["a"],
        "outcome": {"text": "left", "data": {"answer": "left"}, "backend": "vote"},
        "started_s": 0.0,
        "ended_s": 0.1,
    }
    content = {"graph": "g", "task": "t", "output": "decision", "edges": [["a", "decision"]]}
    path = tmp_path / "run.json"
    path.write_text(
        json.dumps(content | {"steps": [step], "skipped": [], "duration_s": 0.1}), encoding="utf-8"
    )
    record = RunRecord.load(path)
    assert record.step("decision").inputs == ("a",)
    record.save(path)
    assert json.loads(path.read_text(encoding="utf-8"))["steps"][0]["heard"] == ["a"]
