"""`<include>` and the arguments a launch file can be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asterias_ros2.errors import LaunchError, VerbError
from asterias_ros2.launch.actions import Action, DeclareArgument
from asterias_ros2.launch.context import LaunchContext
from asterias_ros2.launch.substitutions import evaluate
from asterias_ros2.launch.templates import Template

DEEPEST_INCLUDE = 50


@dataclass(frozen=True)
class LaunchDescription:
    """The content of one launch file."""

    path: Path
    actions: tuple[Action, ...]
    deprecated: str | None = None


@dataclass(frozen=True, kw_only=True)
class Include(Action):
    """`<include>`: another launch file, in the scope of this one."""

    file: Template
    arguments: tuple[tuple[Template, Template], ...] = ()
    load: Callable[[Path], LaunchDescription] = field(repr=False)
    # Whether it stands for the command line, where a missing argument is given differently.
    from_command_line: bool = False

    def execute(self, context: LaunchContext) -> None:
        """Set the arguments, then visit the file; neither is undone afterwards.

        Raises:
            LaunchError: files include each other without end.
        """
        description = self.load(Path(evaluate(self.file, context)))
        if context.depth >= DEEPEST_INCLUDE:
            raise LaunchError(f"{description.path} includes itself without end")
        context.depth += 1
        previous = context.enter_file(description.path)
        # From here on $(dirname) is that of the included file, in the values of <arg> too.
        require_arguments(description, self, context)
        for name, value in self.arguments:
            context.configurations[evaluate(name, context)] = evaluate(value, context)
        self._warn_if_deprecated(description, context)
        for action in description.actions:
            action.visit(context)
        context.leave_file(previous)
        context.depth -= 1

    def description_without_context(
        self, environment: Mapping[str, str]
    ) -> LaunchDescription | None:
        """Return the included file if its path does not depend on the launch, else None."""
        try:
            return self.load(Path(evaluate(self.file, LaunchContext(environment))))
        except VerbError:
            return None

    def argument_names(self, context: LaunchContext) -> list[str]:
        """Return the names of the arguments given in this tag."""
        return [evaluate(name, context) for name, _ in self.arguments]

    @staticmethod
    def _warn_if_deprecated(description: LaunchDescription, context: LaunchContext) -> None:
        if description.deprecated is not None and context.log is not None:
            text = f"launch file [{description.path}] is deprecated: {description.deprecated}"
            context.log.message("WARNING", "root", text)


@dataclass(frozen=True)
class DeclaredArgument:
    """An argument found without evaluating anything."""

    argument: DeclareArgument
    conditional: bool
    includes: list[Include] | None


def declared_arguments(
    actions: Sequence[Action], environment: Mapping[str, str]
) -> list[DeclaredArgument]:
    """Return the arguments a launch file and the files it surely includes declare.

    The first declaration of a name counts. `conditional` is true only for arguments that stand
    directly under a condition, as in the real tool.
    """
    found: list[DeclaredArgument] = []
    seen: set[str] = set()

    def walk(
        actions: Sequence[Action], conditional: bool, includes: list[Include] | None, depth: int
    ) -> None:
        if depth > DEEPEST_INCLUDE:
            raise LaunchError("a launch file includes itself without end")
        for action in actions:
            if isinstance(action, DeclareArgument) and action.name not in seen:
                seen.add(action.name)
                optional = conditional or action.condition is not None
                found.append(DeclaredArgument(action, optional, includes))
            if isinstance(action, Include):
                # One list is shared along a chain of includes: each may give what the others lack.
                chain = [] if includes is None else includes
                chain.append(action)
                included = action.description_without_context(environment)
                walk(included.actions if included else (), False, chain, depth + 1)
            else:
                walk(action.inner_actions(), action.condition is not None, includes, depth)

    walk(actions, False, None, 0)
    return found


def require_arguments(
    description: LaunchDescription, include: Include, context: LaunchContext
) -> None:
    """Refuse an include that does not itself give each argument without a default.

    A launch configuration of that name that happens to be set around the include does not count,
    as in the real tool.

    Raises:
        LaunchError: naming the first argument that is missing.
    """
    names = include.argument_names(context)
    for declared in declared_arguments(description.actions, context.environment):
        argument = declared.argument
        if declared.conditional or argument.default is not None:
            continue
        for nested in declared.includes or ():
            names += nested.argument_names(LaunchContext(context.environment))
        if argument.name in names:
            continue
        cure = f'put <arg name="{argument.name}" value="…"/> into the <include>'
        if include.from_command_line:
            cure = f"add {argument.name}:=VALUE to the command line"
        raise LaunchError(
            f"launch argument '{argument.name}' ({argument.summary}), "
            f"declared at {argument.where}, is required; {cure}"
        )
