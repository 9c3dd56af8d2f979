"""Asks the recorder for episodes, for nodes whose work is worth one."""

from __future__ import annotations

from typing import Any

from asterias_interfaces.srv import StartEpisode
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from asterias_nodes.runtime.actions.event_action_server import Event
from asterias_nodes.runtime.owned_entities import OwnedEntities

TIMEOUT_S = 10.0


class EpisodeError(Exception):
    """The recorder does not answer, or refuses; says why in one sentence."""


class EpisodeClient:
    """Begins and ends episodes from coroutines that await events.

    Args:
        node: owns the clients.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._owned = OwnedEntities(node)
        self._start = self._owned.client(StartEpisode, "/recorder/start")
        self._mark = self._owned.client(SetBool, "/recorder/mark_success")
        self._stop = self._owned.client(Trigger, "/recorder/stop")

    def close(self) -> None:
        """Take the clients down."""
        self._owned.close()

    async def begin(self, task: str) -> None:
        """Return when messages are being recorded.

        Passes on ``EpisodeError``: nothing is.
        """
        await self._call(self._start, StartEpisode.Request(task=task))

    async def end(self, success: bool) -> None:
        """Mark the episode and returns when its files are complete.

        Passes on ``EpisodeError``: the recorder has ended it before, for example on a full disk.
        """
        await self._call(self._mark, SetBool.Request(data=success))
        await self._call(self._stop, Trigger.Request())

    async def _call(self, client: Any, request: Any) -> None:
        done = Event()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self._node.create_timer(TIMEOUT_S, done.complete, clock=steady)
        try:
            if client.service_is_ready():
                answer = client.call_async(request)
                answer.add_done_callback(lambda future: done.complete(future.result()))
                response = await done
            else:
                response = None
        finally:
            self._node.destroy_timer(timer)
        if response is None:
            raise EpisodeError(
                f"No recorder answers on {client.srv_name}; launch one with mode:=episodes."
            )
        if not response.success:
            raise EpisodeError(response.message)
