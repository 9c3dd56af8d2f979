"""Mindstorms over one record with two policies, explorers of mazes, and an economy of credits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from learning.agents.messages import Answer, Failure
from learning.agents.models.scripted import Rule, ScriptedModel
from learning.agents.tasks.economy import (
    ENVIRONMENT,
    CreditError,
    Economy,
    EconomyOptions,
    Ledger,
    Trader,
)
from learning.agents.tasks.embodied_qa import (
    Explorer,
    Question,
    answer_from,
    draw_explorers,
    draw_worlds,
    truth,
)
from learning.agents.tasks.maze_qa_agents import (
    FACTS_PER_TURN,
    explorer_speaker,
    fuse,
    leader_speaker,
    mission_of,
)
from learning.agents.tasks.mindstorm import Mission, Speaker, decide, mindstorm

# -- the protocol ---------------------------------------------------------------------------------


def speaker(name: str, opinion: object) -> Speaker:
    """Has one opinion."""
    model = ScriptedModel([Rule("any", lambda r: True, lambda r: {"answer": opinion})])
    return Speaker(name, model, "You have one opinion.")


def test_the_four_phases_come_in_order_and_everybody_is_heard() -> None:
    members = [speaker("a", "yes"), speaker("b", "no"), speaker("c", "no")]
    inputs: list[str] = []
    storm = mindstorm(
        Mission("is it?"),
        speaker("leader", "yes"),
        members,
        rounds=2,
        on_utterance=lambda said: inputs.append(f"{said.phase}{said.round}:{said.speaker}"),
    )
    record = asyncio.run(storm)
    rounds = [f"interview{n}:{who}" for n in (1, 2) for who in ("leader", "a", "b", "c")]
    opinions = [f"opinion0:{who}" for who in ("a", "b", "c", "leader")]
    assert inputs == ["mission0:leader", *rounds, *opinions]
    monarchy, democracy = decide(record, "monarchy"), decide(record, "democracy")
    assert isinstance(monarchy, Answer) and monarchy.data["answer"] == "yes"
    assert isinstance(democracy, Answer) and democracy.data["answer"] == "no"
    assert record.usage.calls == 12


@pytest.mark.parametrize("unreadable", [None, 3, {"x": 1}, "YES!!"])
def test_an_answer_that_cannot_be_read_is_an_abstention(unreadable: object) -> None:
    mission = Mission("is it?", options=("yes", "no"))
    members = [speaker("a", unreadable), speaker("b", unreadable), speaker("c", "no")]
    record = asyncio.run(mindstorm(mission, speaker("leader", unreadable), members, rounds=1))
    democracy = decide(record, "democracy")
    assert isinstance(democracy, Answer)
    assert (democracy.data["answer"], democracy.data["abstained"]) == ("no", ["a", "b"])
    monarchy = decide(record, "monarchy")
    assert isinstance(monarchy, Failure) and "all abstain" in monarchy.text


def test_a_record_is_written(tmp_path: Path) -> None:
    record = asyncio.run(mindstorm(Mission("q"), speaker("leader", "x"), [], rounds=1))
    record.save(tmp_path / "storm.json")
    assert json.loads((tmp_path / "storm.json").read_text())["leader"] == "leader"


# -- explorers ------------------------------------------------------------------------------------


def test_explorers_know_a_part_of_the_truth_and_walk_the_same_way_again() -> None:
    world, _ = next(iter(draw_worlds(1, seed=3)))
    keen = Explorer("keen", steps=40, misreads=0.0, seed=5)
    known = keen.explore(world, number=2)
    assert known == keen.explore(world, number=2) != keen.explore(world, number=3)
    assert all(world.content(cell) == content for cell, content in known.items())
    assert 10 < len(known) < 225


def test_questions_do_not_hold_their_answers() -> None:
    for world, questions in draw_worlds(3, seed=1):
        for question in questions:
            assert truth(world, question) not in ("None", "wall", "floor")
            fields: dict[str, Any] = {**vars(question)}
            assert set(fields) == {"kind", "cells", "thing"}


def test_a_way_through_unknown_cells_is_not_known() -> None:
    question = Question("how far", ((1, 1), (1, 3)))
    known = {(1, 1): "ball", (1, 3): "cup"}
    assert answer_from(known, question, 15) is None
    assert answer_from({**known, (1, 2): "floor"}, question, 15) == "2"


def test_fusing_reports_settles_each_cell_by_majority() -> None:
    facts = [((1, 1), "cup"), ((1, 1), "cup"), ((2, 2), "key")]
    assert fuse({(1, 1): "box"}, facts) == {(1, 1): "cup", (2, 2): "key"}
    assert fuse({(1, 1): "box"}, facts[:1]) == {(1, 1): "box"}


def test_a_mindstorm_knows_more_than_its_members() -> None:
    explorers = draw_explorers(8, seed=2)
    alone = together = 0
    for number, (world, questions) in enumerate(draw_worlds(6, seed=2)):
        known = {one.name: one.explore(world, number) for one in explorers}
        for question in questions:
            members = [explorer_speaker(name, seen, 15) for name, seen in known.items()]
            storm = mindstorm(mission_of(question), leader_speaker(15), members)
            record = asyncio.run(storm)
            for said in record.utterances:
                if isinstance(said.outcome, Answer):
                    assert len(said.outcome.data.get("facts", ())) <= FACTS_PER_TURN
            right = truth(world, question)
            decided = decide(record, "monarchy")
            together += isinstance(decided, Answer) and decided.data["answer"] == right
            alone += answer_from(known["explorer_0"], question, 15) == right
    assert together > alone + 4


# -- credits --------------------------------------------------------------------------------------


class LedgerMachine(RuleBasedStateMachine):
    """Whatever is tried, no credit is made or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(1000)
        self.names = [ENVIRONMENT]

    @rule(payer=st.integers(0, 9), endowment=st.integers(-5, 400))
    def open(self, payer: int, endowment: int) -> None:
        name = f"m{len(self.names)}"
        try:
            self.ledger.open(name, self._name(payer), endowment)
            self.names.append(name)
        except CreditError:
            pass

    @rule(payer=st.integers(0, 9), payee=st.integers(0, 9), amount=st.integers(-5, 600))
    def pay(self, payer: int, payee: int, amount: int) -> None:
        before = self.ledger.accounts()
        try:
            self.ledger.pay(self._name(payer), self._name(payee), amount)
        except CreditError:
            assert self.ledger.accounts() == before

    @rule(who=st.integers(1, 9))
    def close(self, who: int) -> None:
        name = self._name(who)
        if name != ENVIRONMENT and name in self.ledger.accounts():
            self.ledger.close(name)

    @invariant()
    def credit_is_conserved(self) -> None:
        accounts = self.ledger.accounts()
        assert sum(accounts.values()) == 1000
        assert all(isinstance(held, int) and held >= 0 for held in accounts.values())

    def _name(self, number: int) -> str:
        return self.names[number % len(self.names)]


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("amount", [1.5, True, -1, 2000, "3"])
def test_credits_are_whole_not_negative_and_never_on_loan(amount: Any) -> None:
    ledger = Ledger(1000)
    ledger.open("a", ENVIRONMENT, 100)
    with pytest.raises(CreditError):
        ledger.pay(ENVIRONMENT, "a", amount)
    assert ledger.accounts() == {ENVIRONMENT: 900, "a": 100}


def make_economy(options: EconomyOptions, seed: int) -> Economy:
    """Half of the founders are right nine times in ten, half one time in ten."""
    rng = np.random.default_rng(seed)
    luck = np.random.default_rng(seed + 1)
    founders = [
        Trader(f"{'good' if i % 2 else 'bad'}_{i}", {"skill": 0.9 if i % 2 else 0.1}, 0.7)
        for i in range(options.founders)
    ]

    def answers_right(trader: Trader, number: int) -> bool:
        return bool(luck.random() < trader.traits["skill"])

    return Economy(options, founders, lambda n: "ab"[n % 2], answers_right, rng)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    credits_=st.integers(3_000, 50_000),
    rent=st.integers(0, 40),
    reward=st.integers(1, 300),
    rich=st.integers(300, 2000),
    service_share=st.floats(0.0, 0.5),
)
def test_an_economy_conserves_credit_whatever_its_rules(
    seed: int, credits_: int, rent: int, reward: int, rich: int, service_share: float
) -> None:
    options = EconomyOptions(
        credits=credits_,
        founders=10,
        endowment=200,
        rent=rent,
        reward=reward,
        rich=rich,
        service_share=service_share,
    )
    economy = make_economy(options, seed)
    for number in range(150):
        economy.play(number)
        accounts = economy.ledger.accounts()
        assert sum(accounts.values()) == credits_
        assert min(accounts.values()) >= 0
        assert set(accounts) == {ENVIRONMENT, *economy.members}


def test_the_bad_go_bankrupt_and_the_rich_have_offspring() -> None:
    economy = make_economy(EconomyOptions(), seed=4)
    rounds = [economy.play(number) for number in range(4000)]
    assert economy.members, "somebody lives"
    assert not [name for name in economy.members if name.startswith("bad")]
    assert any(done.born for done in rounds)
    assert any(done.adviser for done in rounds), "services are bought"
    assert np.mean([done.was_right for done in rounds[-500:]]) > 0.8
