"""Thin ROS 2 nodes: they translate between topics and the rooms below, and hold no logic."""
