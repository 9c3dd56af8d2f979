"""Mazes, map files, grid maps, action sets, distances and planning problems."""
