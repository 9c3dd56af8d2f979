"""What the tags of a launch file do when they are evaluated, one class per tag.

`<include>` is in `includes.py`, `<node>` and `<executable>` are in `process_actions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asterias_ros2.errors import LaunchError, located
from asterias_ros2.launch.context import LaunchContext
from asterias_ros2.launch.substitutions import evaluate
from asterias_ros2.launch.templates import Template
from asterias_ros2.launch.values import parse_condition, read_yaml


@dataclass(frozen=True)
class Condition:
    """An `if` or, with `negated`, an `unless`."""

    template: Template
    negated: bool

    def holds(self, context: LaunchContext) -> bool:
        """Return whether the action is to be executed."""
        return parse_condition(evaluate(self.template, context)) != self.negated


@dataclass(frozen=True, kw_only=True)
class Action:
    """One tag of a launch file; `where` is its `FILE:LINE`."""

    where: str
    condition: Condition | None = None

    def visit(self, context: LaunchContext) -> None:
        """Execute the action if its condition holds."""
        with located(self.where):
            if self.condition is None or self.condition.holds(context):
                self.execute(context)

    def execute(self, context: LaunchContext) -> None:
        """Change the context as the tag says."""
        raise NotImplementedError

    def inner_actions(self) -> Sequence[Action]:
        """Return the actions inside whose arguments a person can give from outside."""
        return ()


@dataclass(frozen=True, kw_only=True)
class DeclareArgument(Action):
    """`<arg>`: a launch argument, with or without a default."""

    name: str
    default: Template | None = None
    description: str | None = None
    choices: tuple[str, ...] = ()

    def execute(self, context: LaunchContext) -> None:
        """Give the argument its default if it has no value, and check the choices.

        Raises:
            LaunchError: it has no value, or one that is no choice.
        """
        context.declared.add(self.name)
        if self.name not in context.configurations:
            if self.default is None:
                raise LaunchError(
                    f"launch argument '{self.name}' ({self.summary}) has no value; "
                    f"add {self.name}:=VALUE to the command line"
                )
            context.configurations[self.name] = evaluate(self.default, context)
        value = context.configurations[self.name]
        if self.choices and value not in self.choices:
            raise LaunchError(
                f"launch argument '{self.name}' is '{value}'; "
                f"it must be one of {', '.join(self.choices)}"
            )

    @property
    def summary(self) -> str:
        """The description as `--show-args` prints it."""
        choices = str(list(self.choices))
        if self.description is None:
            return f"One of: {choices}" if self.choices else "no description given"
        if not self.choices:
            return self.description
        stop = "" if self.description.endswith(".") else "."
        return f"{self.description}{stop} Valid choices are: {choices}"


@dataclass(frozen=True, kw_only=True)
class Let(Action):
    """`<let>`: set a launch configuration in the current scope."""

    name: Template
    value: Template

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        context.configurations[evaluate(self.name, context)] = evaluate(self.value, context)


@dataclass(frozen=True, kw_only=True)
class SetEnvironment(Action):
    """`<set_env>`: set an environment variable in the current scope."""

    name: Template
    value: Template

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        context.environment[evaluate(self.name, context)] = evaluate(self.value, context)


@dataclass(frozen=True, kw_only=True)
class UnsetEnvironment(Action):
    """`<unset_env>`: remove an environment variable in the current scope."""

    name: Template

    def execute(self, context: LaunchContext) -> None:
        """Remove it if it is there."""
        context.environment.pop(evaluate(self.name, context), None)


@dataclass(frozen=True, kw_only=True)
class PushNamespace(Action):
    """`<push_ros_namespace>`: prefix the namespace of the nodes that follow in this scope."""

    namespace: Template

    def execute(self, context: LaunchContext) -> None:
        """Extend the current namespace."""
        joined = context.namespace(evaluate(self.namespace, context))
        context.configurations["ros_namespace"] = joined or "/"


@dataclass(frozen=True, kw_only=True)
class SetRemap(Action):
    """`<set_remap>`: a remapping for all nodes that follow in this scope."""

    source: Template
    target: Template

    def execute(self, context: LaunchContext) -> None:
        """Add it to those of the scope."""
        pair = evaluate(self.source, context), evaluate(self.target, context)
        context.remappings = (*context.remappings, pair)


@dataclass(frozen=True, kw_only=True)
class SetParameter(Action):
    """`<set_parameter>`: a parameter for all nodes that follow in this scope."""

    name: Template
    value: Template

    def execute(self, context: LaunchContext) -> None:
        """Add it to those of the scope; the value is read as YAML."""
        name, text = evaluate(self.name, context), evaluate(self.value, context)
        context.parameters = (*context.parameters, (name, read_yaml(text)))


@dataclass(frozen=True, kw_only=True)
class Log(Action):
    """`<log>`: show a message."""

    message: Template

    def execute(self, context: LaunchContext) -> None:
        """Show it as the real tool does, under the name `launch.user`."""
        text = evaluate(self.message, context)
        if context.log is not None:
            context.log.message("INFO", "launch.user", text)


@dataclass(frozen=True, kw_only=True)
class Group(Action):
    """`<group>`: actions with, by default, a scope of their own."""

    actions: tuple[Action, ...]
    scoped: bool = True
    forwarding: bool = True
    keep: tuple[tuple[Template, Template], ...] = ()

    def execute(self, context: LaunchContext) -> None:
        """Visit the actions in their scope."""
        if self.scoped:
            context.push()
        if self.scoped and not self.forwarding:
            context.reset_environment()
            kept = {evaluate(name, context): evaluate(value, context) for name, value in self.keep}
            context.configurations = kept
            context.remappings, context.parameters = (), ()
        else:
            for name, value in self.keep:
                context.configurations[evaluate(name, context)] = evaluate(value, context)
        for action in self.actions:
            action.visit(context)
        if self.scoped:
            context.pop()

    def inner_actions(self) -> Sequence[Action]:
        """Return the actions, unless no argument from outside reaches them."""
        return self.actions if self.forwarding or not self.scoped else ()
