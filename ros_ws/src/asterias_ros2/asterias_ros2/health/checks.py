"""Checks of the setup and of the running system; each yields what it finds wrong."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil
from rclpy.qos import QoSCompatibility, qos_check_compatible

from asterias_ros2 import ament_index
from asterias_ros2.graph.session import GraphSession

# What every node publishes, whether anybody listens or not.
SKIPPED_TOPICS = ("/parameter_events", "/rosout")
# Higher ones give ports that the system uses for outgoing connections (Linux).
HIGHEST_SAFE_DOMAIN = 101
HIGHEST_DOMAIN = 232
LABELS = ("warning: ", "error: ")


class SetupFinding(NamedTuple):
    """Something that is not as it should be."""

    is_error: bool
    text: str


Check = Callable[[GraphSession], Iterator[SetupFinding]]


def check_platform(_session: GraphSession) -> Iterator[SetupFinding]:
    """Yield what is wrong with the variables that ROS 2 reads."""
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    if not domain.isdecimal() or int(domain) > HIGHEST_DOMAIN:
        yield SetupFinding(
            True, f"ROS_DOMAIN_ID is '{domain}'; it must be a number from 0 to {HIGHEST_DOMAIN}."
        )
    elif int(domain) > HIGHEST_SAFE_DOMAIN:
        yield SetupFinding(
            False,
            f"ROS_DOMAIN_ID {domain} uses ports of outgoing connections; take one of 0 to "
            f"{HIGHEST_SAFE_DOMAIN}.",
        )
    if not os.environ.get(ament_index.PREFIX_PATH):
        yield SetupFinding(True, f"{ament_index.PREFIX_PATH} is not set; source the setup file.")


def check_network(_session: GraphSession) -> Iterator[SetupFinding]:
    """Yield what is missing of the network: loopback, another address, multicast."""
    flags = [stats.flags.split(",") for stats in psutil.net_if_stats().values() if stats.isup]
    if not any("loopback" in one for one in flags):
        yield SetupFinding(True, "No loopback IP address is found.")
    if not any("loopback" not in one for one in flags):
        yield SetupFinding(False, "Only loopback IP address is found.")
    if not any("multicast" in one for one in flags):
        yield SetupFinding(False, "No multicast IP address is found.")


def check_topics(session: GraphSession) -> Iterator[SetupFinding]:
    """Yield topics that have publishers only, or subscribers only."""
    for topic in topic_names(session):
        publishers = session.node.count_publishers(topic)
        subscribers = session.node.count_subscribers(topic)
        if publishers and not subscribers:
            yield SetupFinding(False, f"Publisher without subscriber detected on {topic}.")
        elif subscribers and not publishers:
            yield SetupFinding(False, f"Subscriber without publisher detected on {topic}.")


def check_qos(session: GraphSession) -> Iterator[SetupFinding]:
    """Yield pairs of publisher and subscription that do not fit together."""
    for topic in topic_names(session, skipped=()):
        for _publisher, _subscriber, compatibility, reason in qos_pairs(session, topic):
            if compatibility == QoSCompatibility.OK:
                continue
            is_error = compatibility == QoSCompatibility.ERROR
            kind = "error" if is_error else "warning"
            yield SetupFinding(
                is_error, f"QoS compatibility {kind} found on topic '{topic}': {reason}"
            )


def check_packages(_session: GraphSession) -> Iterator[SetupFinding]:
    """Yield packages whose manifest cannot be read."""
    if not ament_index.packages():
        yield SetupFinding(True, "local package info is not found.")
    missing = [name for name, version in package_versions().items() if not version]
    if missing:
        yield SetupFinding(False, f"Cannot find local versions of packages: {' '.join(missing)}.")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("platform", check_platform),
    ("network", check_network),
    ("topic", check_topics),
    ("middleware", check_qos),
    ("package", check_packages),
)


def topic_names(session: GraphSession, skipped: tuple[str, ...] = SKIPPED_TOPICS) -> list[str]:
    """Return the topics to look at."""
    return [name for name, _ in session.topics() if name not in skipped]


def qos_pairs(session: GraphSession, topic: str) -> Iterator[tuple[str, str, object, str]]:
    """Yield the nodes of each pair on a topic, whether they fit together, and why not."""
    for publisher in session.node.get_publishers_info_by_topic(topic):
        for subscriber in session.node.get_subscriptions_info_by_topic(topic):
            compatibility, reason = qos_check_compatible(
                publisher.qos_profile, subscriber.qos_profile
            )
            for label in LABELS:
                if reason.lower().startswith(label):
                    reason = reason[len(label) :]
            yield publisher.node_name, subscriber.node_name, compatibility, reason


def package_versions() -> dict[str, str]:
    """Return the version of each package; empty where its manifest tells none."""
    return {name: _version(name) for name in sorted(ament_index.packages())}


def _version(package: str) -> str:
    try:
        manifest = ET.parse(ament_index.package_share(package) / "package.xml")
    except (OSError, ValueError, ET.ParseError):
        return ""
    return (manifest.findtext("version") or "").strip()
