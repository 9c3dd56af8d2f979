"""Detect AprilTags and lay camera pictures out in sheets."""
