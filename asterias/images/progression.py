"""Which scans of a progressive JPEG file have come (ITU T.81, annex G).

A progressive file sends a picture in many scans: first the DC values, then bands of AC values, each
at first without its lowest bits, which later scans refine. A file that was cut lacks the last of
them, though each scan that is left may be whole: so it is noted how far each value has come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_UNSEEN = 14  # more than the 13 bits that a scan may leave out


class ScanBand(NamedTuple):
    """What a scan sends: values ``first`` to ``last``, and their lowest bit, before and after."""

    first: int
    last: int
    before: int
    after: int


@dataclass
class Progression:
    """How far the 64 values of each component have come, and which of them are not zero."""

    _lowest_bits: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    _nonzero: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)

    def note(self, component: int, band: ScanBand) -> bool:
        """Return whether a scan of this component fits those before it, and note it."""
        bits = self._lowest_bits.setdefault(component, np.full(64, _UNSEEN, np.int64))
        now = bits[band.first : band.last + 1]
        expected = band.before or _UNSEEN
        is_step = band.after == band.before - 1 if band.before else band.after < _UNSEEN
        is_sound = bool((now == expected).all()) and is_step
        now[:] = band.after
        return is_sound

    def is_complete(self, components: frozenset[int]) -> bool:
        """Return whether all values of all components have come to their last bit."""
        return set(self._lowest_bits) == components and not any(
            bits.any() for bits in self._lowest_bits.values()
        )

    def nonzero(self, component: int, blocks: int) -> npt.NDArray[np.int64]:
        """Return ``(blocks,)`` bits of the values of each block that are not zero so far."""
        if component not in self._nonzero:
            self._nonzero[component] = np.zeros(blocks, np.int64)
        return self._nonzero[component]
