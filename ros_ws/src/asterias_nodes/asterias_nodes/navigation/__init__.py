"""Plan and follow paths in mazes, on maps and in ViZDoom."""
