"""A task with two ways to the goal, which plain cloning averages."""
