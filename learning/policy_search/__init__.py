"""Learning over whole policies: one number an episode is enough.

Each learner is used like one of stable-baselines3::

    from learning.policy_search import PSSVF

    model = PSSVF("LinearPolicy", "CartPole-v1", seed=0).learn(20_000)
"""

from learning.policy_search.algorithms.action_pois import APOIS
from learning.policy_search.algorithms.evolution import CEM, PGPE, RandomSearch
from learning.policy_search.algorithms.gogepo import GoGePo
from learning.policy_search.algorithms.pois import PPOIS
from learning.policy_search.algorithms.pssvf import PSSVF, train_zero_shot
from learning.policy_search.algorithms.state_values import PAVF, PSVF
from learning.policy_search.algorithms.udrlpg import UDRLPG
from learning.policy_search.common.learner import PolicySearch

__all__ = [
    "APOIS",
    "CEM",
    "PAVF",
    "PGPE",
    "PPOIS",
    "PSSVF",
    "PSVF",
    "UDRLPG",
    "GoGePo",
    "PolicySearch",
    "RandomSearch",
    "train_zero_shot",
]
