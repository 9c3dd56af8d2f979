"""Tasks of language agents: questions about targets, cameras and mazes."""
