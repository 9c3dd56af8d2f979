"""Parameters of all nodes, read over their services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foxglove.websocket import Parameter
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

MOST_NODES = 64


class NodeParameters:
    """The parameters that are known, as ``/node.name``; :meth:`refresh` reads them anew.

    Args:
        node: the hosting node, whose own are left out.
        on_news: gets all parameters when some have changed.
    """

    def __init__(self, node: Node, on_news: Callable[[list[Parameter]], None]) -> None:
        self._node = node
        self._on_news = on_news
        self._values: dict[str, dict[str, Any]] = {}
        self._clients: dict[str, tuple[Any, Any]] = {}

    def known(self, names: list[str]) -> list[Parameter]:
        """Return the named parameters; all, where none is named."""
        values = dict(self._values)
        found = {f"{node}.{name}": v for node, all_ in values.items() for name, v in all_.items()}
        wanted = names or sorted(found)
        return [Parameter(name, value=found[name]) for name in wanted if name in found]

    def refresh(self) -> None:
        """Ask all nodes; what has changed is told when they answer."""
        own = self._node.get_fully_qualified_name()
        names = {
            f"{space.rstrip('/')}/{n}" for n, space in self._node.get_node_names_and_namespaces()
        }
        alive = sorted(names - {own})[:MOST_NODES]
        for gone in self._clients.keys() - set(alive):
            self._values.pop(gone, None)
            for client in self._clients.pop(gone):
                self._node.destroy_client(client)
        for name in alive:
            if name not in self._clients:
                create = self._node.create_client
                lister = create(ListParameters, f"{name}/list_parameters")
                self._clients[name] = lister, create(GetParameters, f"{name}/get_parameters")
            lister, _ = self._clients[name]
            if lister.service_is_ready():
                future = lister.call_async(ListParameters.Request())
                future.add_done_callback(lambda done, node=name: self._get(node, done.result()))

    def _get(self, node: str, answer: Any) -> None:
        if node not in self._clients or answer is None:
            return
        names = list(answer.result.names)
        future = self._clients[node][1].call_async(GetParameters.Request(names=names))
        future.add_done_callback(lambda done: self._take(node, names, done.result()))

    def _take(self, node: str, names: list[str], answer: Any) -> None:
        if answer is None:
            return
        raw = [parameter_value_to_python(value) for value in answer.values]
        values = {n: _plain(v) for n, v in zip(names, raw, strict=False) if v is not None}
        if values != self._values.get(node):
            self._values[node] = values
            self._on_news(self.known([]))

    def close(self) -> None:
        """Close the clients."""
        for clients in self._clients.values():
            for client in clients:
                self._node.destroy_client(client)
        self._clients.clear()


def _plain(value: Any) -> Any:
    """Return a value as Foxglove takes it: arrays as lists, bytes as numbers."""
    if isinstance(value, (bool, int, float, str)):
        return value
    return [item if isinstance(item, (bool, int, float, str)) else str(item) for item in value]
