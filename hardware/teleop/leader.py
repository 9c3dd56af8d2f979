"""A leader limb: another limb, moved by hand, that the follower copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import DescriptionError
from hardware.description.limb import Limb


class LeaderMap:
    """Mapping from the leader's joints to goals of the follower.

    Joints of the same name belong together; where none is shared, the order counts. ``signs`` and
    ``scale`` serve a leader that is built differently (mirrored, or with another range).

    Args:
        follower: the limb that follows.
        names: the leader's joint names.
        signs: per follower joint, 1 or -1; empty: 1.
        scale: factor on the leader's angles.

    Raises:
        DescriptionError: the leader lacks joints.
    """

    def __init__(
        self,
        follower: Limb,
        names: Sequence[str],
        signs: Sequence[float] = (),
        scale: float = 1.0,
    ) -> None:
        wanted = [joint.name for joint in follower.joints]
        missing = [name for name in wanted if name not in names]
        if len(missing) == len(wanted) and len(names) >= len(wanted):
            self._columns = list(range(len(wanted)))
        elif missing:
            raise DescriptionError(
                f"The leader has no joint '{missing[0]}', which '{follower.name}' has; its joints "
                f"are {', '.join(names)}."
            )
        else:
            self._columns = [list(names).index(name) for name in wanted]
        if signs and (len(signs) != len(wanted) or any(abs(sign) != 1 for sign in signs)):
            raise DescriptionError(
                f"The signs of a leader for '{follower.name}' must be {len(wanted)} times 1 or -1."
            )
        self._factors = scale * np.array(signs or [1.0] * len(wanted))
        self.names = tuple(names)

    def goal(self, leader_rad: Sequence[float]) -> FloatArray:
        """Return ``(n,)`` goals of the follower in rad; NaN where the leader cannot be measured."""
        goal: FloatArray = self._factors * np.asarray(leader_rad, dtype=np.float64)[self._columns]
        return goal
