"""Studies of Rényi bounds, each with its command."""
