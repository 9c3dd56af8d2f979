"""Highway reinforcement learning: lookaheads of many steps from any behaviour, without bias.

Arxiv 2405.18289. The operator on tables is exact::

    from learning.highway import HighwayOperator, iterate_operator, random_process

    process, policies = random_process(seed=0)
    result = iterate_operator(HighwayOperator(process, policies, depths=[20]))

And a learner is used like one of stable-baselines3::

    from learning.highway import HighwayDQN, corridor_env

    model = HighwayDQN("MlpPolicy", corridor_env(), depth=50).learn(5000)

``HighwaySAC`` and ``HighwayTD3`` are for continuous actions.
"""

from learning.highway.continuous.highway_sac import HighwaySAC
from learning.highway.continuous.highway_td3 import HighwayTD3
from learning.highway.dqn.highway_dqn import HighwayDQN
from learning.highway.tabular.operator import HighwayOperator, iterate_operator
from learning.highway.tabular.processes import corridor, random_process, sparse_four_rooms
from learning.highway.tasks import corridor_env, four_rooms_env

__all__ = [
    "HighwayDQN",
    "HighwayOperator",
    "HighwaySAC",
    "HighwayTD3",
    "corridor",
    "corridor_env",
    "four_rooms_env",
    "iterate_operator",
    "random_process",
    "sparse_four_rooms",
]
