"""Learners of policy search by name.

A package adds its own by the entry point group ``asterias.policy_search``: a subclass of
:class:`~learning.policy_search.common.learner.PolicySearch`.
"""

from __future__ import annotations

from asterias.registry import Registry
from learning.policy_search.algorithms.action_pois import APOIS
from learning.policy_search.algorithms.evolution import CEM, PGPE, RandomSearch
from learning.policy_search.algorithms.gogepo import GoGePo
from learning.policy_search.algorithms.pois import PPOIS
from learning.policy_search.algorithms.pssvf import PSSVF
from learning.policy_search.algorithms.state_values import PAVF, PSVF
from learning.policy_search.algorithms.udrlpg import UDRLPG
from learning.policy_search.common.learner import PolicySearch


def _check(name: str, entry: object) -> None:
    if not (isinstance(entry, type) and issubclass(entry, PolicySearch)):
        raise TypeError(f"{name} is no PolicySearch")


LEARNERS: Registry[type[PolicySearch]] = Registry(
    "learner of policy search", "asterias.policy_search", _check
)
for _learner in (PSSVF, PSVF, PAVF, PPOIS, APOIS, PGPE, CEM, RandomSearch, GoGePo, UDRLPG):
    LEARNERS.register(_learner.name, _learner)
