"""``python -m learning``: train and measure on the robot."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from asterias.cli import LazyCommand, run_command

COMMANDS = {
    "archive": LazyCommand(
        "learning.weight_space.archive.command:Archive",
        "Ask recurrent limb policies: neighbours, a map, predicted steps and dead cameras' cost.",
    ),
    "archive-cost": LazyCommand(
        "learning.weight_space.archive.dead_camera_cost:ArchiveCost",
        "Measure what dead cameras cost an archive's policies, and how well that can be told.",
    ),
    "archive-study": LazyCommand(
        "learning.weight_space.archive.study_command:ArchiveStudy",
        "Train recurrent limb policies, and predict what they need from their answers alone.",
    ),
    "baselines": LazyCommand(
        "learning.target_finding.commands.experiments:Baselines",
        "Measure the paper's Brownian baselines: two searchers, three camera-failure settings.",
    ),
    "belief-search": LazyCommand(
        "learning.target_finding.commands.belief_search:BeliefSearch",
        "Measure searchers that remember where they looked, by order of their Rényi divergence.",
    ),
    "clone-study": LazyCommand(
        "learning.policy_search.studies.clone_command:CloneStudy",
        "Clone trained policies from a few learned states, beside random ones and k-means.",
    ),
    "compare": LazyCommand(
        "learning.target_finding.commands.experiments:Compare",
        "Make the paper's table and learning curves, ours beside theirs: train, test, draw.",
    ),
    "compute-class": LazyCommand(
        "learning.policy_search.compute_classes.command:ComputeClass",
        "Compare learners at equal computing time: a class is so many seconds of one core.",
    ),
    "critical-states": LazyCommand(
        "learning.critical_states.study_command:CriticalStatesStudy",
        "Measure which frames a Deep State Identifier marks, where it is known which decided.",
    ),
    "critical-states-replay": LazyCommand(
        "learning.critical_states.replay_command:ReplayStudy",
        "Clone walks through key-door grids, drawn evenly, by what decided, and at random.",
    ),
    "crawl": LazyCommand(
        "learning.crawling.study:CrawlStudy",
        "Learn gaits of the starfish, and crawl to targets with the best one.",
    ),
    "crawl-compare": LazyCommand(
        "learning.crawling.learners.command:CompareGaits",
        "Learn gaits by several learners for equal time; adapt a gait to one and two lost limbs.",
    ),
    "crawl-film": LazyCommand(
        "learning.crawling.film:CrawlFilm",
        "Film the starfish that crawls with a gait, from outside.",
    ),
    "diffusion-find": LazyCommand(
        "learning.diffusion_policy.command:DiffusionFind",
        "Clone simulated searches by diffusion, from images or commands; measure the policies.",
    ),
    "crawl-to": LazyCommand(
        "learning.crawling.crawl_to:CrawlToPlace",
        "Crawl to a place on the ground with a gait, in simulation; film the way.",
    ),
    "evaluate": LazyCommand(
        "learning.target_finding.commands.evaluate:EvaluatePolicy",
        "Measure how many steps a policy or a searcher needs.",
    ),
    "export": LazyCommand(
        "learning.target_finding.commands.exchange:ExportPolicy",
        "Write a policy for others: ONNX, stable-baselines3, LeRobot, the Hugging Face hub.",
    ),
    "import": LazyCommand(
        "learning.target_finding.commands.exchange:ImportPolicy",
        "Make a policy of stable-baselines3, rl-zoo3 or LeRobot one of ours.",
    ),
    "fast-weights": LazyCommand(
        "learning.fast_weights.studies.command:FastWeights",
        "Estimate joints from cameras with pictures lost and late, by networks side by side.",
    ),
    "fingerprint": LazyCommand(
        "learning.policy_search.fingerprints.command:Fingerprint",
        "Ask saved policies in a few learned states: near-duplicates, predicted steps, pictures.",
    ),
    "film": LazyCommand(
        "learning.target_finding.commands.film:Film",
        "Film searches in simulation: the limb from outside, beside what its cameras see.",
    ),
    "oracle-bound": LazyCommand(
        "learning.target_finding.commands.experiments:OracleBound",
        "Measure how few steps any policy could need: one that knows which poses see the tag.",
    ),
    "four-rooms": LazyCommand(
        "learning.policy_search.studies.command:FourRooms",
        "Measure how reward-weighted regression converges on the paper's four rooms.",
    ),
    "gestures": LazyCommand(
        "learning.fast_weights.gestures.command:Gestures",
        "Tell gestures of an accelerometer apart with samples missing, by networks side by side.",
    ),
    "highway": LazyCommand(
        "learning.highway.studies.command:Highway",
        "Measure highway reinforcement learning on tables: fixed points, noise, four rooms.",
    ),
    "highway-minatar": LazyCommand(
        "learning.highway.studies.minatar_command:HighwayMinAtar",
        "Train Highway DQN beside DQN in MinAtar's games where only the end of an episode pays.",
    ),
    "highway-study": LazyCommand(
        "learning.highway.studies.deep_command:HighwayStudy",
        "Train Highway DQN, SAC and TD3 beside their like where only the end of an episode pays.",
    ),
    "policy-search-limb": LazyCommand(
        "learning.policy_search.studies.command:PolicySearchLimb",
        "Let learners of policy search find the target with 0, 1, and 1 or 2 dead cameras.",
    ),
    "policy-search-speed": LazyCommand(
        "learning.policy_search.studies.speed:PolicySearchSpeed",
        "Time learners of policy search beside sb3-contrib's ARS at equal steps, in one run.",
    ),
    "policy-search-study": LazyCommand(
        "learning.policy_search.studies.command:PolicySearchStudy",
        "Train learners of policy search on benchmarks, several seeds each; draw their curves.",
    ),
    "pretrain": LazyCommand(
        "learning.target_finding.commands.train:Pretrain",
        "Let the robot move about, and train an encoder to estimate its commands from its cameras.",
    ),
    "renderers": LazyCommand(
        "learning.target_finding.commands.evaluate:CompareRenderers",
        "Measure the shipped policies with each renderer: do they find what they were trained to?",
    ),
    "renyi-bounds": LazyCommand(
        "learning.inference.studies.bounds_command:RenyiBounds",
        "Measure how the order of a Rényi bound changes fits and choices: a mixture, a bandit.",
    ),
    "report": LazyCommand(
        "learning.demo_results:Report",
        "Make the tables of documents anew from the files in results/.",
    ),
    "robustness": LazyCommand(
        "learning.target_finding.commands.evaluate:Robustness",
        "Measure the policies for what the paper left open: images, silent failures, stuck servos.",
    ),
    "step-generator": LazyCommand(
        "learning.policy_search.step_generators.command:StepGeneratorCommand",
        "Learn a dial: policies that find the target in a commanded number of steps.",
    ),
    "starfish-find": LazyCommand(
        "learning.starfish.study:StarfishFind",
        "Measure target finding with the whole starfish: policies, searchers, and one that knows.",
    ),
    "train": LazyCommand(
        "learning.target_finding.commands.train:Train",
        "Train a policy to find the target in simulation.",
    ),
    "diffusion-runtimes": LazyCommand(
        "learning.diffusion_policy.runtimes.command:DiffusionRuntimes",
        "Time a denoiser and a camera encoder in PyTorch, compiled, and in ONNX Runtime.",
    ),
    "two-ways": LazyCommand(
        "learning.diffusion_policy.two_ways.command:TwoWays",
        "Train diffusion policies where there are two ways to the goal; measure caches.",
    ),
    "upside-down": LazyCommand(
        "learning.upside_down.study:UpsideDown",
        "Measure where upside-down RL fails, and run command-conditioned learners through it.",
    ),
    "verdict": LazyCommand(
        "learning.demo_results:Verdict",
        "Say whether a demo reached its goal: exit code 0 if so, 1 if not.",
    ),
    "weight-space": LazyCommand(
        "learning.weight_space.zoo.command:WeightSpace",
        "Train language models on formal languages; measure what encoders read in their weights.",
    ),
    "zero-shot-study": LazyCommand(
        "learning.policy_search.studies.zero_shot:ZeroShotStudy",
        "Train fresh policies through the critics of learners that have only begun.",
    ),
    "babble": LazyCommand(
        "learning.target_finding.commands.train:Pretrain", "The earlier name of pretrain."
    ),
    "beyond": LazyCommand(
        "learning.target_finding.commands.evaluate:Robustness", "The earlier name of robustness."
    ),
    "bound": LazyCommand(
        "learning.target_finding.commands.experiments:OracleBound",
        "The earlier name of oracle-bound.",
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
    """Run one command; a person's mistake ends in one sentence and exit code 2.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
