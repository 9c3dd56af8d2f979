"""``python -m learning``: train and measure on the robot."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from asterias.cli import LazyCommand, run_command

COMMANDS = {
    "babble": LazyCommand(
        "learning.target_finding.commands:Pretrain",
        "Let the robot move about and learn to tell from its cameras where it is.",
    ),
    "baselines": LazyCommand(
        "learning.target_finding.commands:Baselines",
        "Measure the paper's Brownian baselines: two searchers, three camera-failure settings.",
    ),
    "beyond": LazyCommand(
        "learning.target_finding.commands:Robustness",
        "Measure the policies for what the paper left open: images, silent failures, stuck servos.",
    ),
    "bound": LazyCommand(
        "learning.target_finding.commands:OracleBound",
        "Measure how few steps any policy could need: one that knows which poses see the tag.",
    ),
    "compare": LazyCommand(
        "learning.target_finding.commands:Compare",
        "Make the paper's table and learning curves, ours beside theirs: train, test, draw.",
    ),
    "evaluate": LazyCommand(
        "learning.target_finding.commands:EvaluatePolicy",
        "Measure how many steps a trained policy needs.",
    ),
    "report": LazyCommand(
        "learning.demo_results:Report",
        "Make the tables of a document anew from the files in results/.",
    ),
    "train": LazyCommand(
        "learning.target_finding.commands:Train", "Train a policy to find the target in simulation."
    ),
    "verdict": LazyCommand(
        "learning.demo_results:Verdict",
        "Say whether a demo reached its goal: exit code 0 if so, 1 if not.",
    ),
    "agents": LazyCommand(
        "learning.agents.__main__:main", "Run graphs, mindstorms and economies of language agents."
    ),
    "doom-maze": LazyCommand(
        "learning.doom_maze.__main__:main", "Measure navigation by what is seen, in ViZDoom."
    ),
    "recordings": LazyCommand(
        "learning.recordings.__main__:main",
        "Look at recordings, mend them, play them, export them.",
    ),
}


def main(arguments: Sequence[str] | None = None, program: str = "python -m learning") -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
