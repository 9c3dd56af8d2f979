"""The command that films searches, as the README shows one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from asterias.cli import check_file, check_seed
from asterias.errors import UserError
from asterias.progress import progress_bars
from learning.target_finding.env.options import DeadCameras
from learning.target_finding.experiments.film import FilmOptions, SearchFilm

# Half of the size of lossless, and no block of the codec is seen.
_WEBP_QUALITY = 74
_SUFFIXES = (".webp", ".gif")


@dataclass(frozen=True)
class Film:
    """Film searches in simulation: the limb from outside, beside what its cameras see."""

    policy: str = "ppo_kill1"
    """Name of a policy or baseline, folder of a training, or .safetensors file."""
    robot: str = "limb_p1"
    """Name or path of a robot description; its first limb searches."""
    faults: DeadCameras = "kill1"
    """Cameras that are dead in each search."""
    searches: int = 4
    """Searches, one after the other."""
    most_steps: int = 12
    """Steps after which a search is given up."""
    fps: int = 12
    """Frames per second."""
    seed: int = 5
    """Seed of start poses, failures and the policy's draws."""
    out: Path = Path("film.webp")
    """Film to write: .webp or .gif."""

    def run(self) -> int:
        """Search, draw and write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        check_file("--out", self.out)
        check_seed(self.seed)
        if self.out.suffix.lower() not in _SUFFIXES:
            raise UserError(f"--out {self.out}: a film ends in .webp or .gif.")
        for option, value in (("--searches", self.searches), ("--most-steps", self.most_steps)):
            if value < 1:
                raise UserError(f"{option} takes 1 or more, not {value}.")
        if not 1 <= self.fps <= 50:
            raise UserError(f"--fps takes 1 to 50, not {self.fps}.")
        frames = self._frames()
        self.out.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = (
            {"quality": _WEBP_QUALITY, "method": 4} if self.out.suffix == ".webp" else {}
        )
        frames[0].save(
            self.out,
            save_all=True,
            append_images=frames[1:],
            duration=round(1000 / self.fps),
            loop=0,
            **options,
        )
        size_mb = self.out.stat().st_size / 1e6
        print(f"Filmed {self.searches} searches into {self.out} ({size_mb:.1f} MB).")
        return 0

    def _frames(self) -> list[Image.Image]:
        film = SearchFilm(
            FilmOptions(
                robot=self.robot,
                policy=self.policy,
                searches=self.searches,
                faults=self.faults,
                most_steps=self.most_steps,
                fps=self.fps,
                seed=self.seed,
            )
        )
        frames: list[Image.Image] = []
        try:
            with progress_bars(unit="frames") as progress:
                bar = progress.add_task("filming", total=None)
                for image in film.frames():
                    frames.append(Image.fromarray(image))
                    progress.advance(bar)
        finally:
            film.close()
        return frames
