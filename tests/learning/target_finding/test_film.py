"""Films of searches: what is drawn, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asterias.__main__ import main
from learning.target_finding.experiments.film import OUTSIDE_PX, FilmOptions, SearchFilm


def test_a_search_is_filmed_until_a_camera_has_found_the_target(tmp_path: Path) -> None:
    out = tmp_path / "film.webp"
    assert main(["learning", "film", "--searches", "1", "--fps", "1", "--out", str(out)]) == 0
    with Image.open(out) as film:
        assert film.n_frames >= 2 and film.size[1] == OUTSIDE_PX[1]
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("RGB")).astype(int)
    green = (last[..., 1] > last[..., 0] + 60) & (last[..., 1] > last[..., 2] + 40)
    assert green[:, : OUTSIDE_PX[0]].sum() > 500, "a beam from the camera to the target"
    assert green[:, OUTSIDE_PX[0] :].sum() > 200, "the frame of that camera's picture"


def test_a_film_goes_on_from_one_search_to_the_next() -> None:
    film = SearchFilm(FilmOptions(searches=2, fps=1, policy="bmms", most_steps=2, faults="kill0"))
    frames = list(film.frames())
    film.close()
    film.close()
    assert 3 <= len(frames) <= 7 and all(frame.shape == frames[0].shape for frame in frames)
    assert (frames[0] != frames[-1]).any()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "film.png"], "a film ends in .webp or .gif"),
        (["--searches", "0"], "--searches takes 1 or more"),
        (["--fps", "99"], "--fps takes 1 to 50"),
    ],
)
def test_options_that_cannot_be_are_named(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learning", "film", *words]) == 2
    assert told in capsys.readouterr().err
