"""``python -m learning crawl-film``: the starfish that crawls, from outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asterias.arrays import ImageArray
from asterias.cli import check_file
from asterias.errors import UserError
from asterias.progress import progress_bars
from hardware.perception.images import save_png
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.gaits import Gait, load_gait
from learning.crawling.limb_modes import CONTROL_HZ
from learning.crawling.view import draw_crawler, sheet
from learning.crawling.way_film import save_film

_SUFFIXES = (".webp", ".gif", ".png")
_SHEET_PICTURES = 9


@dataclass(frozen=True)
class CrawlFilm:
    """Film the starfish that crawls with a gait, from outside."""

    gait: str = "rowing"
    """Name of a gait, or .json file."""
    broken: tuple[int, ...] = ()
    """Limbs that are limp."""
    duration_s: float = 8.0
    """Simulated time."""
    out: Path = Path("crawl.webp")
    """Film to write: .webp or .gif; .png: nine pictures on a sheet."""

    def run(self) -> int:
        """Crawl, draw and write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        check_file("--out", self.out)
        suffix = self.out.suffix.lower()
        if suffix not in _SUFFIXES:
            raise UserError(f"--out {self.out}: a film ends in .webp or .gif, a sheet in .png.")
        environment = StarfishCrawlEnv(broken=self.broken, duration_s=self.duration_s)
        gait = load_gait(self.gait)
        steps = round(self.duration_s * CONTROL_HZ)
        every = max(steps // _SHEET_PICTURES, 1) if suffix == ".png" else 1
        pictures, times_s = [], []
        with progress_bars(unit="frames") as progress:
            bar = progress.add_task("filming", total=steps)
            for step, picture in enumerate(_frames(environment, gait, every)):
                pictures.append(picture)
                times_s.append(step * every / CONTROL_HZ)
                progress.advance(bar, every)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            count = _SHEET_PICTURES
            save_png(str(self.out), sheet(pictures[:count], times_s[:count]))
        else:
            save_film(self.out, pictures, CONTROL_HZ)
        length_m = environment.crawler.length_m
        way = environment.crawler.position_m[0] / length_m
        print(f"Crawled {way:.2f} body lengths in {self.duration_s:g} s: {self.out}.")
        return 0


def _frames(environment: StarfishCrawlEnv, gait: Gait, every: int) -> Iterator[ImageArray]:
    """Yield a picture each ``every`` control steps; the eye stays beside the way ahead."""
    observation, _ = environment.reset(seed=0)
    over, step = False, 0
    ahead = (0.5 * environment.crawler.length_m, 0.0)
    while not over:
        if step % every == 0:
            yield draw_crawler(environment.crawler, ahead, 400, 224)
        observation, _, reached, truncated, _ = environment.step(gait.act(observation))
        step, over = step + 1, reached or truncated
