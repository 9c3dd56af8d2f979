"""Planning thousands of layers deep.

VIN, GPPN, Highway VIN, DT-VIN and exact search behind one interface.

Nothing is imported here, so that ``import planners.mazes.datasets`` costs no more than it needs.
The command line is ``python -m planners VERB --help``.
"""
