"""Highway reinforcement learning: lookaheads of many steps from any behaviour, without bias.

Arxiv 2405.18289. The operator on tables is exact::

    from learning.highway import HighwayOperator, iterate_operator, random_process

    process, policies = random_process(seed=0)
    result = iterate_operator(HighwayOperator(process, policies, depths=[20]))
"""

from learning.highway.tabular.operator import HighwayOperator, iterate_operator
from learning.highway.tabular.processes import corridor, random_process, sparse_four_rooms

__all__ = [
    "HighwayOperator",
    "corridor",
    "iterate_operator",
    "random_process",
    "sparse_four_rooms",
]
