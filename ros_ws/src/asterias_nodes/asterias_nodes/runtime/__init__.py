"""Run nodes: parameters, life cycle, executors, actions, messages."""
