"""Terrain seen from above: its generator, and the study of planning on its pictures."""
