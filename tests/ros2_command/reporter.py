"""A node that tells its name, namespace and parameters, and ends; a test launches it."""

from __future__ import annotations

import rclpy
from rclpy.node import Node


def main() -> None:
    """Print what the node was given."""
    rclpy.init()
    node = Node("unnamed", automatically_declare_parameters_from_overrides=True)
    print("node", node.get_fully_qualified_name())
    print("topic", node.resolve_topic_name("here"))
    for name in sorted(node.get_parameters_by_prefix("")):
        if name not in ("use_sim_time", "start_type_description_service"):
            value = node.get_parameter(name).value
            print("parameter", name, list(value) if hasattr(value, "tolist") else repr(value))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
