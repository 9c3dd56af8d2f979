"""Reproduce tables and figures of target finding."""
