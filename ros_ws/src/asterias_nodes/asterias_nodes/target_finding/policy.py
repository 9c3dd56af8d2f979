"""Managed node ``policy``: a trained policy that moves a live limb, simulated or real.

While it is active it searches for the target, step after step, and holds when a camera sees it
until it is lost. It commands as the source ``policy`` of the command multiplexer: whoever has a
higher priority takes the limb, and gives it back by letting go. After an emergency stop it is
inactive until ``ros2 lifecycle set /policy activate``; releasing the stop moves nothing. The same
holds for a limb that does not obey, since its driver or its servos have stopped it: the node's
diagnostics go on saying so, with the cure.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from asterias_interfaces.action import FindTarget

from asterias_nodes.robot.limb_state_monitor import JOINTS_HELP, check_joints
from asterias_nodes.runtime.actions.event_action_server import run
from asterias_nodes.runtime.diagnostics import OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.target_finding.limb_client import LimbClient, SearchError
from asterias_nodes.target_finding.search_errors import DisobeyedError
from learning.target_finding.env.task import TaskOptions
from learning.target_finding.policies.registry import Searcher, best_policy

_STOPPED = "An emergency stop has ended the search."
_RETRY_S = 1.0  # wall time until a search that could not go on is tried again
Codes = FindTarget.Result


@dataclass(frozen=True)
class PolicySettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    limb: Annotated[int, "number of the limb"] = 0
    policy: Annotated[str, "name or path of a policy; empty: the best for the cameras alive"] = ""
    seed: Annotated[int, "seed of the policy's draws"] = 0
    wait_s: Annotated[float, "s of the robot's time between a command and the look"] = (
        TaskOptions().wait_s
    )
    patience_s: Annotated[float, "wall s without joints or pictures until that is reported"] = 10.0
    source: Annotated[str, "name among the sources of the command multiplexer"] = "policy"
    joints: Annotated[str, JOINTS_HELP] = "measured"

    def __post_init__(self) -> None:
        check_joints(self.joints)


class PolicyNode(ManagedNode):
    """Searches for as long as it is active."""

    def __init__(self) -> None:
        super().__init__("policy")
        self.settings = declare_settings(self, PolicySettings)
        self._limb: LimbClient | None = None
        self._round = 0  # counts activations; a search of an earlier one ends itself
        self._rng = np.random.default_rng(self.settings.seed)
        self._state = "inactive"
        self._is_live = False
        self._why_ended = ""  # what made the last search end; shown until the next begins
        self._used = ""
        self._steps = self._finds = 0

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the topics; a policy that does not fit the limb is refused here."""
        settings = self.settings
        self._limb = limb = LimbClient(
            self,
            settings.robot,
            settings.limb,
            settings.source,
            patience_s=settings.patience_s,
            joints=settings.joints,
        )
        self.owned.add(limb.close)
        limb.make_searcher(settings.policy, self._rng)
        self.owned.add(Diagnostics(self, [self._report]).close)

    def activate(self) -> None:
        """Search from now on."""
        self._round += 1
        self._is_live, self._state, self._why_ended = True, "starting", ""
        run(self._live(self._round), lambda _: None)
        self.get_logger().info(f"Policy {self.settings.policy or '(best there is)'} has the limb.")

    def deactivate(self) -> None:
        """Hold, and let go of the limb."""
        self._round += 1
        limb = self._limb
        if limb is not None and self._is_live:
            limb.fail_look(SearchError(Codes.CANCELED, "The policy was deactivated."))
            limb.hold()
        self._is_live, self._state = False, self._why_ended or "inactive"

    def cleanup(self) -> None:
        """Close the topics."""
        super().cleanup()
        self._limb = None

    # -- searching ------------------------------------------------------------------------------

    async def _live(self, round_: int) -> None:
        """Search, hold, and try again, until the node is deactivated."""
        limb = self._limb
        assert limb is not None
        while self._round == round_:
            try:
                await limb.wait_for_robot()
                await self._search(limb, round_)
            except SearchError as error:
                if self._round != round_:
                    return
                self._state = str(error)
                if error.code == Codes.E_STOP or isinstance(error, DisobeyedError):
                    self.get_logger().warning(f"{error} Activate the policy anew to go on.")
                    # What is shown stays true when the stop is released.
                    why = _STOPPED if error.code == Codes.E_STOP else str(error)
                    self._why_ended = f"{why} Activate the policy anew to go on."
                    self.executor.create_task(self.trigger_deactivate)
                    return
                self.get_logger().warning(str(error), throttle_duration_sec=5.0)
                await limb.pause(_RETRY_S)
            except Exception as error:
                self.get_logger().error(f"The policy failed: {error!r}")
                self.executor.create_task(self.trigger_deactivate)
                return

    async def _search(self, limb: LimbClient, round_: int) -> None:
        """Search until the node is deactivated; stay where the target is in sight."""
        position = limb.last_commanded()
        everything = range(len(limb.cameras))
        seeing: list[int] = []
        searcher: Searcher | None = None  # one for a search: some remember where they looked
        used = ""
        while self._round == round_:
            live = limb.working(everything)
            if not seeing:
                self._state = "searching"
                count = len(limb.cameras)
                self._used = self.settings.policy or best_policy(
                    limb.lower.size, count, count - len(live)
                )
                if searcher is None or self._used != used:
                    used, searcher = self._used, limb.make_searcher(self._used, self._rng)
                position = await limb.ask(searcher, position, live)
                self._steps += 1
            before = seeing
            seeing = await limb.drive_and_look(position, live, self.settings.wait_s)
            if seeing and not before:
                if searcher is not None:
                    limb.tell_found(searcher, position, live, seeing)
                searcher = None
                self._finds += 1
                self._state = f"{limb.cameras[seeing[0]]} sees the target"
                self.get_logger().info(f"{self._state}, after {self._steps} steps in all.")

    # -- reporting ------------------------------------------------------------------------------

    def _report(self) -> DiagnosticReport:
        limb = self._limb
        problems = limb.problems() if limb is not None else {}
        values: dict[str, object] = {
            "policy": self._used,
            "steps": self._steps,
            "finds": self._finds,
            "late_decisions": 0 if limb is None else limb.late_decisions,
            **{f"camera_{camera}": problem for camera, problem in problems.items()},
        }
        is_well = self._state == "searching" or "sees the target" in self._state
        return DiagnosticReport(
            f"{self.get_name()}: search", OK if is_well else WARN, self._state, values
        )


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(PolicyNode))


if __name__ == "__main__":
    main()
