"""Parameters of other nodes."""

from __future__ import annotations

from typing import Any

from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.session import GraphSession

SERVICE_PATIENCE_S = 5.0


def parameter_client(session: GraphSession, node: str) -> Any:
    """Return a client of the parameter services of a node, once they are there.

    Raises:
        VerbError: the node does not answer.
    """
    client = AsyncParameterClient(session.node, node)
    if not session.wait_for(client.services_are_ready, SERVICE_PATIENCE_S):
        raise VerbError(f"node {node} does not answer about its parameters; has it any?")
    return client


def list_names(session: GraphSession, node: str, prefixes: list[str] | None = None) -> list[str]:
    """Return the names of a node's parameters, sorted."""
    client = parameter_client(session, node)
    listed = session.result(client.list_parameters(prefixes or []), node, SERVICE_PATIENCE_S)
    return sorted(listed.result.names)


def get_values(session: GraphSession, node: str, names: list[str]) -> dict[str, Any]:
    """Return the values of a node's parameters as Python has them."""
    client = parameter_client(session, node)
    values = session.result(client.get_parameters(names), node, SERVICE_PATIENCE_S).values
    return {name: plain_value(value) for name, value in zip(names, values, strict=False)}


def plain_value(value: Any) -> Any:
    """Return a parameter's value with lists in place of arrays."""
    plain = parameter_value_to_python(value)
    return plain.tolist() if hasattr(plain, "tolist") else plain
