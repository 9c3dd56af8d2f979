"""Algorithms of policy search, one file each."""
