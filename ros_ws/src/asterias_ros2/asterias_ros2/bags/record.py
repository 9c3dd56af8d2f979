"""`ros2 bag record`: topics into a bag."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from asterias.errors import AsteriasError
from asterias_nodes.recording.recorded_topics import RecordedTopics
from asterias_ros2.bags.choice import TopicChoice
from asterias_ros2.errors import VerbError
from asterias_ros2.graph.session import GraphSession
from learning.recordings.bags.bag_recording import Transform
from learning.recordings.bags.bag_writer import Topic
from learning.recordings.session import RecordingSession, SingleFile, WriterOptions, describe

LOOK_PERIOD_S = 0.1


class _Told(RecordingSession):
    """A recording that tells which topics it has."""

    def __init__(self, path: Path, options: WriterOptions, logger: Any) -> None:
        super().__init__(SingleFile(path), options)
        self._logger = logger

    def add_topic(self, topic: Topic, transform: Transform | None = None) -> None:
        """As :meth:`RecordingSession.add_topic`."""
        super().add_topic(topic, transform)
        self._logger.info(f"Subscribed to topic '{topic.name}'")


def record(session: GraphSession, folder: Path, wants: TopicChoice, options: WriterOptions) -> None:
    """Record topics, also those that appear later, until Ctrl-C or until the disk is full.

    The bag is complete when the exception of a Ctrl-C leaves this function.

    Args:
        session: whose node subscribes.
        folder: of the bag; must not exist.
        wants: which topics.
        options: how files are written.

    Raises:
        VerbError: the folder cannot be made, or the recording ended by itself.
    """
    node = session.node
    logger = node.get_logger()
    recording = _Told(folder / f"{folder.name}_0.mcap", options, logger)
    try:
        recording.start("", node.get_clock().now().nanoseconds)
    except (AsteriasError, OSError) as error:
        raise VerbError(f"{folder} cannot be recorded to: {error}") from None
    types: dict[str, str] = {}
    topics = RecordedTopics(
        node, recording, lambda name: wants(name, types.get(name, "")), as_jpeg=False
    )
    logger.info("Listening for topics...")
    logger.info("Recording...")
    try:
        while True:
            types.update((name, kinds[0]) for name, kinds in session.topics(hidden=True))
            topics.look()
            next_s = time.monotonic() + LOOK_PERIOD_S
            while (left_s := next_s - time.monotonic()) > 0:
                session.spin_once(left_s)
            ended = recording.poll()
            if ended:
                raise VerbError(describe(ended))
    finally:
        recording.close()
        logger.info("Recording stopped")
        if not recording.counts:
            logger.warning(f"No message came: the bag {folder} is empty.")


def check_folder(folder: Path) -> None:
    """Refuse a folder that exists, or whose place has no room.

    Raises:
        VerbError: saying which.
    """
    if folder.exists():
        raise VerbError(f"Output folder '{folder}' already exists.")
    parent = next((one for one in folder.absolute().parents if one.is_dir()), Path("/"))
    if shutil.disk_usage(parent).free == 0:
        raise VerbError(f"the disk of {parent} is full; free some space first")
