"""Ground floor of the house: what every room uses and that imports none of them.

Errors, command line, files, registries, provenance, progress, workers, statistics, threads,
arrays, pacing.
"""

__version__ = "0.1.0"
