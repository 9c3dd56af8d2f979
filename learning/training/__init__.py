"""Run a training in a process of its own."""
