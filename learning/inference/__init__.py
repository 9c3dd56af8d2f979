"""Variational inference by Rényi bounds, and beliefs about where the target is."""
