"""Action chunking with transformers (ACT), in the form in which LeRobot trains and keeps it."""
