"""How ``python -m learning`` and its parts run a verb."""

from __future__ import annotations

import sys
from typing import Any

import tyro

from asterias.errors import HardwareError

MISTAKES: tuple[type[Exception], ...] = (HardwareError, OSError)


def run_verb(
    verbs: Any,
    program: str,
    description: str | None,
    mistakes: tuple[type[Exception], ...] = MISTAKES,
) -> int:
    """Read the command line and run the verb that it names.

    Args:
        verbs: union of the verbs' classes, each with ``run() -> int``.
        program: what the user typed, such as ``python -m learning``.
        description: for ``--help``.
        mistakes: exceptions that are the user's: one sentence, and exit code 2.

    Returns:
        the verb's exit code; 130 when it was interrupted.
    """
    command: Any = tyro.cli(verbs, prog=program, description=description)
    try:
        return int(command.run())
    except mistakes as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
