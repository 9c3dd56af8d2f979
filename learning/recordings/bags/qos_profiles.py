"""Offered qualities of service in recordings: words since ROS 2 Iron, numbers of rmw before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asterias import yaml_text
from asterias.errors import UserError

# Far above what hundreds of publishers write; a longer text is damage.
MOST_TEXT = 256 * 1024
# Enumerations of rmw/types.h, by which bags of Humble and before name the policies.
WORDS: dict[str, tuple[str, ...]] = {
    "history": ("system_default", "keep_last", "keep_all", "unknown"),
    "reliability": ("system_default", "reliable", "best_effort", "unknown", "best_available"),
    "durability": ("system_default", "transient_local", "volatile", "unknown", "best_available"),
    "liveliness": (
        "system_default",
        "automatic",
        "manual_by_node",
        "manual_by_topic",
        "unknown",
        "best_available",
    ),
}
DURATIONS = ("deadline", "lifespan", "liveliness_lease_duration")
OTHERS = ("depth", "avoid_ros_namespace_conventions")
# A deadline above this is "none": rmw writes the greatest time it knows.
NO_DEADLINE_S = 1e9


def parse_qos_profiles(text: Any) -> tuple[dict[str, Any], ...]:
    """Return the profiles in words, as our own recordings have them.

    Args:
        text: YAML of a channel's metadata, or what metadata.yaml holds: text or a list.

    Returns:
        One per publisher; none where the text is damaged or not a list of profiles.
    """
    content = _load(text) if isinstance(text, str) else text
    if not isinstance(content, list):
        return ()
    return tuple(_profile(entry) for entry in content if isinstance(entry, Mapping))


def declared_rate_hz(profiles: tuple[Mapping[str, Any], ...]) -> float:
    """Return the rate that a publisher promises by its deadline; 0 where none does."""
    rates = [0.0]
    for profile in profiles:
        deadline = profile.get("deadline", {})
        seconds = deadline.get("sec", 0) + deadline.get("nsec", 0) / 1e9
        if 0 < seconds < NO_DEADLINE_S:
            rates.append(1 / seconds)
    return max(rates)


def load_yaml(text: str) -> Any:
    """Return what a stranger's YAML text holds; None where it cannot be read."""
    return _load(text)


def _load(text: str) -> Any:
    if len(text) > MOST_TEXT:
        return None
    try:
        return yaml_text.load_yaml(text)
    except UserError:
        return None


def _profile(entry: Mapping[Any, Any]) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    for key, words in WORDS.items():
        if key in entry:
            profile[key] = _word(entry[key], words)
    for key in DURATIONS:
        value = entry.get(key)
        if isinstance(value, Mapping):
            profile[key] = {part: _whole(value.get(part)) for part in ("sec", "nsec")}
    for key in OTHERS:
        if isinstance(entry.get(key), bool | int):
            profile[key] = entry[key]
    return profile


def _word(value: Any, words: tuple[str, ...]) -> str:
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return words[value] if 0 <= value < len(words) else "unknown"
    return str(value).lower() if isinstance(value, str) else "unknown"


def _whole(value: Any) -> int:
    """Return a number of a message's field; 0 for what no field can hold."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value < 2**64 else 0
