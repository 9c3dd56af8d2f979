"""`ros2 launch --show-args`: what can follow the name of a launch file."""

from __future__ import annotations

import os
from collections.abc import Iterator

from asterias_ros2.launch.includes import DeclaredArgument, LaunchDescription, declared_arguments
from asterias_ros2.launch.substitutions import describe


def argument_lines(description: LaunchDescription) -> Iterator[str]:
    """Yield the lines that describe the arguments of a launch file."""
    yield "Arguments (pass arguments as '<name>:=<value>'):"
    declared = declared_arguments(description.actions, os.environ)
    for item in declared:
        yield from _one_argument(item)
    if not declared:
        yield "\n  No arguments."
    elif any(item.conditional for item in declared):
        yield "\n* argument(s) which are only used if specific conditions occur"


def _one_argument(item: DeclaredArgument) -> Iterator[str]:
    argument = item.argument
    yield f"\n    '{argument.name}':{'*' if item.conditional else ''}"
    yield f"        {argument.summary}"
    if argument.default is not None:
        yield f"        (default: {describe(argument.default)})"
