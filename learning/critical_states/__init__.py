"""Critical states: which frames of a recording decided its outcome, from outcomes alone.

Deep State Identifier, arXiv 2308.07795. A detector is used like a learner of stable-baselines3::

    from learning.critical_states import CriticalStates, key_door_clips, TRAINING_POLICIES

    clips = key_door_clips(200, TRAINING_POLICIES, seed=0)
    model = CriticalStates(channels=3).learn(clips.pictures, clips.labels)
    masks = model.predict(clips.pictures)  # (N, T) in [0, 1]

On recordings it is ``asterias learning recordings key-frames``.
"""

from learning.critical_states.identifier import CriticalStates, IdentifierOptions
from learning.critical_states.key_door import (
    HELD_OUT_POLICIES,
    TRAINING_POLICIES,
    ScriptedPolicy,
    key_door_clips,
)
from learning.critical_states.scores import score

__all__ = [
    "HELD_OUT_POLICIES",
    "TRAINING_POLICIES",
    "CriticalStates",
    "IdentifierOptions",
    "ScriptedPolicy",
    "key_door_clips",
    "score",
]
