"""Skills of the robot that language agents may call."""
