"""What environments check when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from asterias.errors import UserError

Options = TypeVar("Options")


def check_render_mode(render_mode: str | None) -> None:
    """Refuse what is neither ``rgb_array`` nor None.

    Raises:
        UserError: it is something else.
    """
    if render_mode not in (None, "rgb_array"):
        raise UserError(f"render_mode is {render_mode!r}: choose rgb_array or none.")


def changed_options(environment: str, options: Options, changes: Mapping[str, Any]) -> Options:
    """Return options with fields changed, as ``gymnasium.make`` passes them.

    Args:
        environment: its name, for the sentence.
        options: dataclass of them.
        changes: fields by name.

    Raises:
        UserError: there is no such field.
    """
    try:
        changed: Options = replace(options, **changes)  # type: ignore[type-var]
    except TypeError as error:
        raise UserError(f"{environment}: {error}.") from error
    return changed
