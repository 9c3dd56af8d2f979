"""The paper's task: move the limb until one of its cameras sees the AprilTag.

``import learning.target_finding`` makes ``Asterias/TargetFinding-v0`` known to Gymnasium; so does
``gymnasium.make("learning.target_finding:Asterias/TargetFinding-v0")`` by itself.
"""

from __future__ import annotations

from learning.environments import register_environments

ENVIRONMENT_ID = "Asterias/TargetFinding-v0"

register_environments()
