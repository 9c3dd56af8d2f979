"""Nodes that own limbs and cameras, simulated, emulated or real."""
