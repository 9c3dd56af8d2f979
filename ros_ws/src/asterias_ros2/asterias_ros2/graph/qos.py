"""Quality of service as it is given on the command line."""

from __future__ import annotations

import argparse

from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    QoSReliabilityPolicy,
)

OVERRIDES = (
    "qos_history",
    "qos_reliability",
    "qos_durability",
    "qos_depth",
    "qos_liveliness",
    "qos_liveliness_lease_duration_seconds",
)


def add_qos_arguments(parser: argparse.ArgumentParser, doing: str, preset: str) -> None:
    """Add the `--qos-…` options.

    Args:
        parser: of the verb.
        doing: `publish` or `subscribe`, for the help.
        preset: name of the profile that is taken without an option.
    """
    parser.add_argument(
        "--qos-profile",
        choices=QoSPresetProfiles.short_keys(),
        default=preset,
        help=f"preset to {doing} with (default: %(default)s)",
    )
    parser.add_argument("--qos-depth", metavar="N", type=int, help="length of the queue")
    parser.add_argument("--qos-history", choices=QoSHistoryPolicy.short_keys())
    parser.add_argument("--qos-reliability", choices=QoSReliabilityPolicy.short_keys())
    parser.add_argument("--qos-durability", choices=QoSDurabilityPolicy.short_keys())
    parser.add_argument("--qos-liveliness", choices=QoSLivelinessPolicy.short_keys())
    parser.add_argument(
        "--qos-liveliness-lease-duration-seconds", metavar="S", type=float, help="in seconds"
    )


def given_profile(arguments: argparse.Namespace) -> QoSProfile:
    """Return the preset that was asked for, with the options that change it."""
    profile = QoSPresetProfiles.get_from_short_key(arguments.qos_profile)
    if arguments.qos_history:
        profile.history = QoSHistoryPolicy.get_from_short_key(arguments.qos_history)
    if arguments.qos_durability:
        profile.durability = QoSDurabilityPolicy.get_from_short_key(arguments.qos_durability)
    if arguments.qos_reliability:
        profile.reliability = QoSReliabilityPolicy.get_from_short_key(arguments.qos_reliability)
    if arguments.qos_liveliness:
        profile.liveliness = QoSLivelinessPolicy.get_from_short_key(arguments.qos_liveliness)
    lease_s = arguments.qos_liveliness_lease_duration_seconds
    if lease_s is not None and lease_s >= 0:
        profile.liveliness_lease_duration = Duration(seconds=lease_s)
    if arguments.qos_depth is not None and arguments.qos_depth >= 0:
        profile.depth = arguments.qos_depth
    elif profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL and profile.depth == 0:
        profile.depth = 1
    return profile


def is_overridden(arguments: argparse.Namespace) -> bool:
    """Return whether an option beside the preset was given."""
    return any(getattr(arguments, name) is not None for name in OVERRIDES)
