"""The paper's task: move the limb until one of its cameras sees the AprilTag.

``import learning.target_finding`` makes ``Asterias/TargetFinding-v0`` known to Gymnasium; so does
``gymnasium.make("learning.target_finding:Asterias/TargetFinding-v0")`` by itself.
"""

from __future__ import annotations

import gymnasium

ENVIRONMENT_ID = "Asterias/TargetFinding-v0"

gymnasium.register(
    id=ENVIRONMENT_ID,
    entry_point="learning.target_finding.env.environment:TargetFindingEnv",
)
