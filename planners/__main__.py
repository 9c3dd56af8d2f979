"""``python -m planners``: draw mazes, train planners, plan through mazes, and measure.

The mapper is trained by ``python -m learning.doom_maze mapper``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from asterias.cli import LazyCommand, run_command

COMMANDS = {
    "mazes": LazyCommand(
        "planners.commands:mazes", "Draw a set of mazes:  mazes --out test.npz --size 15"
    ),
    "train": LazyCommand(
        "planners.commands:train", "Train a planner from a preset:  train 15 --out runs/15"
    ),
    "evaluate": LazyCommand(
        "planners.commands:evaluate",
        "Score weights on mazes:  evaluate --weights W --mazes test.npz",
    ),
    "study": LazyCommand(
        "planners.commands:study",
        "Train and test a whole table:  study 15 --json results/planners/maze_15.json",
    ),
    "transfer": LazyCommand(
        "planners.commands:transfer",
        "Score weights on larger mazes:  transfer --weights W --sizes 201,501",
    ),
    "scale": LazyCommand(
        "planners.commands:scale",
        "Score weights from 15 x 15 to 1001 x 1001 and on other kinds of maps:  scale --weights W",
    ),
    "plan": LazyCommand(
        "planners.commands:plan",
        "Plan through one maze, draw it:  plan --maze maze.png --start 1,1 --goal 13,13",
    ),
    "compare": LazyCommand(
        "planners.commands:compare", "Measure grid planners that people use beside ours."
    ),
    "neural-a-star": LazyCommand(
        "planners.commands:neural_a_star",
        "Train Neural A*, made again small, and score it beside A*.",
    ),
    "terrain": LazyCommand(
        "planners.commands:terrain",
        "Train on pictures of terrain, plan through doubt beside CNN and A*.",
    ),
    "gates": LazyCommand(
        "planners.commands:gates",
        "Measure how gradients pass the layers of VIN and Highway VIN before any training.",
    ),
    "bench": LazyCommand("planners.commands:bench", "Measure speed and memory."),
    "gpu": LazyCommand(
        "planners.commands:gpu",
        "Build, check and time the operator on a GPU, or check it by emulation:  gpu --emulate",
    ),
    "warm": LazyCommand("planners.commands:warm", "Compile ahead of first use."),
}


def main(arguments: Sequence[str] | None = None, program: str = "python -m planners") -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["mapper"]:
        print("The mapper is trained by: python -m learning.doom_maze mapper", file=sys.stderr)
        return 2
    return run_command(COMMANDS, program, __doc__, words)


if __name__ == "__main__":
    sys.exit(main())
