"""Teleoperation of a limb: keys, sticks and a leader limb become small, limited steps."""
