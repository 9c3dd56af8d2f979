"""Ground floor of the house: what every room uses and that imports none of them.

Errors, command lines, files, provenance, progress, workers, statistics, threads, pacing.
"""
