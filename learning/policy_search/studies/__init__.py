"""Experiments beside the papers' figures: many seeds, curves, tables."""
