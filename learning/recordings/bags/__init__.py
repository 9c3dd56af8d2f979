"""Read, write and repair ROS 2 bags in MCAP."""
