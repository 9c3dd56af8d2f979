"""Experiments of the language agents; each makes one file of results/."""
