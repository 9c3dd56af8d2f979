"""The `ros2` command, with the verbs this project needs, for machines without a ROS 2.

Words, options and output have the shape of the real tool, so the same command line works with both.
"""
