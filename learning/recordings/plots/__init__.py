"""Plots, contact sheets and videos of recordings."""
