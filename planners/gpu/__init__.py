"""Checks and measurements of the operator's kernels for GPUs."""
