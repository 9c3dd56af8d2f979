"""Reports about the setup and the running system, as names and values."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
from rclpy.qos import QoSCompatibility
from rclpy.utilities import get_rmw_implementation_identifier

from asterias_ros2.graph.session import GraphSession
from asterias_ros2.health.checks import package_versions, qos_pairs, topic_names

FAMILIES = {socket.AF_INET: "inet", socket.AF_INET6: "inet6", psutil.AF_LINK: "ether"}
NO_ADDRESS = "00:00:00:00:00:00"
# The distribution that the wheels are of; a sourced ROS 2 names its own.
WHEELS_DISTRO = "kilted"


@dataclass
class DoctorReport:
    """A title, and names with values."""

    title: str
    items: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """Add a line."""
        self.items.append((name, str(value)))


def platform_report(_session: GraphSession) -> DoctorReport:
    """Return the system and its processor."""
    report = DoctorReport("PLATFORM INFORMATION")
    report.add("system", platform.system())
    report.add("platform info", platform.platform())
    report.add("release", platform.release())
    report.add("processor", platform.processor())
    return report


def ros_report(_session: GraphSession) -> DoctorReport:
    """Return the distribution, and what the environment says to it."""
    report = DoctorReport("ROS 2 INFORMATION")
    report.add("distribution name", os.environ.get("ROS_DISTRO") or WHEELS_DISTRO)
    report.add("distribution type", "ros2")
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "RMW_IMPLEMENTATION"):
        report.add(name, os.environ.get(name, "not set"))
    return report


def network_report(_session: GraphSession) -> DoctorReport:
    """Return the addresses and flags of the network interfaces."""
    report = DoctorReport("NETWORK CONFIGURATION")
    stats = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        report.add("device", name)
        for address in addresses:
            family = FAMILIES.get(address.family)
            if family is not None and address.address != NO_ADDRESS:
                report.add(family, address.address)
        if name in stats:
            report.add("mtu", stats[name].mtu)
            report.add("flags", f"<{stats[name].flags.upper()}>")
    return report


def middleware_report(_session: GraphSession) -> DoctorReport:
    """Return the middleware."""
    report = DoctorReport("RMW MIDDLEWARE")
    report.add("middleware name", get_rmw_implementation_identifier())
    return report


def topic_report(session: GraphSession) -> DoctorReport:
    """Return how many publishers and subscribers each topic has."""
    report = DoctorReport("TOPIC LIST")
    names = topic_names(session)
    for name in names or ["none"]:
        report.add("topic", name)
        report.add("publisher count", session.node.count_publishers(name) if names else 0)
        report.add("subscriber count", session.node.count_subscribers(name) if names else 0)
    return report


def qos_report(session: GraphSession) -> DoctorReport:
    """Return each pair of publisher and subscriber, and whether they fit together."""
    report = DoctorReport("QOS COMPATIBILITY LIST")
    for topic, types in session.topics():
        for publisher, subscriber, compatibility, reason in qos_pairs(session, topic):
            report.add("topic [type]", f"{topic} [{types[0]}]")
            report.add("publisher node", publisher)
            report.add("subscriber node", subscriber)
            report.add(
                "compatibility status", "OK" if compatibility == QoSCompatibility.OK else reason
            )
    if not report.items:
        report.add("compatibility status", "No publisher/subscriber pairs found")
    return report


def package_report(_session: GraphSession) -> DoctorReport:
    """Return the versions of the packages that are installed."""
    report = DoctorReport("PACKAGE VERSIONS")
    for name, version in package_versions().items():
        report.add(name, f"local={version or 'N/A'}")
    return report


REPORTS: tuple[tuple[str, Callable[[GraphSession], DoctorReport]], ...] = (
    ("platform", platform_report),
    ("platform", ros_report),
    ("network", network_report),
    ("middleware", middleware_report),
    ("topic", topic_report),
    ("middleware", qos_report),
    ("package", package_report),
)
