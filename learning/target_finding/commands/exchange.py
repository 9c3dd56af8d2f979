"""Commands that take policies in from other libraries, and give ours to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import tyro
from rich.console import Console
from tyro.extras import literal_type_from_choices

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from learning.target_finding.commands.train import TaskArguments, listed
from learning.target_finding.exchange.formats import POLICY_FORMATS, POLICY_SOURCES, PolicySource
from learning.target_finding.exchange.sb3_import import import_sb3
from learning.target_finding.exchange.vec_normalize import (
    ObservationStatistics,
    find_statistics,
    read_statistics,
)
from learning.target_finding.policies.policy_files import (
    POLICY_FILE,
    find_policy,
    load_policy,
)

if TYPE_CHECKING:
    FormatName: TypeAlias = str
else:
    FormatName = literal_type_from_choices(POLICY_FORMATS.names())


@dataclass(frozen=True)
class ImportPolicy:
    """Make a policy of stable-baselines3, rl-zoo3 or LeRobot one of ours.

    PPO, A2C and SAC; of LeRobot ACT. Weights and plain text are read; nothing is unpickled that
    could run code.
    """

    policy: tyro.conf.Positional[Path]
    """The .zip, rl-zoo3's folder with one in it, or LeRobot's folder with config.json in it."""
    out: Path
    """Folder for policy and card."""
    fps: float = 10.0
    """Of LeRobot's: frames per second of the data set that it was trained on."""
    step: float = 1.0
    """Of LeRobot's: s between two decisions in that data set."""
    normalise: str = "auto"
    """Statistics of observations: vecnormalize.pkl or JSON; auto: what lies beside the policy;
    none: it was trained without."""
    task: tyro.conf.OmitArgPrefixes[TaskArguments] = field(default_factory=TaskArguments)

    def run(self) -> int:
        """Import, check, write, and say what was read.

        Returns:
            The exit code.
        """
        check_folder("--out", self.out)
        for source in dict(POLICY_SOURCES.items()).values():
            if (self.policy / source.file).is_file():
                return self._import_from(source)
        path = _the_zip(self.policy)
        statistics, told = self._statistics(path)
        policy = import_sb3(path, self.task.options("ppo"), statistics)
        policy.save(self.out / POLICY_FILE)
        load_policy(self.out)
        card = policy.card
        Console().print(
            f"{path.name}: {card['algorithm']}, {card['sb3_steps']} steps, {told}. "
            f"Not read: value function, optimiser, hyper-parameters. Policy: {self.out}",
            soft_wrap=True,
        )
        return 0

    def _import_from(self, source: PolicySource) -> int:
        """Import a policy from another library's folder.

        Returns:
            The exit code.
        """
        options = self.task.options("act")
        policy = source.run(self.policy, options, fps=self.fps, step_s=self.step)
        policy.save(self.out / POLICY_FILE)
        card = load_policy(self.out).card
        Console().print(
            f"{self.policy}: {source.summary}, observes {card['options']['observe']}; a decision "
            f"every {self.step:g} s of {self.fps:g} frames a second. Policy: {self.out}",
            soft_wrap=True,
        )
        return 0

    def _statistics(self, path: Path) -> tuple[ObservationStatistics | None, str]:
        """Return the statistics, and what is said of them.

        Raises:
            UserError: those that are named are not there, or cannot be read.
        """
        if self.normalise == "none":
            return None, "observations not normalised, as you say"
        place = find_statistics(path) if self.normalise == "auto" else Path(self.normalise)
        if place is None:
            return None, "no vecnormalize.pkl beside it, so observations as they are"
        if not place.is_file():
            raise UserError(f"--normalise {place}: there is no such file.")
        statistics = read_statistics(place)
        if statistics is None:
            return None, f"observations not normalised, as {place} says"
        return statistics, f"observations normalised by {place}"


@dataclass(frozen=True)
class ExportPolicy:
    """Write a policy for others: ONNX, stable-baselines3, LeRobot, the Hugging Face hub.

    What is written acts the same, which is checked first.
    """

    policy: tyro.conf.Positional[str]
    """Name of a trained policy, folder of a training, or .safetensors file."""
    to: Annotated[FormatName, tyro.conf.arg(help=listed(POLICY_FORMATS.items()))]
    out: Path | None = None
    """File or folder to write; named after the policy, if not given."""

    def run(self) -> int:
        """Write, and say what was checked.

        Returns:
            The exit code.

        Raises:
            UserError: the policy has no such form, or is a data set.
        """
        chosen = POLICY_FORMATS.get(self.to)
        name = Path(self.policy).stem if Path(self.policy).suffix else Path(self.policy).name
        out = self.out or Path(f"{name}{chosen.suffix or '-hub'}")
        if (Path(self.policy) / "meta" / "info.json").is_file():
            raise UserError(
                f"{self.policy} is a data set and has the hub's layout already: "
                f"`hf upload OWNER/{name} {self.policy} --repo-type dataset` publishes it."
            )
        if chosen.suffix:
            check_file("--out", out)
        told = chosen.run(find_policy(self.policy), out)
        Console().print(f"Wrote {out}: {told}.", soft_wrap=True)
        return 0


def _the_zip(path: Path) -> Path:
    """Return the policy in a folder of rl-zoo3: the best one, or the only one.

    Raises:
        UserError: there is none, or there are several.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.zip"))
    best = path / "best_model.zip"
    if best in found or len(found) == 1:
        return best if best in found else found[0]
    names = ", ".join(one.name for one in found) or "no .zip"
    raise UserError(f"{path} holds {names}; name the policy's .zip itself.")
