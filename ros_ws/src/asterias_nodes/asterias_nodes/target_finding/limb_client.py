"""A limb that searches: moves through the command multiplexer, and looks with cameras that work.

Shared by the nodes ``target_finder`` and ``policy``, which decide where to move.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from asterias_interfaces.action import FindTarget
from asterias_interfaces.msg import TagDetections
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias.arrays import FloatArray
from asterias_nodes.robot.limb_state_monitor import NOBODY, LimbStateMonitor
from asterias_nodes.runtime.actions.event_action_server import Event
from asterias_nodes.runtime.actions.waiting import pause, wait_until
from asterias_nodes.runtime.conversions import grey_picture, to_compressed_msg, to_seconds
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos
from asterias_nodes.target_finding.motion_check import MotionCheck
from asterias_nodes.target_finding.search_errors import DisobeyedError
from asterias_nodes.target_finding.search_errors import SearchError as SearchError
from hardware.cameras.health import PictureSigns
from hardware.cameras.limb_monitor import LimbCameraMonitor
from hardware.description.robot import load_robot
from learning.target_finding.env.observation import Tiles
from learning.target_finding.policies.registry import Believer, Searcher, make_searcher

Codes = FindTarget.Result

CHECK_PERIOD_S = 0.1
FIRST_PICTURES_S = 1.0
DISPLACED_RAD = 0.2  # somebody else has moved the limb
SPEED_FRACTION = 0.9  # of the slowest joint's limit, so that a move ends when it says
SHORTEST_MOVE_S = 0.1
PICTURE_PAUSE_S = 0.01
LATE_S = 2.0  # a decision that takes longer is dropped
BELIEF_TOPIC = "/target/belief"


@dataclass
class PendingLook:
    """Waiting for pictures of ``cameras`` taken at ``time_s`` or later."""

    time_s: float
    cameras: tuple[int, ...]
    answers: dict[int, bool]
    deadline_s: float
    done: Event


class LimbClient:
    """One limb and its cameras on topics, for a single-threaded node.

    Args:
        node: the hosting node; its clock is the robot's.
        robot: name or path of the robot description.
        limb: number of the limb.
        source: name among the multiplexer's sources.
        patience_s: wall time without joints or pictures after which a wait fails.
        joints: where they come from, as :class:`LimbStateMonitor` has it.

    Raises:
        ValueError: the robot has no such limb.
    """

    def __init__(
        self,
        node: Node,
        robot: str,
        limb: int,
        source: str,
        *,
        patience_s: float,
        joints: str = "measured",
    ) -> None:
        description = load_robot(robot)
        if not 0 <= limb < len(description.limbs):
            raise ValueError(f"Robot {robot} has no limb {limb}; set the parameter limb.")
        about = description.limbs[limb]
        self.joint_names = [joint.name for joint in about.joints]
        self.lower = np.array([joint.limits_rad[0] for joint in about.joints])
        self.upper = np.array([joint.limits_rad[1] for joint in about.joints])
        self.cameras = [f"camera_{j}" for j in range(len(about.live_cameras))]
        self.commanded_rad: FloatArray | None = None
        self.seeing: dict[int, bool] = {}
        self._node, self._name, self._source = node, f"limb_{limb}", source
        self._description, self._limb = description, limb
        self._speed = np.array([joint.velocity_limit_rad_s for joint in about.joints])
        self._own_names = [camera.name for camera in about.live_cameras]
        self._tag = description.target.id
        self._patience_s = patience_s
        self._liveness = LimbCameraMonitor([camera.rate_hz for camera in about.live_cameras])
        self._monitor = LimbStateMonitor(
            node, description, limb, joints=joints, on_stop=self._on_stop
        )
        self._owned = OwnedEntities(node)
        self._motion = MotionCheck(self._owned, self._name)
        self._has_waited = False
        self._look: PendingLook | None = None
        # Pictures are listened to once a searcher wants them.
        self._pictures: dict[int, Image] = {}
        self._listens = False
        self._stands_s = 0.0  # when the last move was over
        # Searchers that think long do so in a thread; late decisions are dropped.
        self._thinkers = ThreadPoolExecutor(1, "searcher")
        self._thought: Future[FloatArray] | None = None
        self.late_decisions = 0
        self._open()

    def _open(self) -> None:
        topic = f"/{self._name}/sources/{self._source}/joint_trajectory"
        self._moves = self._owned.publisher(JointTrajectory, topic, reliable_qos())
        self._beliefs = self._owned.publisher(CompressedImage, BELIEF_TOPIC, latched_qos())
        self._owned.subscription(
            TagDetections, "/target/detections", self._on_detections, reliable_qos(100)
        )
        self._owned.wall_timer(CHECK_PERIOD_S, self._check)

    def close(self) -> None:
        """Take the topics down."""
        self.fail_look(SearchError(Codes.CANCELED, "The node stops."))
        self._thinkers.shutdown(wait=False, cancel_futures=True)
        self._owned.close()
        self._monitor.close()

    @property
    def is_stopped(self) -> bool:
        """Whether the emergency stop is engaged."""
        return self._monitor.is_stopped

    @property
    def measured_rad(self) -> FloatArray | None:
        """The newest measured joints ``(n,)``; None before the first."""
        return self._monitor.last_position_rad

    @property
    def now_s(self) -> float:
        """The robot's time."""
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def problems(self) -> dict[int, str]:
        """Return cameras that cannot be relied on now, and why."""
        return self._liveness.problems()

    def camera_number(self, name: str) -> int | None:
        """Return the number of ``camera_<j>`` or of a camera's own name; None: there is none."""
        for choices in (self.cameras, self._own_names):
            if name in choices:
                return choices.index(name)
        return None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_stop(self, is_engaged: bool) -> None:
        if is_engaged:
            self.fail_look(SearchError(Codes.E_STOP, "The emergency stop is engaged."))

    def _on_detections(self, message: TagDetections) -> None:
        camera = self.camera_number(message.camera)
        if message.limb != self._name or camera is None:
            return
        stamp_s = to_seconds(message.header.stamp)
        signs = PictureSigns(
            time_s=stamp_s,
            brightness=float(message.brightness),
            contrast=float(message.contrast),
            is_noise=bool(message.is_noise),
            unchanged_s=float(message.unchanged_s),
        )
        self._liveness.see(camera, signs)
        self.seeing[camera] = any(found.id == self._tag for found in message.detections)
        look = self._look
        if look is None:
            return
        # Half a millisecond of tolerance: stamps come rounded from different clocks.
        if camera in look.cameras and stamp_s >= look.time_s - 5e-4:
            look.answers.setdefault(camera, self.seeing[camera])
        missing = [j for j in look.cameras if j not in look.answers]
        # A camera is not waited for when another one is that much later.
        if all(stamp_s > look.time_s + self._liveness.silence_s[j] for j in missing):
            self._look = None
            look.done.complete(sorted(j for j, found in look.answers.items() if found))

    def _check(self) -> None:
        if self._look is not None and time.monotonic() > self._look.deadline_s:
            missing = [self.cameras[j] for j in self._look.cameras if j not in self._look.answers]
            text = (
                f"No picture came from {', '.join(missing)}; is the robot active and the detector "
                "running?"
            )
            self.fail_look(SearchError(Codes.NO_CAMERAS, text))

    def fail_look(self, error: SearchError) -> None:
        """End the wait for pictures, if there is one."""
        look, self._look = self._look, None
        if look is not None:
            look.done.fail(error)

    # -- pictures -------------------------------------------------------------------------------

    def _listen_to_pictures(self) -> None:
        for j, camera in enumerate(self.cameras):
            topic, take = f"/{self._name}/{camera}/image_raw", partial(self._on_picture, j)
            self._owned.subscription(Image, topic, take, sensor_qos(1))
        self._listens = True

    def _on_picture(self, camera: int, image: Image) -> None:
        self._pictures[camera] = image

    async def _tiles(self, live: Collection[int]) -> Tiles:
        """Return grey pictures ``(c, H, W)`` from the limb's present pose; black: a dead camera.

        Raises:
            SearchError: pictures do not come, or all cameras have failed.
        """
        if not self._listens:
            self._listen_to_pictures()
        deadline_s = time.monotonic() + self._patience_s
        while missing := [j for j in live if j not in self.problems() and not self._has_picture(j)]:
            if time.monotonic() > deadline_s:
                topics = ", ".join(f"/{self._name}/{self.cameras[j]}/image_raw" for j in missing)
                raise SearchError(Codes.NO_CAMERAS, f"No picture came on {topics}.")
            await self.pause(PICTURE_PAUSE_S)
        seen = {j: grey_picture(self._pictures[j]) for j in self.working(live)}
        shape = next(iter(seen.values())).shape
        return np.stack(
            [
                cv2.resize(seen[j], shape[::-1], interpolation=cv2.INTER_AREA)
                if j in seen
                else np.zeros(shape, np.uint8)
                for j in range(len(self.cameras))
            ]
        ).astype(np.uint8)

    def _has_picture(self, camera: int) -> bool:
        image = self._pictures.get(camera)
        return image is not None and to_seconds(image.header.stamp) >= self._stands_s - 5e-4

    # -- what a search does ---------------------------------------------------------------------

    def make_searcher(self, name: str, rng: np.random.Generator) -> Searcher:
        """Return the searcher called ``name`` for this limb.

        Passes on ``UserError``: there is none, or it does not fit the limb.
        """
        return make_searcher(
            name,
            self.lower,
            self.upper,
            rng,
            cameras=len(self.cameras),
            robot=self._description,
            limb=self._limb,
        )

    async def ask(
        self, searcher: Searcher, position_rad: FloatArray, live: Collection[int]
    ) -> FloatArray:
        """Return the searcher's next goal, ``(n,)`` rad; it gets pictures if it wants some.

        Passes on ``SearchError``: pictures do not come.
        """
        tiles = await self._tiles(live) if searcher.wants_images else None
        self._raise_if_stopped()
        if getattr(searcher, "thinks_long", False):
            goal = await self._think(searcher, position_rad, live, tiles)
        else:
            goal = searcher.act(position_rad, live, tiles)
        self._show_belief(searcher)
        return goal

    async def _think(
        self,
        searcher: Searcher,
        position_rad: FloatArray,
        live: Collection[int],
        tiles: Tiles | None,
    ) -> FloatArray:
        """Return a searcher's next goal from a thread; where it is late, the present one: hold.

        This node serves its topics meanwhile, and the limb's guards hold. A decision that comes
        later is dropped, since it answers pictures that are old by then.
        """
        if self._thought is None or self._thought.done():
            self._thought = self._thinkers.submit(searcher.act, position_rad, live, tiles)
            thought = self._thought
            done = thought.done
            if await wait_until(self._node, done, LATE_S, period_s=PICTURE_PAUSE_S):
                self._raise_if_stopped()
                return thought.result()
        else:
            # The last decision is still being made: its searcher cannot be asked a second time.
            await wait_until(self._node, self._thought.done, LATE_S, period_s=PICTURE_PAUSE_S)
            self._raise_if_stopped()
        self.late_decisions += 1
        return position_rad

    def tell_found(
        self, searcher: Searcher, position_rad: FloatArray, live: Collection[int], seeing: list[int]
    ) -> None:
        """Let a searcher with a belief know that cameras see the target, and show it."""
        if isinstance(searcher, Believer):
            searcher.found(position_rad, live, seeing)
            self._show_belief(searcher)

    def _show_belief(self, searcher: Searcher) -> None:
        """Publish where a searcher takes the target to be, if it has an opinion."""
        if isinstance(searcher, Believer):
            stamp = self._node.get_clock().now().to_msg()
            self._beliefs.publish(to_compressed_msg(searcher.picture(), stamp, self._name))

    async def wait_for_robot(self) -> None:
        """Wait for joint states, time, pictures and the multiplexer.

        Passes on ``SearchError``: something has not come within the patience.
        """
        deadline_s = time.monotonic() + self._patience_s
        while missing := self._missing():
            if time.monotonic() > deadline_s:
                raise missing
            await self.pause(0.05)
        # All cameras get a chance to send first; once, since one that is broken stays so.
        deadline_s = time.monotonic() + (0.0 if self._has_waited else FIRST_PICTURES_S)
        while self.problems() and time.monotonic() < deadline_s:
            await self.pause(0.05)
        self._has_waited = True

    def _missing(self) -> SearchError | None:
        """Return what is not there yet, with the cure."""
        if not self._monitor.is_fresh or self.now_s <= 0.0:
            text = f"No joint states come from {self._name}; launch the robot and activate it."
            return SearchError(Codes.NO_ROBOT, text)
        if self._moves.get_subscription_count() == 0:
            text = (
                f"Nobody listens to {self._moves.topic_name}; launch command_multiplexer with the "
                f"source '{self._source}'."
            )
            return SearchError(Codes.NO_ROBOT, text)
        if len(self.problems()) == len(self.cameras) and not self.seeing:
            text = "No picture came from any camera; is the robot active and the detector running?"
            return SearchError(Codes.NO_CAMERAS, text)
        return None

    async def pause(self, duration_s: float) -> None:
        """Let other callbacks run for ``duration_s`` of wall time."""
        await pause(self._node, duration_s)

    async def drive_and_look(
        self, position_rad: FloatArray, cameras: Collection[int], wait_s: float
    ) -> list[int]:
        """Return which of these ``cameras`` see the tag after a move and ``wait_s`` of robot time.

        Only those that work are believed.

        Raises:
            SearchError: emergency stop, no pictures, or another source has the limb.
            DisobeyedError: the limb does not move.
        """
        self._raise_if_stopped()
        start_rad, self.commanded_rad = self.measured_rad, position_rad
        begin_s = self.now_s
        self._liveness.moves(begin_s)
        self.move(position_rad, wait_s)
        done = Event()
        deadline_s = time.monotonic() + self._patience_s
        problems = self.problems()
        audible = tuple(j for j in cameras if problems.get(j) != "silent") or tuple(cameras)
        self._stands_s = begin_s + wait_s
        self._look = PendingLook(self._stands_s, audible, {}, deadline_s, done)
        seeing: list[int] = await done
        self._raise_if_stopped()
        owner = self._monitor.active_source
        if owner not in (NOBODY, self._source):
            text = f"'{owner}' has taken the limb; try again when it has let go."
            raise SearchError(Codes.TAKEN_OVER, text)
        if start_rad is not None and self.measured_rad is not None:
            self._liveness.moved(self.measured_rad - start_rad)
            if problem := self._motion.problem(start_rad, position_rad, self.measured_rad):
                raise DisobeyedError(problem)
        problems = self.problems()
        return [camera for camera in seeing if camera not in problems]

    def move(self, position_rad: FloatArray, hold_s: float = 0.0) -> None:
        """Send a timed move that the slowest joint can follow.

        The limb stays this source's until the move is over, and for ``hold_s`` from its start.
        """
        start = self.measured_rad if self.measured_rad is not None else position_rad
        distance = np.abs(position_rad - start) / (SPEED_FRACTION * self._speed)
        duration_s = max(float(np.max(distance)), SHORTEST_MOVE_S)
        times_s = [duration_s, *([hold_s] if hold_s > duration_s else [])]
        points = [
            JointTrajectoryPoint(
                positions=position_rad.tolist(), time_from_start=Duration(seconds=t).to_msg()
            )
            for t in times_s
        ]
        self._moves.publish(JointTrajectory(joint_names=self.joint_names, points=points))

    def hold(self) -> None:
        """Stay where the limb is, unless that is not known or the emergency stop does it."""
        if self.measured_rad is not None and not self.is_stopped:
            self.move(self.measured_rad)

    def last_commanded(self) -> FloatArray:
        """Return the last goal ``(n,)``, rad, or the position where somebody moved the limb since.

        Raises:
            SearchError: that is not known.
        """
        if self.measured_rad is None:
            raise SearchError(Codes.NO_ROBOT, "The limb's position is not known yet.")
        if self.commanded_rad is not None:
            away = np.abs(self.measured_rad - self.commanded_rad).max()
            if away < DISPLACED_RAD:
                return self.commanded_rad
        return np.clip(self.measured_rad, self.lower, self.upper)

    def working(self, wanted: Collection[int]) -> tuple[int, ...]:
        """Return those of the ``wanted`` cameras that can be relied on.

        Raises:
            SearchError: there is none.
        """
        problems = self.problems()
        live = tuple(j for j in wanted if j not in problems)
        if not live:
            reasons = ", ".join(f"{self.cameras[j]} is {problems[j]}" for j in wanted)
            text = f"No camera can be relied on: {reasons}; see /diagnostics."
            raise SearchError(Codes.NO_CAMERAS, text)
        return live

    def _raise_if_stopped(self) -> None:
        if self.is_stopped:
            raise SearchError(Codes.E_STOP, "The emergency stop is engaged.")
