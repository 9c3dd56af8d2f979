"""Key frames under an episode's time axis, where ``recordings key-frames`` found some.

For episodes in ``runs/mine`` it writes ``runs/mine_key_frames``, as the how-to has it; there the
page looks for them.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.recordings.plots.criticality import read_sidecar, sidecar_path

# A moment counts as one that decided from here on, as in the command.
THRESHOLD = 0.5
# Moments that are told in words, the highest first chosen.
_TOLD = 3
_WIDTH, _HEIGHT = 400, 20


class Timelines:
    """Draws episodes' time axes; each file is read once for as long as it stays as it is."""

    def __init__(self) -> None:
        self._drawn: dict[Path, tuple[int, str]] = {}

    def of(self, episode: str) -> str:
        """Return the time axis of an episode as HTML, or nothing where no key frames are known.

        Args:
            episode: its folder.
        """
        folder = Path(episode)
        if not folder.parent.name:
            return ""
        path = sidecar_path(folder, folder.name)
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:
            return ""
        known = self._drawn.get(path)
        if known is None or known[0] != changed_ns:
            known = self._drawn[path] = changed_ns, _read(path)
        return known[1]


def _read(path: Path) -> str:
    try:
        times_s, mask = read_sidecar(path)
    except UserError as error:
        return f'<span class="lost">{escape(str(error))}</span>'
    return timeline_html(times_s - times_s[0], mask)


def timeline_html(times_s: FloatArray, mask: FloatArray) -> str:
    """Return a band of how far each moment decided, marks of those that did, and their times.

    Args:
        times_s: ``(T,)`` from 0 on.
        mask: ``(T,)`` from 0 to 1.
    """
    end_s = max(float(times_s[-1]), 1e-6)
    x = times_s / end_s * _WIDTH
    y = _HEIGHT * (1.0 - mask)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    moments = key_moments(mask)
    marks = "".join(
        f'<line x1="{x[one]:.1f}" x2="{x[one]:.1f}" y1="0" y2="{_HEIGHT}" />' for one in moments
    )
    told = ", ".join(f"{times_s[one]:.1f} s" for one in moments)
    words = f"Decided at {told}" if told else "No moment decided"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{words}"><polygon points="0,{_HEIGHT} {points} {_WIDTH},{_HEIGHT}" />'
        f'{marks}</svg><div class="axis"><span>0 s</span><span>{words}</span>'
        f"<span>{end_s:.1f} s</span></div>"
    )


def key_moments(mask: FloatArray) -> list[int]:
    """Return numbers of at most three moments that decided, in order.

    They are the highest of each run of moments above :data:`THRESHOLD`.

    Args:
        mask: ``(T,)`` from 0 to 1.
    """
    above = np.flatnonzero(mask >= THRESHOLD)
    runs = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1) if len(above) else []
    peaks = [int(run[mask[run].argmax()]) for run in runs]
    return sorted(sorted(peaks, key=lambda one: -float(mask[one]))[:_TOLD])
