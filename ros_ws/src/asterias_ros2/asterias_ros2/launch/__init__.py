"""`ros2 launch`: the XML front end, read, evaluated, then run."""
