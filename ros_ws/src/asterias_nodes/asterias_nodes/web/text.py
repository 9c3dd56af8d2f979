"""Numbers and values as a person reads them: three digits, units, words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 60
MAX_ITEMS = 16
# The last part of a field's name that is its unit: the factor, the unit as shown.
UNITS = {
    "rad": (180.0 / math.pi, "\N{DEGREE SIGN}"),
    "m": (1.0, " m"),
    "s": (1.0, " s"),
    "hz": (1.0, " Hz"),
    "px": (1.0, " px"),
    "mb": (1.0, " MB"),
}


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """Return a text of at most ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def number_text(value: float) -> str:
    """Return a number with three digits; ``-`` when it is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.2e}"


def value_text(name: str, value: object) -> str:
    """Return ``name value unit`` of a message's field, such as ``positions_rad`` and its list."""
    words, _, unit = name.rpartition("_")
    factor, shown = UNITS.get(unit, (1.0, "")) if words else (1.0, "")
    label = (words if shown else name).replace("_", " ")
    items = value if isinstance(value, list) else [value]
    texts = [_item_text(item, factor, shown) for item in items[:MAX_ITEMS]]
    if len(items) > MAX_ITEMS:
        texts.append("...")
    return f"{label} {', '.join(texts)}"


def values_text(values: Mapping[str, Any]) -> str:
    """Return all fields of a message in one line; nested messages are left out."""
    return ", ".join(
        value_text(name, value)
        for name, value in values.items()
        if value != "" and value != [] and not isinstance(value, dict)
    )


def duration_text(seconds: float) -> str:
    """Return ``m:ss``."""
    whole = int(seconds) if math.isfinite(seconds) and 0 <= seconds < 1e9 else 0
    return f"{whole // 60}:{whole % 60:02d}"


def _item_text(item: object, factor: float, unit: str) -> str:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, (int, float)):
        is_whole = isinstance(item, int) and not unit
        return shortened(str(item)) if is_whole else f"{number_text(item * factor)}{unit}"
    return shortened(str(item))
