"""Highway reinforcement learning on tables: the exact operator, and learning from samples."""
