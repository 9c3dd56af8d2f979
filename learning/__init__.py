"""Learning on the robot: target finding, reinforcement learning, recordings as data sets."""
