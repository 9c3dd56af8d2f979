"""Improving one node: its prompt, and its demonstrations (arXiv 2402.16823, section 2.4).

A node saves the history of tasks, its replies, and what would have been right. From that,
candidates are made: demonstrations drawn from the history, and prompts rewritten by an
improver that reads the failures. A candidate replaces what there is only when it scores higher on
tasks that are held out from the history.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from pydantic import BaseModel, ConfigDict

from learning.agents.graph.graph import Node
from learning.agents.messages import AgentError, Answer, Message, Task
from learning.agents.models.model import Demonstration, Model, Request

_IMPROVER = (
    "You improve the prompt of an assistant. For each failure say in one sentence what went wrong, "
    "then rewrite the prompt so that it does not happen again. Keep what works."
)


class Rewrite(BaseModel):
    """What an improver answers."""

    model_config = ConfigDict(extra="forbid")

    faults: list[str]
    prompt: str


@dataclass(frozen=True)
class Prompting:
    """What is optimised: a prompt and the demonstrations that go with it."""

    prompt: str
    demonstrations: tuple[Demonstration, ...] = ()


@dataclass(frozen=True)
class Try:
    """One entry of a node's history."""

    task: str
    reply: str | None
    right: str

    @property
    def is_right(self) -> bool:
        """Whether the node had it right."""
        return self.reply == self.right


@dataclass(frozen=True)
class PromptedAgent:
    """A model with a prompt that can be improved.

    Attributes:
        model: answers.
        options: allowed answers.
        prompting: prompt and demonstrations.
    """

    model: Model
    options: tuple[str, ...]
    prompting: Prompting

    async def answer(self, task: str, inputs: Sequence[Message] = ()) -> Answer:
        """Answer one task.

        Returns:
            The model's answer.
        """
        request = Request(
            self.prompting.prompt,
            task,
            tuple(inputs),
            self.options,
            demonstrations=self.prompting.demonstrations,
        )
        return await self.model.complete(request)

    def node(self, name: str) -> Node:
        """Return the agent as a node of a graph."""

        async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
            return await self.answer(task.text, inputs)

        return Node(name, routine, "model")

    async def attempt(self, examples: Sequence[Demonstration]) -> list[Try]:
        """Answer tasks whose right answers are known; a failure counts as no answer.

        Returns:
            One attempt per task.
        """
        return list(await asyncio.gather(*(self._attempt(example) for example in examples)))

    async def _attempt(self, example: Demonstration) -> Try:
        try:
            reply = (await self.answer(example.task)).data.get("answer")
        except AgentError:
            reply = None
        return Try(example.task, None if reply is None else str(reply), example.answer)


@dataclass(frozen=True)
class NodeOptions:
    """Options of node optimisation; the paper's HumanEval runs in brackets."""

    rounds: int = 20
    """Rounds, each with a batch of new tasks."""
    batch: int = 4
    """Tasks per round (4)."""
    demonstrations: int = 4
    """At most so many (4)."""
    learn_prompt: bool = True
    """Let the improver rewrite the prompt (false by default there)."""
    learn_demonstrations: bool = True
    """Choose demonstrations from the history (true)."""
    seed: int = 0
    """Of batches and of demonstrations tried."""


@dataclass
class NodeResult:
    """What became of a node.

    Attributes:
        agent: with the best prompting found.
        scores: on the held-out tasks, after each round; they never fall.
        accepted: what was accepted, in order: ``prompt`` or ``demonstrations``.
        tried: how many candidates there were.
    """

    agent: PromptedAgent
    scores: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    tried: int = 0


async def improve(
    agent: PromptedAgent,
    training: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
    improver: Model,
    options: NodeOptions,
    on_round: Callable[[int], None] = lambda number: None,
) -> NodeResult:
    """Improve a node from its own history.

    Args:
        agent: to be improved; it is not changed.
        training: tasks that make the history.
        held_out: tasks on which a candidate must score higher; keep others back for a last test.
        improver: rewrites prompts; its fields are the prompt and the failures.
        options: of the optimisation.
        on_round: hears of each round done.

    Returns:
        The improved node, and the candidates tried and accepted.
    """
    rng = np.random.default_rng(options.seed)
    history: list[Try] = []
    result = NodeResult(agent)
    best = await score(agent, held_out)
    for number in range(options.rounds):
        batch = [training[i] for i in rng.integers(len(training), size=options.batch)]
        history += await result.agent.attempt(batch)
        for kind, prompting in await _candidates(result.agent, history, improver, options, rng):
            candidate = replace(result.agent, prompting=prompting)
            reached = await score(candidate, held_out)
            result.tried += 1
            if reached > best:
                best, result.agent = reached, candidate
                result.accepted.append(kind)
        result.scores.append(best)
        on_round(number + 1)
    return result


async def score(agent: PromptedAgent, examples: Sequence[Demonstration]) -> float:
    """Return the fraction of right answers."""
    return statistics.fmean([one.is_right for one in await agent.attempt(examples)])


async def _candidates(
    agent: PromptedAgent,
    history: Sequence[Try],
    improver: Model,
    options: NodeOptions,
    rng: np.random.Generator,
) -> list[tuple[str, Prompting]]:
    found = []
    if options.learn_demonstrations:
        chosen = rng.permutation(len(history))[: options.demonstrations]
        shown = tuple(Demonstration(history[i].task, history[i].right) for i in chosen)
        found.append(("demonstrations", replace(agent.prompting, demonstrations=shown)))
    failed = [one for one in history[-options.batch :] if not one.is_right]
    if options.learn_prompt and failed:
        prompt = await rewrite(improver, agent.prompting.prompt, failed)
        if prompt is not None:
            found.append(("prompt", replace(agent.prompting, prompt=prompt)))
    return found


async def rewrite(improver: Model, prompt: str, failed: Sequence[Try]) -> str | None:
    """Return a prompt that the improver thinks is better; None when it has no answer."""
    fields = {"prompt": prompt, "failures": [vars(one) for one in failed]}
    request = Request(_IMPROVER, "Rewrite the prompt.", fields=fields, schema=Rewrite)
    try:
        return str((await improver.complete(request)).data["prompt"])
    except (AgentError, KeyError):
        return None
