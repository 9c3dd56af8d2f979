"""Measure the simulation's speed and accuracy, alone and beside other engines."""
