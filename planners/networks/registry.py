"""The planner networks by name.

A new network is a file here and a line below. An installed package adds one by an entry point of
the group ``asterias.planners`` that names its class, a ``PlanningNetwork`` with ``config_type``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asterias.errors import UserError
from asterias.registry import Registry
from planners.networks.base import PlanningNetwork
from planners.networks.doubt_dt_vin import DoubtDTVIN
from planners.networks.drive_dt_vin import DriveDTVIN
from planners.networks.dt_vin import DTVIN, SparseDTVIN
from planners.networks.gppn import GPPN
from planners.networks.highway_vin import HighwayDTVIN, HighwayVIN
from planners.networks.vin import VIN


def _check(name: str, entry: object) -> None:
    if not (isinstance(entry, type) and issubclass(entry, PlanningNetwork)):
        raise TypeError(f"{name} is no subclass of planners.networks.base.PlanningNetwork")


NETWORKS: Registry[type[PlanningNetwork]] = Registry("planner network", "asterias.planners", _check)
NETWORKS.register("dt_vin", DTVIN)
NETWORKS.register("sparse_dt_vin", SparseDTVIN)
NETWORKS.register("doubt_dt_vin", DoubtDTVIN)
NETWORKS.register("drive_dt_vin", DriveDTVIN)
NETWORKS.register("vin", VIN)
NETWORKS.register("highway_vin", HighwayVIN)
NETWORKS.register("highway_dt_vin", HighwayDTVIN)
NETWORKS.register("gppn", GPPN)

# Words of options in older cards and commands.
_OLD_OPTIONS = {
    "start": "init",
    "sees_goal": "transition_sees_goal",
    "reads": "policy_input",
    "sharpness": "inverse_temperature",
}


def build(model: str, options: Mapping[str, Any] | None = None) -> PlanningNetwork:
    """Return a new network.

    Args:
        model: its name in the registry.
        options: fields of its configuration; older words for them are understood.

    Raises:
        UserError: the name or an option is unknown, or a value cannot be used.
    """
    network = NETWORKS.get(model)
    named = {_OLD_OPTIONS.get(name, name): value for name, value in (options or {}).items()}
    try:
        return network(network.config_type(**named))
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{model} does not know these options: {reason}.") from error
