"""Detect the target, search for it, train policies that find it."""
