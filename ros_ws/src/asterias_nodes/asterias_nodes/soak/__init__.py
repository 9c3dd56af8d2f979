"""The soak: a robot with everything around it, for long, while nodes die and devices fail."""
