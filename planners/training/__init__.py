"""Train, evaluate and benchmark planner networks."""
