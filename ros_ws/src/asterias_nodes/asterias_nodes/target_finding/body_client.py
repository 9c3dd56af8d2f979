"""A whole body that searches: all limbs move at once, and any camera of theirs may see the target.

It is used as one limb with all joints and all cameras, limb after limb; cameras are called
``limb_2/camera_5``. A limb whose joints do not come, or that stays where it is when it is sent
away, is dead: it is not commanded, and its cameras count as dead.
"""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np
from asterias_interfaces.msg import TagDetections
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from trajectory_msgs.msg import JointTrajectory

from asterias.arrays import BoolArray, FloatArray
from asterias_nodes.runtime.actions.event_action_server import Event, run
from asterias_nodes.runtime.actions.waiting import pause
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.target_finding.limb_client import (
    BELIEF_TOPIC,
    CHECK_PERIOD_S,
    FIRST_PICTURES_S,
    Codes,
    LimbClient,
)
from asterias_nodes.target_finding.search_errors import DisobeyedError, SearchError
from hardware.description.robot import load_robot
from learning.starfish.body_sight import BodySight
from learning.starfish.live_search import THEREAFTER, LiveBodySearcher, best_body_policy
from learning.target_finding.policies.registry import Searcher

# Limbs that are not there so long after the first one are dead, wall s.
LATE_LIMB_S = 3.0
# Joints that are older are those of a dead limb; between two looks this node may be busy choosing.
SILENT_LIMB_S = 2.0
DEAD_LIMB = "dead limb"


class BodyLimb(LimbClient):
    """One limb of a body, which hands it the detections, so that each is unpacked once."""

    def _open(self) -> None:
        topic = f"/{self._name}/sources/{self._source}/joint_trajectory"
        self._moves = self._owned.publisher(JointTrajectory, topic, reliable_qos())
        self._beliefs = self._owned.publisher(CompressedImage, BELIEF_TOPIC, latched_qos())
        self._owned.wall_timer(CHECK_PERIOD_S, self._check)
        self.disobeys = False

    def hear(self, message: TagDetections) -> None:
        """Take detections, of this limb's cameras or others."""
        self._on_detections(message)

    @property
    def missing(self) -> SearchError | None:
        """What is not there yet, with the cure."""
        return self._missing()

    @property
    def works(self) -> bool:
        """Whether joints come, at least one of them measured, and it goes where it is sent."""
        unmeasured = self._monitor.unmeasured
        is_measured = self._monitor.age_s <= SILENT_LIMB_S
        is_measured &= len(unmeasured) < len(self.joint_names)
        return is_measured and self._moves.get_subscription_count() > 0 and not self.disobeys


class BodyClient:
    """All limbs of a robot on topics, for a single-threaded node, used like a :class:`LimbClient`.

    Args:
        node: the hosting node; its clock is the robot's.
        robot: name or path of the robot description; its limbs are alike.
        source: name among the sources of each limb's multiplexer.
        patience_s: wall time without joints or pictures after which a wait fails.
        joints: where they come from, as for a limb.

    Raises:
        UserError: the robot cannot search with its whole body.
    """

    def __init__(
        self, node: Node, robot: str, source: str, *, patience_s: float, joints: str = "measured"
    ) -> None:
        self.sight = BodySight(load_robot(robot))
        self._node, self._patience_s = node, patience_s
        # Compiled loops are loaded here, not while limbs wait for their next goals.
        self.make_searcher(THEREAFTER, np.random.default_rng(0)).warm_up()
        self.limbs = [
            BodyLimb(node, robot, limb, source, patience_s=patience_s, joints=joints)
            for limb in range(self.sight.limbs)
        ]
        self._owned = OwnedEntities(node)
        self._owned.subscription(TagDetections, "/target/detections", self._hear, reliable_qos(500))
        self.lower = np.concatenate([limb.lower for limb in self.limbs])
        self.upper = np.concatenate([limb.upper for limb in self.limbs])
        self.cameras = [f"limb_{i}/{c}" for i, limb in enumerate(self.limbs) for c in limb.cameras]

    def _hear(self, message: TagDetections) -> None:
        for limb in self.limbs:
            limb.hear(message)

    def close(self) -> None:
        """Take the topics down."""
        for limb in self.limbs:
            limb.close()
        self._owned.close()

    # -- what it knows --------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """The robot's time."""
        return self.limbs[0].now_s

    @property
    def measured_rad(self) -> FloatArray | None:
        """The newest measured joints ``(limbs n,)``, 0 where a limb is dead; None: of no limb."""
        parts = [limb.measured_rad for limb in self.limbs]
        if all(part is None for part in parts):
            return None
        return np.concatenate(
            [np.zeros(self.sight.joints) if part is None else part for part in parts]
        )

    def _which_work(self) -> BoolArray:
        """Return ``(limbs,)`` which limbs work."""
        return np.array([limb.works for limb in self.limbs])

    @property
    def seeing(self) -> dict[int, bool]:
        """Which cameras see the target now."""
        return {
            self._number(i, camera): sees
            for i, limb in enumerate(self.limbs)
            for camera, sees in limb.seeing.items()
        }

    def problems(self) -> dict[int, str]:
        """Return cameras that cannot be relied on now, and why."""
        found: dict[int, str] = {}
        for i, limb in enumerate(self.limbs):
            own = limb.problems() if limb.works else dict.fromkeys(range(len(limb.cameras)), "")
            for camera, problem in own.items():
                found[self._number(i, camera)] = problem or DEAD_LIMB
        return found

    def camera_number(self, name: str) -> int | None:
        """Return the number of ``limb_<i>/camera_<j>``, or of a camera's own name in its place."""
        limb, _, camera = name.partition("/")
        for i, one in enumerate(self.limbs):
            number = one.camera_number(camera) if limb == f"limb_{i}" else None
            if number is not None:
                return self._number(i, number)
        return None

    def working(self, wanted: Collection[int]) -> tuple[int, ...]:
        """Return those of the ``wanted`` cameras that can be relied on.

        Raises:
            SearchError: there is none.
        """
        problems = self.problems()
        live = tuple(j for j in wanted if j not in problems)
        if not live:
            kinds = ", ".join(sorted({problems[j] for j in wanted}))
            text = f"None of {len(wanted)} cameras can be relied on ({kinds}); see /diagnostics."
            raise SearchError(Codes.NO_CAMERAS, text)
        return live

    def best_policy(self) -> str:
        """Return the name of the best policy for this body."""
        return best_body_policy(self.sight)

    # -- what a search does ---------------------------------------------------------------------

    def make_searcher(self, name: str, rng: np.random.Generator) -> LiveBodySearcher:
        """Return the searcher called ``name`` for this body.

        Passes on ``UserError``: there is none, or it was made for another robot.
        """
        return LiveBodySearcher(name, self.sight, rng, self._which_work)

    async def ask(
        self, searcher: Searcher, position_rad: FloatArray, live: Collection[int]
    ) -> FloatArray:
        """Return the searcher's next goal, ``(limbs n,)`` rad."""
        return searcher.act(position_rad, live)

    def tell_found(
        self,
        searcher: Searcher,
        position_rad: FloatArray,
        live: Collection[int],
        seeing: list[int],
    ) -> None:
        """Do nothing: the search is over."""

    async def wait_for_robot(self) -> None:
        """Wait for joint states, time, pictures and multiplexers; late limbs are not waited for.

        Passes on ``SearchError``: nothing has come of any limb within the patience.
        """
        for limb in self.limbs:
            limb.disobeys = False
        begun_s, first_s = time.monotonic(), np.inf
        while missing := [one for limb in self.limbs if (one := limb.missing)]:
            now_s = time.monotonic()
            if len(missing) < len(self.limbs):
                first_s = min(first_s, now_s)
            if now_s > first_s + LATE_LIMB_S:
                break
            if now_s > begun_s + self._patience_s:
                raise missing[0]
            await pause(self._node, 0.05)
        deadline_s = time.monotonic() + FIRST_PICTURES_S
        while self.problems() and time.monotonic() < deadline_s:
            await pause(self._node, 0.05)

    async def drive_and_look(
        self, position_rad: FloatArray, cameras: Collection[int], wait_s: float
    ) -> list[int]:
        """Return which of these ``cameras`` see the tag after a move of all limbs that work.

        Passes on ``SearchError``: emergency stop, another source has a limb, or no limb gives
        pictures.
        """
        goals, looks = position_rad.reshape(len(self.limbs), -1), []
        for i, limb in enumerate(self.limbs):
            first = self._number(i, 0)
            own = [j - first for j in cameras if first <= j < first + len(limb.cameras)]
            if limb.works and own:
                ended = Event()
                looks.append((first, ended))
                run(self._look_with(limb, goals[i], own, wait_s), ended.complete)
        seeing: list[int] = []
        errors: list[SearchError] = []
        for first, ended in looks:
            found = await ended
            if isinstance(found, SearchError):
                errors.append(found)
            else:
                seeing += [first + camera for camera in found]
        for error in errors:
            if error.code != Codes.NO_CAMERAS and not isinstance(error, DisobeyedError):
                raise error
        if len(errors) == len(looks):
            raise errors[0] if errors else SearchError(Codes.NO_ROBOT, "No limb works.")
        return seeing

    @staticmethod
    async def _look_with(
        limb: BodyLimb, goal_rad: FloatArray, cameras: list[int], wait_s: float
    ) -> list[int] | SearchError:
        """Return which cameras of a limb see the tag after a move, or what went wrong."""
        try:
            return await limb.drive_and_look(goal_rad, cameras, wait_s)
        except DisobeyedError as error:
            limb.disobeys = True
            return error
        except SearchError as error:
            return error

    def fail_look(self, error: SearchError) -> None:
        """End the waits for pictures."""
        for limb in self.limbs:
            limb.fail_look(error)

    def hold(self) -> None:
        """Stay where the limbs are."""
        for limb in self.limbs:
            if limb.works:
                limb.hold()

    def last_commanded(self) -> FloatArray:
        """Return the last goals ``(limbs n,)``, rad, or where somebody moved a limb since."""
        middle = 0.5 * (self.lower + self.upper).reshape(len(self.limbs), -1)
        return np.concatenate(
            [
                limb.last_commanded() if limb.measured_rad is not None else middle[i]
                for i, limb in enumerate(self.limbs)
            ]
        )

    def _number(self, limb: int, camera: int) -> int:
        return limb * self.sight.cameras + camera
