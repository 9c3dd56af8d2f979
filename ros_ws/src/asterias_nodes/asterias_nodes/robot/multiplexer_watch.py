"""Whether the command multiplexer of a limb lives: it repeats who has the limb."""

from __future__ import annotations

import time

import numpy as np
from std_msgs.msg import String

from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import latched_qos

# The multiplexer repeats the owner twice a second; three missing repetitions mean that it is gone.
HEARTBEAT_PERIOD_S = 0.5
SILENCE_S = 1.5
NOBODY = ""


class MultiplexerWatch:
    """Follows ``active_source`` of one limb.

    Args:
        owned: opens and closes the subscription.
        prefix: of the limb's topics, such as ``/limb_0``.
    """

    def __init__(self, owned: OwnedEntities, prefix: str) -> None:
        self._source = NOBODY
        self._received_s = -np.inf
        owned.subscription(String, f"{prefix}/active_source", self._take, latched_qos())

    @property
    def is_known(self) -> bool:
        """Whether a multiplexer has ever been there."""
        return bool(np.isfinite(self._received_s))

    @property
    def is_gone(self) -> bool:
        """Whether a multiplexer was there and is silent now."""
        return self.is_known and time.monotonic() - self._received_s > SILENCE_S

    @property
    def active_source(self) -> str:
        """Who has the limb; empty: nobody, or there is no multiplexer."""
        return NOBODY if self.is_gone else self._source

    def _take(self, message: String) -> None:
        self._source, self._received_s = str(message.data), time.monotonic()
