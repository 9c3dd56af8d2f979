"""Decision nodes: from many answers to one. Failures and abstentions are counted and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from learning.agents.graph.graph import Node, Routine
from learning.agents.messages import (
    AgentError,
    Answer,
    FailureKind,
    Message,
    Task,
    answers,
    failures,
)
from learning.agents.models.model import Model, Request


def majority(votes: Sequence[tuple[str, float]]) -> tuple[str, bool]:
    """Return the answer with most weight and whether that was a tie; of equals, the first wins."""
    weights: Counter[str] = Counter()
    for choice, weight in votes:
        weights[choice] += weight  # type: ignore[assignment]  # weights may be fractions
    ranked = weights.most_common()
    return ranked[0][0], len(ranked) > 1 and ranked[0][1] == ranked[1][1]


def vote(name: str = "decision", silence: str | None = None) -> Node:
    """Return a majority vote over ``data["answer"]``, weighted by ``data["weight"]`` (default 1).

    Who says None abstains. The answer says who voted how, who abstained and who failed.

    Args:
        name: of the node.
        silence: the answer when all who answer abstain; None makes that a failure.
    """

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        return count_votes(inputs, silence)

    return Node(name, routine, "decision")


def count_votes(inputs: Sequence[Message], silence: str | None = None) -> Answer:
    """Return the majority of the messages; see :func:`vote`.

    Raises:
        AgentError: there is nothing to count.
    """
    replies = answers(inputs)
    cast = [
        (who, str(reply.data["answer"]), float(reply.data.get("weight", 1.0)))
        for who, reply in replies
        if reply.data.get("answer") is not None
    ]
    abstained = [who for who, reply in replies if reply.data.get("answer") is None]
    failed = {who: failure.text for who, failure in failures(inputs)}
    votes = [(choice, weight) for _, choice, weight in cast if weight > 0.0]
    if votes:
        choice, tied = majority(votes)
    elif silence is not None and replies:
        choice, tied = silence, False
    else:
        reasons = "; ".join(f"{who}: {text}" for who, text in failed.items()) or "all abstain"
        raise AgentError(FailureKind.NO_INPUT, f"Nobody voted ({reasons}).")
    supporters = [who for who, voted, weight in cast if voted == choice and weight > 0.0]
    text = f"{choice}, say {', '.join(supporters) or 'none, for all abstain'}."
    data = {
        "answer": choice,
        "tied": tied,
        "votes": {who: voted for who, voted, _ in cast},
        "supporters": supporters,
        "abstained": abstained,
        "failed": failed,
    }
    return Answer(text, data, "vote")


def self_consistency(agent: Routine, samples: int, name: str = "decision") -> Node:
    """Return a node that answers with the most frequent of several answers of one routine.

    Samples that fail do not vote; when all fail, so does the node.
    """

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        replies: list[Message] = []
        for number in range(samples):
            try:
                replies.append(Message(f"sample {number}", await agent(task, inputs)))
            except AgentError as error:
                replies.append(Message(f"sample {number}", error.failure))
        return count_votes(replies)

    return Node(name, routine, "decision")


def leader(model: Model, options: Sequence[str] = (), name: str = "decision") -> Node:
    """Return a node whose model reads all inputs, failures included, and decides.

    A decision that is none of the ``options`` is a ``malformed`` failure, not a guess.
    """

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        request = Request(
            system="You lead a team. Decide from what its members say; they may err or lie.",
            task=task.text,
            inputs=tuple(inputs),
            options=tuple(options),
        )
        reply = await model.complete(request)
        choice = reply.data.get("answer")
        if options and choice not in options:
            text = f"The leader's decision {choice!r} is none of {', '.join(options)}."
            raise AgentError(FailureKind.MALFORMED, text)
        return reply

    return Node(name, routine, "decision")
