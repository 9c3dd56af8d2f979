"""The target-finding environment and its parts."""
