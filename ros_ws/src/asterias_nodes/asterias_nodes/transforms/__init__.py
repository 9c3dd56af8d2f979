"""Frames of robots on ``/tf`` and ``/tf_static``, and their URDF on ``/robot_description``."""
