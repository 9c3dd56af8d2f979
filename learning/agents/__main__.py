"""``python -m learning.agents``: graphs, mindstorms and economies of language agents."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import run_command
from asterias.errors import HardwareError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from hardware.perception.images import save_png
from learning.agents.experiments import economies, faulty_cameras, mindstorms, nodes, speed
from learning.agents.experiments.resumable_rows import ResumableRows
from learning.agents.graph import drawing
from learning.agents.graph.edge_optimisation import EdgeOptions
from learning.agents.graph.executor import run
from learning.agents.graph.graph import Edge, load_edges, save_edges
from learning.agents.graph.run_trace import RunRecord, Step, recorded_graph
from learning.agents.messages import Answer, Outcome, Task
from learning.agents.models.back_ends import BackendOptions, make_model
from learning.agents.tasks.camera_dataset import LookAround, draw_liars
from learning.agents.tasks.embodied_qa import draw_explorers, draw_worlds, truth
from learning.agents.tasks.maze_qa_agents import explorer_speaker, leader_speaker, mission_of
from learning.agents.tasks.mindstorm import POLICIES, Utterance, decide, mindstorm
from learning.agents.tasks.target_location import QUESTION, camera_swarm


@dataclass(frozen=True)
class Run:
    """Look around with the simulated limb, and let its cameras answer where the target is."""

    seed: int = 0
    """Of the look: poses, target, liars."""
    liars: int = 1
    """How many of the six cameras are broken."""
    edges: Path | None = None
    """Graph that optimise has written; without it, a plain vote."""
    who: BackendOptions = field(default_factory=BackendOptions)
    """Who speaks."""
    record: Path | None = None
    """Record of the run to write (.json)."""
    picture: Path | None = None
    """Picture of the run to write (.png)."""

    def run(self) -> int:
        """Look, ask, print node by node.

        Returns:
            The exit code.
        """
        around = LookAround(self.seed)
        look = next(iter(around.looks(1)))
        around.close()
        liars = draw_liars(around.cameras, self.liars, np.random.default_rng((self.seed, 1)))
        swarm = camera_swarm(around.cameras, make_model(self.who))
        graph = swarm.graph(swarm.vote_edges if self.edges is None else load_edges(self.edges))
        console = Console(highlight=False, markup=False)
        for name, way in liars.items():
            console.print(f"broken: {name} is {way}")
        task = Task(QUESTION, look.observations(liars))
        record = asyncio.run(run(graph, task, name="cameras", on_step=lambda s: _tell(console, s)))
        console.print(f"true place: {look.truth}; {record.usage.calls} model calls")
        if self.record is not None:
            record.save(self.record)
        if self.picture is not None:
            save_png(str(self.picture), drawing.draw(graph, record, broken=liars))
        return 0 if isinstance(record.result, Answer) else 1


@dataclass(frozen=True)
class Optimise:
    """Learn whom to believe when some of the six cameras are broken."""

    out: Path
    """Graph to write (.json), for run --edges."""
    seed: int = 0
    """Of looks, liars and the optimiser."""
    liars: int = 2
    """How many of the six cameras are broken."""
    looks: int = 200
    """Looks to learn from; as many judge."""
    options: EdgeOptions = field(default_factory=lambda: faulty_cameras.FaultyCameras().edges)
    """The optimiser."""
    picture: Path | None = None
    """Picture of the learned graph to write (.png)."""

    def run(self) -> int:
        """Look, learn, judge, write.

        Returns:
            The exit code.
        """
        around = LookAround(self.seed)
        looks = []
        with progress_bars(24) as progress:
            stages = Stages(progress)
            for look in around.looks(2 * self.looks):
                looks.append(look)
                stages("looks around", len(looks), 2 * self.looks)
            around.close()
            liars = draw_liars(around.cameras, self.liars, np.random.default_rng((self.seed, 1)))
            swarm = camera_swarm(around.cameras)
            learned = asyncio.run(
                faulty_cameras.learn(
                    swarm,
                    looks[: self.looks],
                    liars,
                    self.options,
                    lambda n, _: stages("learning", n, self.options.iterations),
                )
            )
        console = Console(highlight=False, markup=False)
        for name, edges in (("learned graph", learned.edges), ("plain vote", swarm.vote_edges)):
            judged = faulty_cameras.accuracy(swarm.graph(edges), looks[self.looks :], liars)
            console.print(f"{name}: {100 * asyncio.run(judged):.1f} % right, {len(edges)} edges")
        chances = learned.distribution.probabilities
        console.print(_edge_table(chances, learned.edges, liars))
        save_edges(self.out, learned.edges, chances)
        if self.picture is not None:
            graph = swarm.graph(learned.edges)
            title = f"Broken: {', '.join(f'{name} ({way})' for name, way in liars.items())}"
            save_png(str(self.picture), drawing.draw(graph, None, chances, title))
        return 0


@dataclass(frozen=True)
class Mindstorm:
    """Hold a mindstorm of explorers about one maze, and print the replies."""

    members: int = 5
    """Explorers."""
    rounds: int = 5
    """Rounds of interviews."""
    seed: int = 0
    """Of maze, things and explorers."""
    question: Literal["what", "how many", "how far"] = "how many"
    """Kind of the question."""
    who: BackendOptions = field(default_factory=BackendOptions)
    """Who speaks."""
    record: Path | None = None
    """Record to write (.json)."""

    def run(self) -> int:
        """Explore, talk, decide twice: by the leader and by vote.

        Returns:
            The exit code.
        """
        world, questions = next(iter(draw_worlds(1, self.seed)))
        question = next(one for one in questions if one.kind == self.question)
        size, model = len(world.maze), make_model(self.who)
        members = [
            explorer_speaker(one.name, one.explore(world, 0), size, model)
            for one in draw_explorers(self.members, self.seed)
        ]
        console = Console(highlight=False, markup=False)

        def tell(utterance: Utterance) -> None:
            place = f"{utterance.phase} {utterance.round or ''} {utterance.speaker}"
            console.print(f"{place}: {utterance.outcome.text}")

        storm = mindstorm(
            mission_of(question),
            leader_speaker(size, model),
            members,
            rounds=self.rounds,
            on_utterance=tell,
        )
        record = asyncio.run(storm)
        for policy in POLICIES:
            console.print(f"{policy}: {_answer(decide(record, policy))}")
        console.print(f"truth: {truth(world, question)}; {record.usage.calls} model calls")
        if self.record is not None:
            record.save(self.record)
        return 0


@dataclass(frozen=True)
class Draw:
    """Draw the record of a run."""

    record: tyro.conf.Positional[Path]
    """Record that run has written (.json)."""
    picture: tyro.conf.Positional[Path]
    """Picture to write (.png)."""

    def run(self) -> int:
        """Read and draw.

        Returns:
            The exit code.
        """
        record = RunRecord.load(self.record)
        save_png(str(self.picture), drawing.draw(recorded_graph(record), record))
        return 0


def _named(name: str) -> Any:
    return tyro.conf.subcommand(name, prefix_name=False)


@dataclass(frozen=True)
class Measure:
    """Make a file of results/ anew."""

    experiment: (
        Annotated[faulty_cameras.FaultyCameras, _named("edges")]
        | Annotated[mindstorms.Mindstorms, _named("mindstorm")]
        | Annotated[economies.Economies, _named("economy")]
        | Annotated[nodes.Nodes, _named("nodes")]
        | Annotated[speed.Speed, _named("speed")]
    )
    """What to measure."""
    json: Path
    """Result file to write."""
    plot: Path | None = None
    """Picture to write (.png), for mindstorms and economies."""

    def run(self) -> int:
        """Measure, print the summary, write.

        Returns:
            The exit code.

        Raises:
            HardwareError: ``--plot`` is given to an experiment that draws nothing.
        """
        module = _EXPERIMENTS[type(self.experiment)]
        plot = getattr(module, "plot", None)
        if self.plot is not None and plot is None:
            raise HardwareError("--plot draws mindstorm and economy only; leave it out.")
        data = self._measure(module)
        Console().print_json(data={k: v for k, v in data.items() if k in _SHOWN})
        if self.plot is not None and plot is not None:
            plot(data, self.plot)
        return 0

    def _measure(self, module: Any) -> dict[str, Any]:
        """Measure and write; the edges, which take long, go on where they were stopped.

        Returns:
            The content of the result file.
        """
        measure, saved = module.measure, None
        if isinstance(self.experiment, faulty_cameras.FaultyCameras):
            saved = ResumableRows(self.json, asdict(self.experiment))
            measure = partial(measure, saved=saved)
        with progress_bars(28) as progress:
            data: dict[str, Any] = measure(self.experiment, Stages(progress))
        write_json(self.json, data)
        if saved is not None:
            saved.remove()
        return data


_EXPERIMENTS: dict[type, Any] = {
    faulty_cameras.FaultyCameras: faulty_cameras,
    mindstorms.Mindstorms: mindstorms,
    economies.Economies: economies,
    nodes.Nodes: nodes,
    speed.Speed: speed,
}
_SHOWN = ("summary", "answer_s", "graphs_per_minute")

COMMANDS: dict[str, type] = {
    "run": Run,
    "optimise": Optimise,
    "mindstorm": Mindstorm,
    "draw": Draw,
    "measure": Measure,
}


def _tell(console: Console, step: Step) -> None:
    console.print(f"{step.ended_s:7.3f} s  {step.node}: {step.outcome.text}")


def _answer(outcome: Outcome) -> str:
    return str(outcome.data["answer"]) if isinstance(outcome, Answer) else outcome.text


def _edge_table(
    chances: Mapping[Edge, float], kept: tuple[Edge, ...], liars: Mapping[str, str]
) -> Table:
    table = Table(title="Potential edges, the likeliest first")
    for heading in ("from", "to", "probability", "kept"):
        table.add_column(heading)
    for edge, chance in sorted(chances.items(), key=lambda entry: -entry[1]):
        source = f"{edge[0]} ({liars[edge[0]]})" if edge[0] in liars else edge[0]
        table.add_row(source, edge[1], f"{chance:.3f}", "yes" if edge in kept else "")
    return table


def main(arguments: Sequence[str] | None = None, program: str = "python -m learning.agents") -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2.

    Returns:
        The exit code.
    """
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
