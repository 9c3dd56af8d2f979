"""Let language models on this machine vote: any server with the OpenAI protocol.

    ollama serve & ollama pull llama3.1
    python examples/agents_with_a_local_server.py
    python examples/agents_with_a_local_server.py --base-url http://127.0.0.1:8000/v1 --model qwen3

Three agents speak for a camera each; a vote decides. What models say is data: it can only be one of
the options.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from learning.agents.graph.decisions import vote
from learning.agents.graph.executor import run
from learning.agents.graph.graph import Node
from learning.agents.graph.swarm import Swarm, single
from learning.agents.messages import Answer, Message, Task
from learning.agents.models.model import Model, Request
from learning.agents.models.server import ServerModel, ServerOptions

SAW = {
    "tip_forward": "a black and white tag near the left edge of the picture",
    "tip_down": "floor tiles, and the corner of a tag on the left",
    "base_side_middle": "nothing but grey: the lens may be covered",
}
OPTIONS = ("left", "ahead", "right")


def witness(camera: str, model: Model) -> Node:
    """Return an agent that speaks for one camera."""

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        request = Request(
            system=f"You speak for the camera {camera}. Answer null if it did not see the target.",
            task=task.text,
            inputs=tuple(inputs),
            options=OPTIONS,
            fields={"picture shows": SAW[camera]},
        )
        return await model.complete(request)

    return Node(camera, routine, "perception")


def main() -> None:
    """Ask, and print who said what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", default=ServerOptions.base_url)
    parser.add_argument("--model", default=ServerOptions.model)
    options = parser.parse_args()
    model = ServerModel(ServerOptions(model=options.model, base_url=options.base_url))
    swarm = Swarm({name: single(witness(name, model)) for name in SAW}, vote())
    task = Task("On which side is the target?")
    record = asyncio.run(run(swarm.graph(swarm.vote_edges), task, name="example"))
    for step in record.steps:
        print(f"{step.node}: {step.outcome.text}")


if __name__ == "__main__":
    main()
