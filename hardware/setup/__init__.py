"""Find, diagnose, calibrate and benchmark the devices of a robot."""
