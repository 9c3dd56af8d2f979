"""Policies of target finding, and the registry that loads them by name."""
