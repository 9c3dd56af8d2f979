"""Inject faults into limbs and cameras, for tests and training."""
