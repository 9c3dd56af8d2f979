"""Node optimisation: candidates from a node's own history, accepted only when they help."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from learning.agents.graph.executor import answer
from learning.agents.graph.node_optimisation import (
    NodeOptions,
    PromptedAgent,
    Prompting,
    Try,
    improve,
    rewrite,
    score,
)
from learning.agents.graph.swarm import single
from learning.agents.messages import Answer, Task
from learning.agents.models.model import Demonstration
from learning.agents.models.scripted import Rule, ScriptedModel
from learning.agents.skills.next_skill import (
    FIRST_PROMPT,
    SKILL_NAMES,
    draw_orders,
    scripted_assistant,
    scripted_improver,
)

AGENT = PromptedAgent(scripted_assistant(), SKILL_NAMES, Prompting(FIRST_PROMPT))


@pytest.mark.parametrize(
    "changes", [{}, {"learn_prompt": False}, {"learn_demonstrations": False}], ids=str
)
def test_a_node_gets_better_on_orders_that_it_has_not_seen(changes: dict[str, bool]) -> None:
    rng = np.random.default_rng(0)
    train, held_out, test = (draw_orders(count, rng) for count in (100, 40, 100))
    options = NodeOptions(rounds=10, **changes)
    result = asyncio.run(improve(AGENT, train, held_out, scripted_improver(), options))
    assert 0 < len(result.accepted) <= result.tried
    assert result.scores == sorted(result.scores)
    before, after = (asyncio.run(score(agent, test)) for agent in (AGENT, result.agent))
    assert after > before + 0.1
    assert AGENT.prompting == Prompting(FIRST_PROMPT), "the node that was given is not changed"


def test_a_rewrite_that_does_not_help_is_not_accepted() -> None:
    bad = ScriptedModel([Rule("bad", lambda r: True, lambda r: {"prompt": "Say hold."})])
    orders = draw_orders(60, np.random.default_rng(1))
    options = NodeOptions(rounds=5, learn_demonstrations=False)
    result = asyncio.run(improve(AGENT, orders, orders, bad, options))
    assert result.tried > 0 and result.accepted == []
    assert result.agent.prompting.prompt == FIRST_PROMPT


def test_an_improver_without_an_answer_changes_nothing() -> None:
    silent = ScriptedModel([])
    failed = [Try("hunt the tag", None, "find_target")]
    assert asyncio.run(rewrite(silent, FIRST_PROMPT, failed)) is None
    told = asyncio.run(rewrite(scripted_improver(), FIRST_PROMPT, failed))
    assert told == FIRST_PROMPT + "\nhunt means find_target"


def test_an_improved_agent_is_a_node() -> None:
    shown = Prompting(FIRST_PROMPT, (Demonstration("robot hunt the tag", "find_target"),))
    agent = PromptedAgent(scripted_assistant(), SKILL_NAMES, shown)
    result = answer(single(agent.node("next skill")), Task("hunt it down")).result
    assert isinstance(result, Answer) and result.data["answer"] == "find_target"
